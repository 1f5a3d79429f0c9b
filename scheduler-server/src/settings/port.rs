//! How the port is protected: TLS, and how much of it clients may have.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use scheduler_core::access::Role;
use tls::ServerFiles;

use super::File;
use crate::http::Limits;
use crate::self_made::SelfMade;

/// What the port speaks TLS with.
#[derive(Clone, Debug)]
pub enum Tls {
    /// Files that somebody else renews.
    Given(ServerFiles),
    /// A certificate for this machine, from an authority of this server's own (`dev --tls`).
    SelfMade(SelfMade),
}

impl Tls {
    pub fn files(&self) -> &ServerFiles {
        match self {
            Tls::Given(files) => files,
            Tls::SelfMade(made) => &made.files,
        }
    }
}

/// All that holds for the port but its address.
pub(super) struct Port {
    pub(super) tls: Option<Tls>,
    pub(super) certified: BTreeSet<Role>,
    pub(super) limits: Limits,
}

#[derive(Debug, Default, Args)]
pub struct PortFlags {
    /// Certificate of this server, in PEM with those of the authorities in between: the port speaks TLS only
    #[arg(long, env = "PUNCTUAL_NODE_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// Key of --tls-cert, in PEM
    #[arg(long, env = "PUNCTUAL_NODE_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Authorities whose clients' certificates are taken, in PEM; without it, none is asked for
    #[arg(long, env = "PUNCTUAL_NODE_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,

    /// Roles whose tokens are good only with a client's certificate of --tls-client-ca: viewer, operator, admin, agent
    #[arg(long, env = "PUNCTUAL_NODE_CLIENT_CERT_FOR", value_name = "ROLE,…", value_delimiter = ',')]
    client_cert_for: Vec<String>,

    /// Number of connections that may be open [default: 10000]
    #[arg(long, env = "PUNCTUAL_NODE_MAX_CONNECTIONS", value_name = "NUMBER")]
    max_connections: Option<usize>,

    /// Number of connections that one address may have open [default: 1000]
    #[arg(long, env = "PUNCTUAL_NODE_MAX_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER")]
    max_connections_per_address: Option<usize>,
}

impl PortFlags {
    pub(super) fn resolve(self, file: &File) -> Result<Port> {
        let mut limits = Limits::default();
        if let Some(connections) = self.max_connections.or(file.max_connections) {
            limits.connections = at_least_one("--max-connections", connections)?;
        }
        if let Some(connections) = self.max_connections_per_address.or(file.max_connections_per_address) {
            limits.connections_per_address = at_least_one("--max-connections-per-address", connections)?;
        }
        let cert = self.tls_cert.or_else(|| file.tls_cert.clone());
        let key = self.tls_key.or_else(|| file.tls_key.clone());
        let client_ca = self.tls_client_ca.or_else(|| file.tls_client_ca.clone());
        let named = [self.client_cert_for, file.client_cert_for.clone()].into_iter().find(|named| !named.is_empty());
        let certified = named.iter().flatten().map(|name| role(name)).collect::<Result<BTreeSet<_>>>()?;
        if !certified.is_empty() && client_ca.is_none() {
            bail!("--client-cert-for: say whose certificates are taken with --tls-client-ca");
        }
        let tls = match (cert, key) {
            (Some(cert), Some(key)) => Some(Tls::Given(ServerFiles { cert, key, client_ca })),
            (None, None) if client_ca.is_none() => None,
            (None, None) => bail!("--tls-client-ca asks for certificates over TLS: give --tls-cert and --tls-key too"),
            _ => bail!("--tls-cert and --tls-key need each other"),
        };
        Ok(Port { tls, certified, limits })
    }
}

fn role(name: &str) -> Result<Role> {
    let known = name.to_ascii_uppercase().parse();
    known.with_context(|| format!("--client-cert-for {name}: viewer, operator, admin or agent"))
}

fn at_least_one(flag: &str, number: usize) -> Result<usize> {
    if number == 0 {
        bail!("{flag} 0: nobody could reach this server");
    }
    Ok(number)
}

/// What whoever listens there lacks; nothing on loopback.
pub(super) fn lacking(listen: SocketAddr, tls: bool, sign_in: bool) -> Vec<&'static str> {
    if listen.ip().is_loopback() {
        return Vec::new();
    }
    let mut lacking = Vec::new();
    if !tls {
        lacking.push("nothing is encrypted (--tls-cert, --tls-key)");
    }
    if !sign_in {
        lacking.push("nobody signs in");
    }
    lacking
}
