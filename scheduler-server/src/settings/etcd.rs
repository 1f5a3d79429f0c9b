//! How etcd is reached where it speaks TLS or asks who calls.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::File;

#[derive(Debug, Default, Args)]
pub struct EtcdFlags {
    /// Authorities of etcd's certificates, in PEM; needed where --etcd says https
    #[arg(long, env = "PUNCTUAL_NODE_ETCD_CA", value_name = "FILE")]
    etcd_ca: Option<PathBuf>,

    /// Certificate that this node shows etcd, in PEM
    #[arg(long, env = "PUNCTUAL_NODE_ETCD_CERT", value_name = "FILE")]
    etcd_cert: Option<PathBuf>,

    /// Key of --etcd-cert, in PEM
    #[arg(long, env = "PUNCTUAL_NODE_ETCD_KEY", value_name = "FILE")]
    etcd_key: Option<PathBuf>,

    /// User that this node is to etcd
    #[arg(long, env = "PUNCTUAL_NODE_ETCD_USER", value_name = "NAME")]
    etcd_user: Option<String>,

    /// File with the password of --etcd-user
    #[arg(long, env = "PUNCTUAL_NODE_ETCD_PASSWORD_FILE", value_name = "FILE")]
    etcd_password_file: Option<PathBuf>,
}

/// What it takes to be let in by etcd. The files are read once, at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdAccess {
    pub ca: Option<PathBuf>,
    /// Certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name, and the file of the password.
    pub user: Option<(String, PathBuf)>,
}

impl EtcdFlags {
    pub(super) fn resolve(self, file: &File) -> Result<EtcdAccess> {
        let cert = self.etcd_cert.or_else(|| file.etcd_cert.clone());
        let key = self.etcd_key.or_else(|| file.etcd_key.clone());
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => bail!("--etcd-cert and --etcd-key need each other"),
        };
        let user = self.etcd_user.or_else(|| file.etcd_user.clone());
        let password = self.etcd_password_file.or_else(|| file.etcd_password_file.clone());
        let user = match (user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            _ => bail!("--etcd-user and --etcd-password-file need each other"),
        };
        let ca = self.etcd_ca.or_else(|| file.etcd_ca.clone());
        if identity.is_some() && ca.is_none() {
            bail!("--etcd-cert is for https: say whose certificates etcd has with --etcd-ca");
        }
        Ok(EtcdAccess { ca, identity, user })
    }

    /// Whether anything was said.
    pub(super) fn is_given(access: &EtcdAccess) -> bool {
        *access != EtcdAccess::default()
    }
}
