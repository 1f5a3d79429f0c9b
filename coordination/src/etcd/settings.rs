//! What this node must know to find its cluster in etcd, and to be found there by others.

use std::time::Duration;

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use scheduler_core::ids::NodeId;
use scheduler_core::time::Timestamp;

/// How long a new connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// A member that is silent on an open stream is asked whether it lives. etcd breaks connections that ask more often than
/// every 5 s.
const PING: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(2));
const LONGEST_NAME: usize = 63;

#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host:port` or `https://host:port`, one for each member of etcd.
    pub endpoints: Vec<String>,
    /// Clusters of different names share an etcd without knowing of each other.
    pub cluster: String,
    pub node: NodeId,
    /// Of this process: a restarted node is another one.
    pub instance: String,
    /// Where agents and other nodes reach this one.
    pub address: String,
    pub schedule_version: String,
    /// Of the program, and when this process started.
    pub version: String,
    pub started: Timestamp,
    /// How long this node leads after a keep-alive; whole seconds, because etcd counts in them.
    pub lease: Duration,
    pub user: Option<User>,
    /// For endpoints with `https`.
    pub tls: Option<Tls>,
    #[cfg(test)]
    pub(super) plant: Option<super::plant::Plant>,
}

/// Who this node is to etcd, where that asks.
#[derive(Clone)]
pub struct User {
    pub name: String,
    pub password: String,
}

/// All in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Who has signed etcd's certificates.
    pub ca: Vec<u8>,
    /// This node's own certificate and key, where etcd asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name in etcd's certificates, where that is not the endpoints' host.
    pub server_name: Option<String>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A setting that cannot be meant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {why}")]
pub struct BadSetting {
    pub field: &'static str,
    pub why: String,
}

fn bad(field: &'static str, why: impl Into<String>) -> BadSetting {
    BadSetting { field, why: why.into() }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        if self.endpoints.is_empty() {
            return Err(bad("endpoints", "at least one is needed"));
        }
        for endpoint in &self.endpoints {
            let Some((scheme, host)) = endpoint.split_once("://").filter(|(_, host)| !host.is_empty()) else {
                return Err(bad("endpoints", format!("{endpoint} does not begin with http:// or https://")));
            };
            match (scheme, &self.tls) {
                ("http", None) | ("https", Some(_)) => {}
                ("http", Some(_)) => return Err(bad("tls", format!("{endpoint} is not https, and would go without"))),
                ("https", None) => return Err(bad("tls", format!("{endpoint} needs a certificate authority"))),
                _ => return Err(bad("endpoints", format!("{host} has the scheme {scheme}: http or https is needed"))),
            }
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.cluster.is_empty() || self.cluster.len() > LONGEST_NAME || !self.cluster.chars().all(is_plain) {
            return Err(bad("cluster", format!("1 to {LONGEST_NAME} of a-z, 0-9 and - are needed")));
        }
        if self.lease.as_secs() == 0 || self.lease.subsec_nanos() != 0 {
            return Err(bad("lease", "whole seconds are needed"));
        }
        Ok(())
    }

    pub(super) fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(PING.0, PING.1)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if let Some(User { name, password }) = &self.user {
            options = options.with_user(name, password);
        }
        if let Some(tls) = &self.tls {
            let mut config = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.ca));
            if let Some((certificate, key)) = &tls.identity {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            if let Some(name) = &tls.server_name {
                config = config.domain_name(name);
            }
            options = options.with_tls(config);
        }
        options
    }

    /// All keys of the cluster begin with this.
    pub(super) fn prefix(&self) -> String {
        format!("/punctual/{}/", self.cluster)
    }

    pub(super) fn agent_prefix(&self) -> String {
        self.prefix() + "agents/"
    }

    pub(super) fn lock_prefix(&self) -> String {
        self.prefix() + "locks/"
    }

    pub(super) fn leader_prefix(&self) -> String {
        self.prefix() + "leader/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            cluster: "blue".to_owned(),
            node: NodeId::from("a"),
            instance: "1".to_owned(),
            address: "127.0.0.1:7117".to_owned(),
            schedule_version: "1".to_owned(),
            version: "0".to_owned(),
            started: Timestamp::MIN,
            lease: Duration::from_secs(3),
            user: None,
            tls: None,
            plant: None,
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused_by_name() {
        settings().check().unwrap();
        let tls = Some(Tls { ca: Vec::new(), identity: None, server_name: None });
        let one = |endpoint: &str| vec![endpoint.to_owned()];
        let cases = [
            ("endpoints", Settings { endpoints: Vec::new(), ..settings() }),
            ("endpoints", Settings { endpoints: one("127.0.0.1:2379"), ..settings() }),
            ("endpoints", Settings { endpoints: one("ftp://127.0.0.1:2379"), ..settings() }),
            ("tls", Settings { endpoints: one("https://127.0.0.1:2379"), ..settings() }),
            ("tls", Settings { tls, ..settings() }),
            ("cluster", Settings { cluster: String::new(), ..settings() }),
            ("cluster", Settings { cluster: "a/b".to_owned(), ..settings() }),
            ("lease", Settings { lease: Duration::from_millis(1_500), ..settings() }),
            ("lease", Settings { lease: Duration::ZERO, ..settings() }),
        ];
        for (field, settings) in cases {
            assert_eq!(settings.check().map_err(|bad| bad.field), Err(field), "{settings:?}");
        }
    }

    #[test]
    fn a_password_is_not_told_to_logs() {
        let user = User { name: "punctual".to_owned(), password: "secret".to_owned() };
        assert!(!format!("{:?}", Settings { user: Some(user), ..settings() }).contains("secret"));
    }
}
