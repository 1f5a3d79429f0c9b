//! Turns away what a browser may have been tricked into sending: a server without sign-in trusts whoever reaches it,
//! so no page of another site may.
//!
//! Host: a page whose name was rebound to our address still sends its own name. Origin: a page of another site says
//! so. Content type: what a page can send without asking first is neither JSON nor gRPC.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::{FromFnLayer, Next, from_fn_with_state};
use axum::response::Response;
use http_body::Body as _;
use punctual_proto::v1::ErrorReason;
use tonic::{Code, Status};

use super::grpc;
use super::rest::errors;

/// Whoever asks whether the process lives and can serve may do so by an address that no setting names (Kubernetes: the
/// pod's), and learns nothing else.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Under which names the server may be reached.
#[derive(Clone, Debug)]
pub enum HostPolicy {
    /// `localhost`, names that end in `.localhost`, and loopback addresses.
    Loopback,
    /// These names and addresses, without ports.
    Names(BTreeSet<String>),
}

impl HostPolicy {
    /// The policy for names or addresses, which may have ports.
    pub fn names<I: IntoIterator<Item: AsRef<str>>>(names: I) -> Self {
        HostPolicy::Names(names.into_iter().map(|name| host_of(name.as_ref())).collect())
    }

    fn allows(&self, host: &str) -> bool {
        match self {
            HostPolicy::Loopback => is_loopback(host),
            HostPolicy::Names(names) => names.contains(host),
        }
    }

    /// Names can be rebound, addresses cannot.
    fn allows_probes_of(&self, host: &str) -> bool {
        matches!(self, HostPolicy::Names(_)) && host.parse::<IpAddr>().is_ok()
    }
}

type Check = fn(State<Arc<HostPolicy>>, Request, Next) -> futures::future::BoxFuture<'static, Response>;

pub(super) fn layer(hosts: HostPolicy) -> FromFnLayer<Check, Arc<HostPolicy>, (State<Arc<HostPolicy>>, Request)> {
    from_fn_with_state(Arc::new(hosts), |hosts, request, next| Box::pin(guard(hosts, request, next)))
}

async fn guard(State(hosts): State<Arc<HostPolicy>>, request: Request, next: Next) -> Response {
    match check(&hosts, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => match grpc::content_type(request.headers()) {
            Some(content_type) => grpc::refusal(&refused, errors::http_status(&refused), content_type.clone()),
            None => errors::response(&refused),
        },
    }
}

fn check(hosts: &HostPolicy, request: &Request) -> Result<(), Status> {
    let authority = authority(request.uri(), request.headers());
    let is_probe = PROBES.contains(&request.uri().path());
    let is_allowed = |host: &str| hosts.allows(host) || is_probe && hosts.allows_probes_of(host);
    let Some(authority) = authority.filter(|authority| is_allowed(&bare(authority.host()))) else {
        return Err(errors::refuse(
            Code::FailedPrecondition,
            ErrorReason::HostNotAllowed,
            "the Host is not one of this server's names: call it by the address that it listens on",
        ));
    };
    if !origins(request.headers()).all(|origin| is_ours(hosts, &authority, origin)) {
        return Err(errors::refuse(
            Code::PermissionDenied,
            ErrorReason::OriginNotAllowed,
            "pages of other origins may not call this server",
        ));
    }
    if !request.body().is_end_stream() && !may_have_body(request.headers()) {
        return Err(errors::refuse(
            Code::InvalidArgument,
            ErrorReason::ContentTypeUnsupported,
            "a body must be application/json or gRPC: set the Content-Type",
        ));
    }
    Ok(())
}

/// Whom the client means: HTTP/2 says it in the URI, HTTP/1.1 in a header that must be there once.
fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return None;
    }
    let host = first.map(|host| Authority::try_from(host.as_bytes()).ok());
    match (uri.authority(), host) {
        (Some(authority), None) => Some(authority.clone()),
        (Some(authority), Some(host)) => host.filter(|host| host == authority),
        (None, host) => host.flatten(),
    }
}

fn origins(headers: &HeaderMap) -> impl Iterator<Item = &HeaderValue> {
    headers.get_all(header::ORIGIN).iter()
}

/// An origin is ours when it has one of our names and the port that was called.
fn is_ours(hosts: &HostPolicy, called: &Authority, origin: &HeaderValue) -> bool {
    let Ok(origin) = Uri::try_from(origin.as_bytes()) else { return false };
    let (Some(scheme), Some(authority)) = (origin.scheme_str(), origin.authority()) else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    hosts.allows(&bare(authority.host())) && port(authority) == port(called)
}

fn may_have_body(headers: &HeaderMap) -> bool {
    let is_json = |value: &HeaderValue| {
        let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("application/json")
    };
    grpc::content_type(headers).is_some() || headers.get(header::CONTENT_TYPE).is_some_and(is_json)
}

/// The host of `host`, `host:port` or `[v6]:port`, in the spelling that names are compared in.
fn host_of(name: &str) -> String {
    match (name.parse::<Ipv6Addr>(), name.parse::<Authority>()) {
        (Ok(address), _) => address.to_string(),
        (Err(_), Ok(authority)) => bare(authority.host()),
        (Err(_), Err(_)) => bare(name),
    }
}

