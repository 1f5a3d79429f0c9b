//! The server's side: its certificate, the authorities that clients' certificates may come from, and their renewal.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::ring;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::peer;
use crate::pem::{self, FileError};

/// Both versions of HTTP, the better one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where a server's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its certificate, followed by those of the authorities in between.
    pub cert: PathBuf,
    /// The key of the first certificate.
    pub key: PathBuf,
    /// The authorities whose clients' certificates are taken. Without it, none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// Why a server cannot speak TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{cert} and {key} do not go together: {error}")]
    Pair { cert: String, key: String, error: rustls::Error },
    #[error("{path} has a certificate that cannot be an authority's: {reason}")]
    Authority { path: String, reason: String },
}

/// What [`ServerTls::reload`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files are those of the last look.
    Unchanged,
    /// New connections get the new certificate.
    Changed,
}

/// What new connections are accepted with. Connections that are there keep what they began with.
#[derive(Debug)]
pub struct ServerTls {
    files: ServerFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What was read last, whether it was of use or not.
    seen: Contents,
    current: Current,
}

#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    valid_until: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl ServerTls {
    /// Reads the files.
    pub fn load(files: ServerFiles) -> Result<Self, ServerError> {
        let seen = Contents::read(&files)?;
        let current = build(&files, &seen)?;
        Ok(Self { files, state: Mutex::new(State { seen, current }) })
    }

    /// Looks whether the files have changed, and takes them if they are right. After an error everything is as it was,
    /// and the same contents are not complained of again.
    pub fn reload(&self) -> Result<Reload, ServerError> {
        let contents = Contents::read(&self.files)?;
        let mut state = self.state();
        if contents == state.seen {
            return Ok(Reload::Unchanged);
        }
        let built = build(&self.files, &contents);
        state.seen = contents;
        state.current = built?;
        Ok(Reload::Changed)
    }

    /// Accepts one connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.state().current.config))
    }

    /// The last second of the certificate, since 1970.
    pub fn valid_until(&self) -> Option<i64> {
        self.state().current.valid_until
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn read(files: &ServerFiles) -> Result<Self, FileError> {
        Ok(Self {
            cert: pem::read(&files.cert)?,
            key: pem::read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(pem::read).transpose()?,
        })
    }
}

fn build(files: &ServerFiles, contents: &Contents) -> Result<Current, ServerError> {
    let provider = Arc::new(ring::default_provider());
    let chain = pem::certificates(&files.cert, &contents.cert)?;
    let key = pem::key(&files.key, &contents.key)?;
    let valid_until = chain.first().and_then(peer::valid_until);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("because ring supports the versions that are the default");
    let builder = match (&files.client_ca, &contents.client_ca) {
        (Some(path), Some(pem)) => {
            let wrong = |reason: String| ServerError::Authority { path: path.display().to_string(), reason };
            let mut roots = RootCertStore::empty();
            for authority in pem::certificates(path, pem)? {
                roots.add(authority).map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            // A token may say who the client is instead: whether a certificate is needed is a matter of its role.
            let verifier = verifier.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error: VerifierBuilderError| wrong(error.to_string()))?)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| ServerError::Pair {
        cert: files.cert.display().to_string(),
        key: files.key.display().to_string(),
        error,
    })?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Current { config: Arc::new(config), valid_until })
}
