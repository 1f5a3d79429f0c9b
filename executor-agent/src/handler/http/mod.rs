//! `http`: one request to a server, whose answer is the task's result.

mod answer;
mod failure;
mod outcome;
mod payload;
mod redirect;
mod request;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;

use self::answer::Answer;
use self::payload::Payload;
use self::request::Request;
use super::outgoing::{self, Connector};
use super::secrets::{Mask, Secrets};
use super::{Context, Handler, LogStream};
use crate::session::{Completion, Failure};

/// Connections to one server that wait for another task.
const IDLE: usize = 8;
/// How long they wait.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(crate) struct Http {
    secrets: Secrets,
    /// Made with the first task: that is when the machine's roots are read.
    client: OnceLock<Client<Connector, Full<Bytes>>>,
}

impl Http {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { secrets, client: OnceLock::new() }
    }

    #[cfg(test)]
    fn trusting(roots: RootCertStore, secrets: Secrets) -> Self {
        Self { secrets, client: OnceLock::from(client(roots)) }
    }

    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let payload = Payload::parse(&context.task().payload)?;
        let mut filling = self.secrets.filling();
        let request = Request::of(&payload, context.task(), &mut filling)?;
        let mask = filling.mask();
        let ended = tokio::select! {
            biased;
            // Whatever is under way is dropped, its connection with it.
            () = context.cancelled() => Err(Failure::new("CANCELLED", "the request was given up")),
            ended = self.exchange(&payload, request, context, &mask) => ended,
        };
        ended.map_err(|failure| mask.failure(failure))
    }

    async fn exchange(
        &self,
        payload: &Payload,
        mut request: Request,
        context: &Context,
        mask: &Mask,
    ) -> Result<Completion, Failure> {
        let client = self.client.get_or_init(|| client(outgoing::machine_roots()));
        for _ in 0..=redirect::MOST {
            say(context, format!("{} {}\n", request.method, request.shown)).await;
            let response = client.request(request.wire()).await.map_err(|e| failure::unanswered(&request, &e))?;
            let status = response.status();
            say(context, format!("{:?} {status}\n", response.version())).await;
            let is_success = payload.is_success(status);
            if let Some(location) = redirect::location(status, response.headers()).filter(|_| !is_success) {
                request = redirect::follow(request, status, location, mask)?;
                continue;
            }
            let answer = Answer::read(response, payload.max_response_bytes, context, mask).await?;
            if !is_success {
                return Err(failure::status(&request, status));
            }
            return Ok(Completion::success(outcome::result(&answer, mask)));
        }
        Err(failure::too_many_redirects(&request, redirect::MOST))
    }
}

#[async_trait]
impl Handler for Http {
    fn payload_schema(&self) -> Option<String> {
        punctual_proto::payloads::schema("http").map(str::to_owned)
    }

    async fn execute(&self, context: Context) -> Completion {
        self.run(&context).await.unwrap_or_else(Completion::from)
    }
}

fn client(roots: RootCertStore) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE)
        // As they are written everywhere: Punctual-Job-Id.
        .http1_title_case_headers(true)
        .build(outgoing::any_http(roots))
}

/// What the agent says of the exchange stands beside what the server answers.
async fn say(context: &Context, line: String) {
    context.log(LogStream::Stderr, line).await;
}
