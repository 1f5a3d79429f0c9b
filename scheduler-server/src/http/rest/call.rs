//! Calls the services in this process, as a gRPC client would: the same router, framing, deadlines and statuses.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, header};
use bytes::Buf;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Request, Status};

use super::routes::Route;
use super::spelling;
use crate::access::Caller;

/// REST has no deadline of its own; a call that is not answered by then will not be.
const TIMEOUT: Duration = Duration::from_secs(30);

/// In which trace: what goes from the REST request to the call. Who calls goes with it as a [`Caller`]; their token goes
/// along for the leader, should the call be passed on to it.
const PASSED_ON: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// A REST request that has become a call.
#[derive(Clone)]
pub(super) struct Call {
    calls: Router,
    route: Arc<Route>,
    metadata: MetadataMap,
    peer: Option<TcpConnectInfo>,
    caller: Option<Caller>,
}

impl Call {
    pub(super) fn new(calls: &Router, route: Arc<Route>, parts: &Parts) -> Self {
        let mut passed_on = HeaderMap::new();
        for name in PASSED_ON {
            for value in parts.headers.get_all(&name) {
                passed_on.append(&name, value.clone());
            }
        }
        let metadata = MetadataMap::from_headers(passed_on);
        let (peer, caller) = (parts.extensions.get().cloned(), parts.extensions.get().cloned());
        Call { calls: calls.clone(), route, metadata, peer, caller }
    }

    /// One answer, or a refusal in the spelling of the route.
    pub(super) async fn unary(&self, message: DynamicMessage) -> Result<DynamicMessage, Status> {
        let mut request = self.request(message);
        request.set_timeout(TIMEOUT);
        let answered = self.client().unary(request, self.path(), self.codec()).await;
        answered.map(tonic::Response::into_inner).map_err(|status| spelling::for_rest(status, &self.route))
    }

    /// A stream of answers, or a refusal in the spelling of the route.
    pub(super) async fn stream(&self, message: DynamicMessage) -> Result<Streaming<DynamicMessage>, Status> {
        let answered = self.client().server_streaming(self.request(message), self.path(), self.codec()).await;
        answered.map(tonic::Response::into_inner).map_err(|status| spelling::for_rest(status, &self.route))
    }

    fn client(&self) -> Grpc<Router> {
        // The answers are our own.
        Grpc::new(self.calls.clone()).max_decoding_message_size(usize::MAX)
    }

    fn request(&self, message: DynamicMessage) -> Request<DynamicMessage> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        if let Some(caller) = &self.caller {
            request.extensions_mut().insert(caller.clone());
        }
        request
    }

    fn path(&self) -> PathAndQuery {
        let path = format!("/{}/{}", self.route.method.parent_service().full_name(), self.route.method.name());
        PathAndQuery::from_str(&path).expect("because the names of services and methods are plain")
    }

    fn codec(&self) -> Dynamic {
        Dynamic { answer: self.route.method.output() }
    }
}

/// Encodes and decodes messages that are known by their descriptors only.
struct Dynamic {
    answer: MessageDescriptor,
}

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Dynamic;
    type Decoder = Dynamic;

    fn encoder(&mut self) -> Dynamic {
        Dynamic { answer: self.answer.clone() }
    }

    fn decoder(&mut self) -> Dynamic {
        Dynamic { answer: self.answer.clone() }
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(format!("the request cannot be encoded: {error}")))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let decoded = DynamicMessage::decode(self.answer.clone(), bytes);
        decoded.map(Some).map_err(|error| Status::internal(format!("the answer cannot be decoded: {error}")))
    }
}
