//! What a `grpc` task can be asked to call.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Uri};
use serde_json::Value as Json;

use super::http::is_agents_own;
use super::{Fault, below, reference, texts_by_name};

pub(super) fn target(value: &Json) -> Result<(), Fault> {
    const FORM: &str = "must be `host:port`, or that after http:// or https://";
    let text = value.as_str().ok_or(FORM)?;
    let (has_scheme, rest) = match text.split_once("://") {
        Some(("http" | "https", rest)) => (true, rest),
        Some(_) => return Err(FORM.into()),
        None => (false, text),
    };
    let uri: Uri = format!("http://{}", rest.strip_suffix('/').unwrap_or(rest)).parse().map_err(|_| FORM)?;
    let authority =
        uri.authority().filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    let has_port = authority.is_some_and(|authority| authority.port_u16().is_some());
    if authority.is_some() && uri.path() == "/" && uri.query().is_none() && (has_port || has_scheme) {
        Ok(())
    } else {
        Err(FORM.into())
    }
}

pub(super) fn method(value: &Json) -> Result<(), Fault> {
    let is_name = |text: &str| {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        !text.is_empty() && text.chars().all(is_word)
    };
    match value.as_str().and_then(|text| text.split_once('/')) {
        Some((service, method)) if service.split('.').all(is_name) && is_name(method) => Ok(()),
        _ => Err("must be `package.Service/Method`".into()),
    }
}

pub(super) fn request(value: &Json) -> Result<(), Fault> {
    if value.is_object() { reference::anywhere(value) } else { Err("must be an object".into()) }
}

pub(super) fn metadata(value: &Json) -> Result<(), Fault> {
    texts_by_name(value)?;
    for (key, value) in value.as_object().into_iter().flatten() {
        let fault = |description: String| below(format!(".{key}"), description);
        let text = value.as_str().unwrap_or_default();
        let plain = reference::without(text).map_err(fault)?;
        let (Ok(name), Ok(_)) = (HeaderName::try_from(key), HeaderValue::try_from(&plain)) else {
            return Err(fault("is no metadata that gRPC can carry".to_owned()));
        };
        if is_agents_own(&name) || name.as_str().starts_with("grpc-") || name == CONTENT_TYPE {
            return Err(fault("is set by the agent".to_owned()));
        }
        // What a reference stands for is the agent's to check.
        if name.as_str().ends_with("-bin") && plain == text && BASE64.decode(text).is_err() {
            return Err(fault("must be bytes in base64, because its name ends with -bin".to_owned()));
        }
    }
    Ok(())
}
