//! What a `grpc` task is asked to call.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataKey, BinaryMetadataValue, MetadataMap};

use crate::handler::payload::{self, invalid};
use crate::handler::secrets::Filling;
use crate::session::Failure;

/// Metadata that belongs to the call itself.
const OF_CALLS: [HeaderName; 8] =
    [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const BINARY: &str = "-bin";

/// As it was written: references to secrets are not resolved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payload {
    pub(super) target: String,
    method: String,
    #[serde(default)]
    request: Map<String, Value>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl Payload {
    pub(super) fn parse(json: &[u8]) -> Result<Self, Failure> {
        let payload: Self = payload::read(json)?;
        let (service, method) = payload.method();
        if !service.split('.').all(is_name) || !is_name(method) {
            return Err(invalid("method: must be `package.Service/Method`".to_owned()));
        }
        payload.origin()?;
        if let Some(key) = payload.metadata.keys().find(|key| is_agents_own(key)) {
            return Err(invalid(format!("metadata.{key}: is set by the agent")));
        }
        Ok(payload)
    }

    /// Service and method.
    pub(super) fn method(&self) -> (&str, &str) {
        self.method.split_once('/').unwrap_or((&self.method, ""))
    }

    /// Where the server is, as a URL without a path.
    pub(super) fn origin(&self) -> Result<Uri, Failure> {
        const FORM: &str = "target: must be `host:port`, or that after http:// or https://";
        let refuse = || invalid(FORM.to_owned());
        let (scheme, rest) = match self.target.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest),
            Some(_) => return Err(refuse()),
            None => (None, self.target.as_str()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let uri: Uri = format!("{}://{rest}", scheme.unwrap_or("http")).parse().map_err(|_| refuse())?;
        let authority = uri.authority().ok_or_else(refuse)?;
        let is_authority = !authority.host().is_empty() && !authority.as_str().contains('@');
        let is_complete = scheme.is_some() || authority.port_u16().is_some();
        if is_authority && is_complete && uri.path() == "/" && uri.query().is_none() { Ok(uri) } else { Err(refuse()) }
    }

    pub(super) fn request(&self, filling: &mut Filling<'_>) -> Result<Value, Failure> {
        let mut request = Value::Object(self.request.clone());
        filling.json("request", &mut request)?;
        Ok(request)
    }

    pub(super) fn metadata(&self, filling: &mut Filling<'_>) -> Result<MetadataMap, Failure> {
        let mut metadata = MetadataMap::new();
        for (key, value) in &self.metadata {
            let way = format!("metadata.{key}");
            let refuse = || invalid(format!("{way}: is no metadata that gRPC can carry"));
            let value = filling.text(&way, value)?;
            if key.ends_with(BINARY) {
                let bytes =
                    BASE64_STANDARD.decode(value).map_err(|_| invalid(format!("{way}: must be bytes in base64")))?;
                let key: BinaryMetadataKey = key.to_ascii_lowercase().parse().map_err(|_| refuse())?;
                metadata.append_bin(key, BinaryMetadataValue::from_bytes(&bytes));
            } else {
                let key: AsciiMetadataKey = key.to_ascii_lowercase().parse().map_err(|_| refuse())?;
                let mut value: AsciiMetadataValue = value.parse().map_err(|_| refuse())?;
                value.set_sensitive(true);
                metadata.append(key, value);
            }
        }
        Ok(metadata)
    }
}

fn is_name(text: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    !text.is_empty() && text.chars().all(is_word)
}

fn is_agents_own(key: &str) -> bool {
    HeaderName::try_from(key).is_ok_and(|name| {
        let text = name.as_str();
        let prefixes = ["punctual-", "grpc-"];
        OF_CALLS.contains(&name) || text == "traceparent" || prefixes.iter().any(|prefix| text.starts_with(prefix))
    })
}
