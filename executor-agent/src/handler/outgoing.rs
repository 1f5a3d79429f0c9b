//! Connections from tasks to the outside: TCP, and TLS to whoever has a certificate of a root that this machine trusts.
//!
//! One connector for HTTP and gRPC tasks. There is no proxy, and nothing is remembered between tasks but open connections.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// How long TCP may take; without a limit, an address that drops packets costs minutes.
const CONNECT_IN: Duration = Duration::from_secs(10);

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// The roots that the machine trusts: its store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Reads files.
pub(super) fn machine_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        tracing::warn!(
            unusable,
            errors,
            "this machine trusts no certificate authority: tasks cannot use https:// before ca-certificates is \
             installed, or SSL_CERT_FILE names a file with roots"
        );
    }
    roots
}

fn tls(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("because ring has these versions");
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// HTTP/1.1, and HTTP/2 where the server prefers it.
pub(super) fn any_http(roots: RootCertStore) -> Connector {
    HttpsConnectorBuilder::new().with_tls_config(tls(roots)).https_or_http().enable_all_versions().wrap_connector(tcp())
}

/// HTTP/2 only.
pub(super) fn http2(roots: RootCertStore) -> Connector {
    HttpsConnectorBuilder::new().with_tls_config(tls(roots)).https_or_http().enable_http2().wrap_connector(tcp())
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_IN));
    tcp
}

/// An error with its causes on one line, as far as they say something new.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = text + ": " + &next;
        }
        cause = error.source();
    }
    text
}
