//! One call, ready to be made: the method and its request, as the server's descriptors have them.

use http::uri::PathAndQuery;
use prost_reflect::{DeserializeOptions, DynamicMessage, MethodDescriptor, SerializeOptions, ServiceDescriptor};
use serde_json::Value;

use super::codec::Dynamic;
use crate::handler::payload::invalid;
use crate::session::Failure;

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) path: PathAndQuery,
    pub(super) request: DynamicMessage,
    pub(super) codec: Dynamic,
}

impl Call {
    pub(super) fn of(service: &ServiceDescriptor, method: &str, request: &Value) -> Result<Self, Failure> {
        let found = service.methods().find(|found| found.name() == method);
        let method = found.ok_or_else(|| unknown(service, method))?;
        if method.is_client_streaming() || method.is_server_streaming() {
            let name = method.full_name();
            return Err(invalid(format!(
                "method: {name} streams, and only methods of one request and one answer can be called"
            )));
        }
        let path = PathAndQuery::try_from(format!("/{}/{}", service.full_name(), method.name()))
            .map_err(|error| invalid(format!("method: {error}")))?;
        Ok(Self { path, request: message(&method, request)?, codec: Dynamic(method.output()) })
    }
}

fn unknown(service: &ServiceDescriptor, method: &str) -> Failure {
    let known: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
    let service = service.full_name();
    invalid(format!("method: {service} has no method {method:?}; it has {}", known.join(", ")))
}

/// The request as a message; what does not fit is named by its path.
fn message(method: &MethodDescriptor, request: &Value) -> Result<DynamicMessage, Failure> {
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(request, &mut track);
    let options = DeserializeOptions::new();
    DynamicMessage::deserialize_with_options(method.input(), tracked, &options).map_err(|error| {
        let path = track.path().to_string();
        let path = if path == "." { "request".to_owned() } else { format!("request.{path}") };
        invalid(format!("{path}: {error} ({} expects {})", method.full_name(), method.input().full_name()))
    })
}

/// An answer in protobuf's JSON, with zeros and empty lists, as the API of Punctual writes it too.
pub(super) fn json(answer: &DynamicMessage) -> Result<Value, serde_json::Error> {
    let options = SerializeOptions::new().skip_default_fields(false);
    answer.serialize_with_options(serde_json::value::Serializer, &options)
}
