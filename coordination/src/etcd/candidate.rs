//! A candidate's key: who stands, since when, and on which lease.

use etcd_client::KeyValue;
use scheduler_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Peer};

use super::requests::Guard;
use super::settings::Settings;

/// A key of this node's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    pub(super) lease: i64,
    /// The revision that made it: who has the lowest leads.
    pub(super) created: i64,
}

impl Key {
    /// What every transaction of a leader must find.
    pub(super) fn guard(&self) -> Guard {
        Guard::Made(self.name.clone(), self.created)
    }

    /// Of a transaction that was not done, whether that is because this node leads no more.
    pub(super) fn is_there(&self, read: Option<&KeyValue>) -> Result<(), Error> {
        if read.is_some_and(|kv| self.is(kv)) {
            return Ok(());
        }
        Err(Error::NotLeading("its key is gone".to_owned()))
    }

    /// Whether this is what etcd has. In another history of etcd the same name may be somebody else's.
    pub(super) fn is(&self, kv: &KeyValue) -> bool {
        kv.key() == self.name.as_bytes() && kv.create_revision() == self.created && kv.value() == self.value
    }
}

/// What a candidate's key says; all that later versions add is passed over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Value {
    pub(super) node: String,
    pub(super) instance: String,
    pub(super) address: String,
    pub(super) schedule_version: String,
    /// Of the process's candidacies, this one.
    pub(super) candidacy: u64,
    #[serde(default)]
    pub(super) version: String,
    /// In microseconds of the Unix epoch.
    #[serde(default)]
    pub(super) started: Option<i64>,
}

impl Value {
    pub(super) fn of(settings: &Settings, candidacy: u64) -> Self {
        Self {
            node: settings.node.to_string(),
            instance: settings.instance.clone(),
            address: settings.address.clone(),
            schedule_version: settings.schedule_version.clone(),
            candidacy,
            version: settings.version.clone(),
            started: Some(settings.started.as_micros()),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("because text and numbers are JSON")
    }
}

/// A candidate as etcd has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) created: i64,
    /// `None`: this version cannot read what it says.
    pub(super) value: Option<Value>,
}

impl Candidate {
    pub(super) fn peer(&self) -> Option<Peer> {
        let Value { node, instance, address, version, started, .. } = self.value.clone()?;
        let started = started.map(Timestamp::from_micros);
        Some(Peer { node: node.into(), instance, address, version, started, elected: self.created })
    }
}

impl From<&KeyValue> for Candidate {
    fn from(kv: &KeyValue) -> Self {
        Self { created: kv.create_revision(), value: serde_json::from_slice(kv.value()).ok() }
    }
}
