//! Nodes of a cluster, and the etcd that they share.

use std::time::Duration;

use punctual_tests::Etcd as PrivateEtcd;
use scheduler_core::ids::NodeId;

use crate::etcd::{Etcd, Settings};

/// The shortest that an etcd of the tests grants.
pub(super) const LEASE: Duration = Duration::from_secs(1);

pub(super) fn settings(node: &str, endpoints: Vec<String>) -> Settings {
    Settings {
        endpoints,
        cluster: "test".to_owned(),
        node: NodeId::from(node),
        instance: format!("first-of-{node}"),
        address: format!("{node}.example:7117"),
        schedule_version: "1".to_owned(),
        lease: LEASE,
        user: None,
        tls: None,
    }
}

pub(super) fn node(name: &str, etcd: &PrivateEtcd) -> Etcd {
    Etcd::new(settings(name, etcd.endpoints())).unwrap()
}
