//! Connections to other nodes, kept from call to call.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, Version, header};
use bytes::Bytes;
use coordination::Peer;
use futures::stream;
use http_body_util::Full;
use punctual_proto::v1;
use tls::{ClientFiles, Scheme};
use tokio::time::timeout;
use tonic::ConnectError;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt;
use v1::executor_service_client::ExecutorServiceClient;

use super::forward::FORWARDED;
use super::presence;
use super::vigil::Sight;

/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// A node that says nothing while it has a call is asked whether it lives, and is given up together 3 s later.
const PING: Duration = Duration::from_millis(1_500);
/// More than any cluster has nodes: those that are gone are forgotten.
const MOST: usize = 64;
/// What belongs to the connection that a call came on, not to the call; this node has judged the page that it came from.
const OF_CONNECTIONS: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::ORIGIN];

/// A call on its way to the leader.
pub(super) struct Carried {
    pub(super) path: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It has not been sent.
    NotSent,
    /// It may have been received, and carried out.
    Broken,
}

/// What a node tells of itself, as it comes; its connection goes with it.
pub(super) struct Lines {
    pub(super) body: Body,
    _connection: Channel,
}

/// Connections to whoever leads.
pub struct Leaders {
    tls: ClientFiles,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Leaders {
    /// `tls` is for nodes that advertise an https address.
    pub fn new(tls: ClientFiles) -> Self {
        Self { tls, channels: Mutex::default() }
    }

    pub(super) async fn ask(&self, address: &str, call: &Carried) -> Result<Response<Body>, NoAnswer> {
        let channel = self.channel(address).map_err(|error| {
            tracing::error!(address, error, "the leader cannot be reached: check its --advertise, and --peer-ca here");
            NoAnswer::NotSent
        })?;
        let mut request = Request::new(tonic::body::Body::new(Full::new(call.body.clone())));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = call.path.clone();
        *request.headers_mut() = call.headers.clone();
        for name in OF_CONNECTIONS {
            request.headers_mut().remove(name);
        }
        match channel.oneshot(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(error) if is_unsent(&error) => Err(NoAnswer::NotSent),
            Err(_) => Err(NoAnswer::Broken),
        }
    }

    fn channel(&self, address: &str) -> Result<Channel, String> {
        let mut channels = self.channels.lock().expect("because no holder panics");
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = self.endpoint(address)?;
        if channels.len() == MOST {
            channels.clear();
        }
        let channel = endpoint.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, String> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|error| error.to_string())?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .tcp_nodelay(true);
        if Scheme::of(address) != Some(Scheme::Tls) {
            return Ok(endpoint);
        }
        let tls = self.tls.load().map_err(|error| error.to_string())?;
        endpoint.tls_config(tls.config()).map_err(|error| error.to_string())
    }

    /// Passes the Hello of an agent on that could not reach the leader, in the agent's name (rule 15). Where the leader is not
    /// reached either, it is left to its lease.
    pub(crate) async fn tell_unreached(
        &self,
        leader: &Peer,
        by: &str,
        authorization: Option<MetadataValue<Ascii>>,
        hello: v1::Hello,
    ) {
        let Ok(channel) = self.channel(&leader.address) else { return };
        let message = v1::AgentMessage { message: Some(v1::agent_message::Message::Hello(hello)) };
        let mut request = tonic::Request::new(stream::iter([message]));
        if let Ok(by) = by.parse() {
            request.metadata_mut().insert(FORWARDED, by);
        }
        if let Some(authorization) = authorization {
            request.metadata_mut().insert("authorization", authorization);
        }
        let mut client = ExecutorServiceClient::new(channel);
        let told = timeout(CONNECT, async { client.connect(request).await?.into_inner().message().await }).await;
        tracing::info!(leader = %leader.node, ?told, "an agent cannot reach the leader");
    }

    /// Asks a node to tell of itself, on a connection of its own: the end of that is to be noticed.
    pub(super) async fn follow(&self, address: &str) -> Result<Lines, Sight> {
        let endpoint = self.endpoint(address).map_err(|error| {
            tracing::error!(address, error, "the leader cannot be followed: check its --advertise, and --peer-ca here");
            Sight::Nothing
        })?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| if is_refused(&error) { Sight::Refuses } else { Sight::Nothing })?;
        let mut request = Request::new(tonic::body::Body::empty());
        *request.uri_mut() = Uri::from_static(presence::PATH);
        let asked = timeout(CONNECT, channel.clone().oneshot(request)).await;
        match asked {
            Ok(Ok(response)) if response.status() == StatusCode::OK => {
                Ok(Lines { body: Body::new(response.into_body()), _connection: channel })
            }
            // Of a process that ends just now, or of another version.
            Ok(Ok(_) | Err(_)) | Err(_) => Err(Sight::Nothing),
        }
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    error.downcast_ref().is_some_and(refused) || error.source().is_some_and(is_refused)
}

/// Nothing was sent when there was no connection.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    error.is::<ConnectError>() || error.source().is_some_and(is_unsent)
}
