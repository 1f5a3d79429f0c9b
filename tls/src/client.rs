//! The client's side: which servers it trusts, and the certificate that it shows them.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::pem::{self, FileError};
use crate::plain;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client was told about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that servers' certificates may come from; those of the system where it is not given.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, and its key.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must have, where it is not the one in the URL.
    pub server_name: Option<String>,
}

/// Files that have been read.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: ClientTlsConfig,
}

/// How a URL says that its server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Plain,
    /// `https://`
    Tls,
}

impl Scheme {
    /// `None`: some other one, or none.
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once("://")?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Plain),
            "https" => Some(Self::Tls),
            _ => None,
        }
    }
}

/// Whether what goes to this URL can be read on its way: a token, say.
pub fn is_exposed(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    };
    Scheme::of(url) != Some(Scheme::Tls) && !is_loopback
}

/// The URL of a server that may be written as `HOST:PORT`, which is meant without TLS.
pub fn with_scheme(server: &str) -> String {
    if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
}

impl ClientFiles {
    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// Why these settings and this server's URL do not go together, if they do not.
    pub fn contradicts(&self, url: &str) -> Option<String> {
        if self.cert.is_some() != self.key.is_some() {
            return Some("--tls-cert and --tls-key need each other".to_owned());
        }
        if self.is_given() && Scheme::of(url) == Some(Scheme::Plain) {
            return Some(format!("the --tls- flags do not protect {url}: write https://, or leave them out"));
        }
        None
    }

    /// Reads the files.
    pub fn load(&self) -> Result<ClientTls, FileError> {
        let mut config = ClientTlsConfig::new().timeout(HANDSHAKE_TIMEOUT);
        config = match &self.ca {
            Some(path) => {
                let text = pem::read(path)?;
                pem::certificates(path, &text)?;
                config.ca_certificate(Certificate::from_pem(text))
            }
            None => config.with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            let (chain, secret) = (pem::read(cert)?, pem::read(key)?);
            pem::certificates(cert, &chain)?;
            pem::key(key, &secret)?;
            config = config.identity(Identity::from_pem(chain, secret));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        Ok(ClientTls { config })
    }
}

impl ClientTls {
    /// For an endpoint of tonic's.
    pub fn config(&self) -> ClientTlsConfig {
        self.config.clone()
    }
}

/// What to do about a failed connection, where its cause is that one side speaks TLS and the other does not.
pub fn explain(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if words.contains(plain::ADVICE) {
            return Some(plain::ADVICE);
        }
        if words.contains("InvalidContentType") {
            return Some("this port does not speak TLS: write http:// instead of https://");
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_unencrypted_is_exposed() {
        for url in [
            "http://10.0.0.1:7117",
            "http://[fd00::1]:7117",
            "http://a.example",
            "http://localhost.example/",
            "HTTP://a",
        ] {
            assert!(is_exposed(url), "{url}");
        }
        let closed = [
            "https://a.example",
            "http://127.0.0.1:7117/x",
            "http://localhost",
            "http://[::1]:1",
            "http://a.localhost:1",
        ];
        for url in closed {
            assert!(!is_exposed(url), "{url}");
        }
    }
}
