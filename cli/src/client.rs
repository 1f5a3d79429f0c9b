//! The connection to a server, and what its failures mean.

use std::error::Error;
use std::time::Duration;

use punctual_proto::v1::agent_service_client::AgentServiceClient;
use punctual_proto::v1::audit_service_client::AuditServiceClient;
use punctual_proto::v1::calendar_service_client::CalendarServiceClient;
use punctual_proto::v1::job_service_client::JobServiceClient;
use punctual_proto::v1::run_service_client::RunServiceClient;
use punctual_proto::v1::scheduler_service_client::SchedulerServiceClient;
use punctual_proto::v1::task_type_service_client::TaskTypeServiceClient;
use punctual_proto::v1::token_service_client::TokenServiceClient;
use tls::Scheme;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::bearer::Bearer;
use crate::failure::Failure;
use crate::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A page of 1,000 jobs with large payloads is far above tonic's limit of 4 MiB.
const MAX_ANSWER_BYTES: usize = 512 << 20;

/// The violations of a job with many faults travel in the trailers, above the usual limit of 16 KiB.
const MAX_HEADER_BYTES: u32 = 1 << 20;

/// A server that answered the connection.
#[derive(Clone)]
pub(crate) struct Server {
    url: String,
    channel: Channel,
    bearer: Bearer,
}

/// A channel with the token, if there is one.
type Signed = InterceptedService<Channel, Bearer>;

impl Server {
    pub(crate) async fn reach(settings: &Settings) -> Result<Self, Failure> {
        let bearer = Bearer::of(settings.token_file.clone())?;
        let url = settings.server.clone();
        let wrong = |reason: &str| Failure::Usage(format!("`{url}` is not the URL of a server: {reason}"));
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|error| wrong(&root(&error)))?;
        if let Some(why) = settings.tls.contradicts(&url) {
            return Err(Failure::Usage(why));
        }
        if settings.token_file.is_some() && tls::is_exposed(&url) {
            eprintln!("warning: the token goes to {url} unencrypted, for whoever is on the way to read: use https://");
        }
        let endpoint = match Scheme::of(&url) {
            Some(Scheme::Plain) => endpoint,
            Some(Scheme::Tls) => secured(endpoint, settings)?,
            None => return Err(wrong("write http://HOST:PORT or https://HOST:PORT")),
        };
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .tcp_nodelay(true);
        match endpoint.connect().await {
            Ok(channel) => Ok(Self { url, channel, bearer }),
            Err(error) => Err(Failure::Unreached { server: url, reason: root(&error) }),
        }
    }

    pub(crate) fn jobs(&self) -> JobServiceClient<Signed> {
        JobServiceClient::new(self.signed()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn runs(&self) -> RunServiceClient<Signed> {
        RunServiceClient::new(self.signed()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn scheduler(&self) -> SchedulerServiceClient<Signed> {
        SchedulerServiceClient::new(self.signed())
    }

    pub(crate) fn agents(&self) -> AgentServiceClient<Signed> {
        AgentServiceClient::new(self.signed())
    }

    pub(crate) fn calendars(&self) -> CalendarServiceClient<Signed> {
        CalendarServiceClient::new(self.signed())
    }

    pub(crate) fn tokens(&self) -> TokenServiceClient<Signed> {
        TokenServiceClient::new(self.signed())
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Signed> {
        AuditServiceClient::new(self.signed()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn signed(&self) -> Signed {
        Signed::new(self.channel.clone(), self.bearer.clone())
    }

    pub(crate) fn task_types(&self) -> TaskTypeServiceClient<Signed> {
        TaskTypeServiceClient::new(self.signed())
    }

    /// The message of an answer. A status with a source was made on this side: the server did not speak.
    pub(crate) fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Failure> {
        match answer {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(match status.source() {
                Some(source) => Failure::Unreached { server: self.url.clone(), reason: root(source) },
                None => Failure::Refused(Box::new(status)),
            }),
        }
    }
}

fn secured(endpoint: Endpoint, settings: &Settings) -> Result<Endpoint, Failure> {
    let tls = settings.tls.load().map_err(|error| Failure::Usage(error.to_string()))?;
    endpoint.tls_config(tls.config()).map_err(|error| Failure::Usage(format!("the --tls- flags: {}", root(&error))))
}

/// What to do about it where that is clear; else the innermost cause, which is the one that says something: "Connection refused", not "transport error".
fn root(error: &(dyn Error + 'static)) -> String {
    if let Some(advice) = tls::explain(error) {
        return advice.to_owned();
    }
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
