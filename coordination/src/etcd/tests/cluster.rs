//! Nodes of a cluster, and the etcd that they share.

use std::time::Duration;

use punctual_tests::Etcd as PrivateEtcd;
use scheduler_core::ids::NodeId;
use scheduler_core::time::Timestamp;

use crate::etcd::{Etcd, Settings};

/// Of those that are meant to end: long enough that a busy machine does not end those that are renewed.
pub(super) const BRIEF: Duration = Duration::from_secs(3);
/// Nobody who has this needs a renewal within a test.
pub(super) const LASTING: Duration = Duration::from_secs(300);

pub(super) fn settings(node: &str, endpoints: Vec<String>) -> Settings {
    Settings {
        endpoints,
        cluster: "test".to_owned(),
        node: NodeId::from(node),
        instance: format!("first-of-{node}"),
        address: format!("{node}.example:7117"),
        schedule_version: "1".to_owned(),
        version: "0".to_owned(),
        started: Timestamp::MIN,
        lease: LASTING,
        user: None,
        tls: None,
        plant: None,
    }
}

pub(super) fn node(name: &str, etcd: &PrivateEtcd) -> Etcd {
    Etcd::new(settings(name, etcd.endpoints())).unwrap()
}

/// One whose candidacies end when they are not renewed.
pub(super) fn brief(name: &str, etcd: &PrivateEtcd) -> Etcd {
    Etcd::new(Settings { lease: BRIEF, ..settings(name, etcd.endpoints()) }).unwrap()
}
