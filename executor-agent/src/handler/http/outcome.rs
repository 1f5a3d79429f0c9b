//! What an answer means to the run: its result, or its error.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LOCATION, RETRY_AFTER};
use serde_json::{Map, Value, json};

use super::answer::{Answer, essence};
use crate::handler::result;
use crate::handler::secrets::Mask;

/// Headers that a result has: never cookies.
const SHOWN: [HeaderName; 5] = [CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, RETRY_AFTER];
/// Bytes of a header's value that a result has.
const LONGEST_HEADER: usize = 1 << 10;

/// `{status, headers, body}` as JSON text. JSON is a value, other text a string; what is no text stands in `body_base64`.
/// `truncated` is there, and true, when the body goes on.
pub(super) fn result(answer: &Answer, mask: &Mask) -> Vec<u8> {
    let mut all = Map::new();
    all.insert("status".to_owned(), json!(answer.status.as_u16()));
    all.insert("headers".to_owned(), mask.json(headers(answer)));
    if answer.is_whole
        && let Some(value) = json_body(answer)
    {
        all.insert("body".to_owned(), mask.json(value));
        let text = Value::Object(all.clone()).to_string();
        if text.len() <= result::MAX_BYTES {
            return text.into_bytes();
        }
    }
    let mut most = answer.kept.len();
    loop {
        let is_whole = answer.is_whole && most == answer.kept.len();
        let (name, body) = text_body(&answer.kept[..most], is_whole, mask);
        let mut all = all.clone();
        all.remove("body");
        all.insert(name.to_owned(), Value::String(body));
        if !is_whole {
            all.insert("truncated".to_owned(), Value::Bool(true));
        }
        let text = Value::Object(all).to_string();
        if text.len() <= result::MAX_BYTES {
            return text.into_bytes();
        }
        // JSON writes some characters with six.
        most -= (most / 8).max(1);
    }
}

fn headers(answer: &Answer) -> Value {
    let shown = SHOWN.iter().filter_map(|name| Some((name, answer.headers.get(name)?)));
    let text = |value: &http::HeaderValue| {
        let bytes = value.as_bytes();
        String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_HEADER)]).into_owned()
    };
    Value::Object(shown.map(|(name, value)| (name.to_string(), Value::String(text(value)))).collect())
}

fn json_body(answer: &Answer) -> Option<Value> {
    let essence = essence(answer.headers.get(CONTENT_TYPE)?)?;
    if essence != "application/json" && !essence.ends_with("+json") {
        return None;
    }
    serde_json::from_slice(&answer.kept).ok().filter(result::is_shallow)
}

fn text_body(bytes: &[u8], is_whole: bool, mask: &Mask) -> (&'static str, String) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A cut may go through a character.
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("because it is valid up to there")
        }
        Err(_) => return ("body_base64", BASE64_STANDARD.encode(masked(bytes, is_whole, mask))),
    };
    ("body", String::from_utf8_lossy(&masked(text.as_bytes(), is_whole, mask)).into_owned())
}

fn masked(bytes: &[u8], is_whole: bool, mask: &Mask) -> Vec<u8> {
    let mut masking = mask.stream();
    let mut masked = masking.push(bytes);
    // Where it was cut there may be the beginning of a secret.
    if is_whole {
        masked.extend(masking.end());
    }
    masked
}
