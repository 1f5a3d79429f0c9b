//! What an `http` task is asked to send.

use std::collections::BTreeMap;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{HeaderName, Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use crate::handler::payload;
use crate::session::Failure;

/// Headers that belong to the connection.
const OF_CONNECTIONS: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
/// Bytes of an answer that are read unless the payload says otherwise.
const DEFAULT_RESPONSE: u64 = 1 << 20;
/// The most that it can say.
const LARGEST_RESPONSE: u64 = 1 << 30;
const LONGEST_METHOD: usize = 32;

/// As it was written: references to secrets are not resolved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payload {
    #[serde(default = "get")]
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: Value,
    success_statuses: Option<Vec<u16>>,
    #[serde(default = "default_response")]
    pub(super) max_response_bytes: u64,
}

fn get() -> String {
    Method::GET.as_str().to_owned()
}

fn default_response() -> u64 {
    DEFAULT_RESPONSE
}

impl Payload {
    pub(super) fn parse(json: &[u8]) -> Result<Self, Failure> {
        let payload: Self = payload::read(json)?;
        payload.check().map_err(payload::invalid)?;
        Ok(payload)
    }

    fn check(&self) -> Result<(), String> {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        let length = self.method.len();
        if length == 0 || length > LONGEST_METHOD || !self.method.bytes().all(is_letter) || self.method == "CONNECT" {
            return Err("method: must be a method in capitals, such as GET or POST, and not CONNECT".to_owned());
        }
        authority(&self.url).map_err(|error| format!("url: {error}"))?;
        if let Some(name) = self.headers.keys().find(|name| is_agents_own(name)) {
            return Err(format!("headers.{name}: is set by the agent"));
        }
        let statuses = self.success_statuses.as_deref();
        if statuses.is_some_and(|statuses| statuses.is_empty() || statuses.iter().any(|s| !(100..=599).contains(s))) {
            return Err("success_statuses: must be a list of integers between 100 and 599, not empty".to_owned());
        }
        if self.max_response_bytes > LARGEST_RESPONSE {
            return Err(format!("max_response_bytes: must be an integer between 0 and {LARGEST_RESPONSE}"));
        }
        Ok(())
    }

    pub(super) fn is_success(&self, status: StatusCode) -> bool {
        match &self.success_statuses {
            Some(statuses) => statuses.contains(&status.as_u16()),
            None => status.is_success(),
        }
    }
}

fn is_agents_own(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| {
        OF_CONNECTIONS.contains(&name) || name == "traceparent" || name.as_str().starts_with("punctual-")
    })
}

/// Whom a URL asks, as it is written: references stand in its path and query only.
fn authority(url: &str) -> Result<Authority, String> {
    const FORM: &str = "must be a URL that starts with http:// or https:// and a host";
    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else { return Err(FORM.to_owned()) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let uri: Uri = format!("{scheme}://{}", &rest[..end]).parse().map_err(|_| FORM)?;
    let authority = uri.into_parts().authority.filter(|authority| !authority.host().is_empty()).ok_or(FORM)?;
    if authority.as_str().contains('@') {
        return Err("has a user in front of the host: send credentials in `headers`".to_owned());
    }
    Ok(authority)
}

/// A URL whose references are resolved.
pub(super) fn uri(written: &str, filled: &str) -> Result<Uri, String> {
    let uri: Uri = filled.parse().map_err(|_| "is no URL with what its references stand for")?;
    if uri.authority() == Some(&authority(written)?) { Ok(uri) } else { Err("must have a host".to_owned()) }
}
