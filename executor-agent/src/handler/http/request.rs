//! The request that goes out.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::Full;
use serde_json::Value;

use super::payload::{self, Payload};
use crate::handler::payload::invalid;
use crate::handler::secrets::Filling;
use crate::handler::variables;
use crate::session::{Failure, Task};

const AGENT: &str = concat!("punctual/", env!("CARGO_PKG_VERSION"));

/// A request, with all that a redirect needs to make the next one.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// The address as people may see it.
    pub(super) shown: String,
    /// The payload's headers.
    pub(super) own: HeaderMap,
    /// The run's: whoever is asked may know them.
    pub(super) run: HeaderMap,
    pub(super) body: Option<Bytes>,
}

impl Request {
    pub(super) fn of(payload: &Payload, task: &Task, filling: &mut Filling<'_>) -> Result<Self, Failure> {
        let filled = filling.text("url", &payload.url)?;
        let uri = payload::uri(&payload.url, &filled).map_err(|error| invalid(format!("url: {error}")))?;
        let mut own = HeaderMap::new();
        for (name, value) in &payload.headers {
            let way = format!("headers.{name}");
            let refuse = || invalid(format!("{way}: is no header that HTTP can carry"));
            let header = HeaderName::try_from(name).map_err(|_| refuse())?;
            let mut value = HeaderValue::try_from(filling.text(&way, value)?).map_err(|_| refuse())?;
            value.set_sensitive(true);
            own.append(header, value);
        }
        let (body, content_type) = body(&payload.body, filling)?;
        if let Some(content_type) = content_type {
            own.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        }
        let method = payload.method.parse().map_err(|_| invalid("method: is none of HTTP".to_owned()))?;
        Ok(Self { method, uri, shown: payload.url.clone(), own, run: variables::headers(task), body })
    }

    pub(super) fn wire(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.extend(self.own.clone());
        headers.extend(self.run.clone());
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        request
    }
}

/// The body, and what it is unless the payload says otherwise.
fn body(written: &Value, filling: &mut Filling<'_>) -> Result<(Option<Bytes>, Option<&'static str>), Failure> {
    let mut body = written.clone();
    filling.json("body", &mut body)?;
    Ok(match body {
        Value::Null => (None, None),
        Value::String(text) => (Some(text.into()), Some("text/plain; charset=utf-8")),
        json => (Some(json.to_string().into()), Some("application/json")),
    })
}
