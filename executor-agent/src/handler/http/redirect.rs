//! Redirects: followed, but never so that what was meant for one server reaches another.
//!
//! To another origin (scheme, host or port) go neither the payload's headers nor a body. From https:// to http:// leads no
//! way. 301 and 302 turn a POST into a GET, and 303 everything but HEAD, as browsers do it.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::request::Request;
use crate::handler::secrets::Mask;
use crate::session::Failure;

/// Redirects of one task, at most.
pub(super) const MOST: usize = 5;

/// Where an answer leads, if it is a redirect.
pub(super) fn location(status: StatusCode, headers: &HeaderMap) -> Option<&[u8]> {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = headers.get(LOCATION).filter(|_| redirects.contains(&status))?;
    Some(location.as_bytes())
}

/// The request that a redirect asks for.
pub(super) fn follow(from: Request, status: StatusCode, location: &[u8], mask: &Mask) -> Result<Request, Failure> {
    let refuse = |to: &str, why: &str| {
        let text = format!("{} redirects to {to}, {why}", from.shown);
        Err(Failure::permanent("HTTP_REDIRECT", mask.text(&text)))
    };
    let location = String::from_utf8_lossy(location);
    // There are hosts that can be connected to and that no URL may have.
    let Ok(here) = Url::parse(&from.uri.to_string()) else { return refuse(&location, "from where no redirect leads") };
    let Ok(there) = here.join(&location) else { return refuse(&location, "which is no URL") };
    let shown = mask.text(there.as_str());
    if !matches!(there.scheme(), "http" | "https") {
        return refuse(&shown, "which is neither http:// nor https://");
    }
    if !there.username().is_empty() || there.password().is_some() {
        return refuse(&shown, "which has a user in front of the host");
    }
    if here.scheme() == "https" && there.scheme() == "http" {
        return refuse(&shown, "where nothing is encrypted any more");
    }
    let Ok(uri) = there.as_str().parse() else { return refuse(&shown, "which is no URL") };
    let becomes_get = match status {
        StatusCode::SEE_OTHER => from.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => from.method == Method::POST,
        _ => false,
    };
    let is_elsewhere = here.origin() != there.origin();
    if is_elsewhere && from.body.is_some() && !becomes_get {
        return refuse(&shown, "another origin, to which the body is not sent: ask for that URL itself");
    }
    let mut request = Request { uri, shown, ..from };
    if becomes_get {
        request.method = Method::GET;
        request.body = None;
        request.own.remove(CONTENT_TYPE);
    }
    if is_elsewhere {
        let harmless = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT];
        let kept = request.own.iter().filter(|(name, _)| harmless.contains(name));
        request.own = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    #[test]
    fn from_an_address_that_no_url_can_have_no_redirect_is_followed() {
        let from = Request {
            method: Method::GET,
            uri: Uri::from_static("http://1.2.3.4.5/"),
            shown: "http://1.2.3.4.5/".to_owned(),
            own: HeaderMap::new(),
            run: HeaderMap::new(),
            body: None,
        };
        let refused = follow(from, StatusCode::FOUND, b"/to", &Mask::default()).err().map(|failure| failure.code);
        assert_eq!(refused.as_deref(), Some("HTTP_REDIRECT"));
    }
}
