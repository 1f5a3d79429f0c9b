//! What an `http` task can be asked to send.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Uri};
use serde_json::Value as Json;

use super::{Fault, below, reference, texts_by_name};

/// Headers that belong to the connection, and so to the agent.
const OF_CONNECTIONS: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
/// The longest name that a method may have.
const LONGEST_METHOD: usize = 32;

pub(super) fn method(value: &Json) -> Result<(), Fault> {
    let is_method = |name: &&str| {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        !name.is_empty() && name.len() <= LONGEST_METHOD && name.bytes().all(is_letter) && *name != "CONNECT"
    };
    match value.as_str().filter(is_method) {
        Some(_) => Ok(()),
        None => Err("must be a method in capitals, such as GET or POST, and not CONNECT".into()),
    }
}

pub(super) fn url(value: &Json) -> Result<(), Fault> {
    const FORM: &str = "must be a URL that starts with http:// or https:// and a host";
    let Some(text) = value.as_str() else { return Err(FORM.into()) };
    let plain = reference::without(text)?;
    let uri: Uri = plain.parse().map_err(|_| FORM)?;
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err(FORM.into());
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(FORM.into());
    }
    if authority.as_str().contains('@') {
        return Err("has a user in front of the host: send credentials in `headers`".into());
    }
    // The stand-in of a reference would be in its place.
    if !text.split_once("://").is_some_and(|(_, rest)| rest.starts_with(authority.as_str())) {
        return Err("may have references to secrets in its path and query only".into());
    }
    Ok(())
}

pub(super) fn headers(value: &Json) -> Result<(), Fault> {
    texts_by_name(value)?;
    for (key, value) in value.as_object().into_iter().flatten() {
        let fault = |description: String| below(format!(".{key}"), description);
        let plain = reference::without(value.as_str().unwrap_or_default()).map_err(fault)?;
        let (Ok(name), Ok(_)) = (HeaderName::try_from(key), HeaderValue::try_from(plain)) else {
            return Err(fault("is no header that HTTP can carry".to_owned()));
        };
        if is_agents_own(&name) {
            return Err(fault("is set by the agent".to_owned()));
        }
    }
    Ok(())
}

/// Whether the agent sets this header, or this key of gRPC's metadata, itself.
pub(super) fn is_agents_own(name: &HeaderName) -> bool {
    OF_CONNECTIONS.contains(name) || name == "traceparent" || name.as_str().starts_with("punctual-")
}