/// A host as names are compared: lower case, no brackets, no closing dot, addresses in their shortest form.
fn bare(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    host.parse::<IpAddr>().map_or(host, |address| address.to_string())
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(headers: &[(&'static str, &str)], body: &'static str) -> Request {
        let mut request = Request::new(if body.is_empty() { Body::empty() } else { Body::from(body) });
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a header of the test"));
        }
        request
    }

    fn verdict(hosts: &HostPolicy, request: &Request) -> u16 {
        check(hosts, request).map_or_else(|refused| errors::http_status(&refused).as_u16(), |()| 200)
    }

    #[test]
    fn only_loopback_names_reach_a_loopback_server() {
        let cases = [
            ("localhost", 200),
            ("LOCALHOST:7117", 200),
            ("localhost.:7117", 200),
            ("punctual.localhost:7117", 200),
            ("127.0.0.1:7117", 200),
            ("127.8.9.10", 200),
            ("[::1]:7117", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("localhost.example.org", 421),
            ("notlocalhost", 421),
            ("example.org:7117", 421),
            ("127.0.0.1.example.org", 421),
            ("10.0.0.1:7117", 421),
            ("0.0.0.0:7117", 421),
            ("user@example.org", 421),
            ("", 421),
        ];
        for (host, expected) in cases {
            assert_eq!(verdict(&HostPolicy::Loopback, &request(&[("host", host)], "")), expected, "{host:?}");
        }
    }

    #[test]
    fn probes_of_an_open_server_are_answered_by_any_address() {
        let open = HostPolicy::names(["punctual.example"]);
        for (path, expected) in [("/readyz", 200), ("/healthz", 200), ("/metrics", 421), ("/readyz/", 421), ("/", 421)]
        {
            for (host, is_address) in [("10.244.1.7:7117", true), ("[fd00::7]:7117", true), ("rebound.example", false)]
            {
                let mut probe = request(&[("host", host)], "");
                *probe.uri_mut() = Uri::from_static(path);
                assert_eq!(verdict(&open, &probe), if is_address { expected } else { 421 }, "{path} {host}");
                assert_eq!(verdict(&HostPolicy::Loopback, &probe), 421, "{path} {host}");
            }
        }
    }

    #[test]
    fn a_request_without_host_or_with_two_is_refused() {
        assert_eq!(verdict(&HostPolicy::Loopback, &request(&[], "")), 421);
        assert_eq!(verdict(&HostPolicy::Loopback, &request(&[("host", "localhost"), ("host", "localhost")], "")), 421);
    }

    #[test]
    fn the_authority_of_http2_counts_and_must_agree_with_a_host() {
        let mut over_http2 = request(&[], "");
        *over_http2.uri_mut() = Uri::from_static("http://example.org/");
        assert_eq!(verdict(&HostPolicy::Loopback, &over_http2), 421);
        over_http2.headers_mut().insert("host", HeaderValue::from_static("localhost"));
        assert_eq!(verdict(&HostPolicy::Loopback, &over_http2), 421);
        *over_http2.uri_mut() = Uri::from_static("http://localhost/");
        assert_eq!(verdict(&HostPolicy::Loopback, &over_http2), 200);
    }

    #[test]
    fn an_open_server_is_reached_by_its_names_only() {
        let hosts = HostPolicy::names(["Node-1.example.org:7117", "10.0.0.1", "[fd00::1]:7117", "fd00::2"]);
        let cases = [
            ("node-1.example.org", 200),
            ("node-1.example.org:9999", 200),
            ("10.0.0.1:7117", 200),
            ("[fd00::1]:7117", 200),
            ("[fd00:0::2]", 200),
            ("localhost", 421),
            ("example.org", 421),
        ];
        for (host, expected) in cases {
            assert_eq!(verdict(&hosts, &request(&[("host", host)], "")), expected, "{host:?}");
        }
    }

    #[test]
    fn foreign_origins_are_refused() {
        let cases = [
            ("http://localhost:7117", 200),
            ("http://127.0.0.1:7117", 200),
            ("https://localhost:7117", 200),
            ("http://localhost:3000", 403),
            ("http://localhost", 403),
            ("http://example.org:7117", 403),
            ("http://localhost.example.org:7117", 403),
            ("chrome-extension://localhost:7117", 403),
            ("null", 403),
            ("", 403),
        ];
        for (origin, expected) in cases {
            let request = request(&[("host", "localhost:7117"), ("origin", origin)], "");
            assert_eq!(verdict(&HostPolicy::Loopback, &request), expected, "{origin:?}");
        }
        let two =
            request(&[("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://example.org")], "");
        assert_eq!(verdict(&HostPolicy::Loopback, &two), 403);
    }

    #[test]
    fn bodies_that_pages_can_send_unasked_are_refused() {
        let cases = [
            (Some("application/json"), 200),
            (Some("Application/JSON; charset=utf-8"), 200),
            (Some("application/grpc"), 200),
            (Some("application/grpc-web+proto"), 200),
            (Some("text/plain"), 415),
            (Some("application/x-www-form-urlencoded"), 415),
            (Some("application/jsonp"), 415),
            (Some("text/plain; application/json"), 415),
            (None, 415),
        ];
        for (content_type, expected) in cases {
            let mut headers = vec![("host", "localhost")];
            headers.extend(content_type.map(|value| ("content-type", value)));
            assert_eq!(verdict(&HostPolicy::Loopback, &request(&headers, "{}")), expected, "{content_type:?}");
        }
        let empty = request(&[("host", "localhost"), ("content-type", "text/plain")], "");
        assert_eq!(verdict(&HostPolicy::Loopback, &empty), 200);
    }
}
