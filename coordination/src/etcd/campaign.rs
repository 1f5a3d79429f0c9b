//! From a lease to leadership: whoever of the living keys has the lowest create revision leads.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::EventType;
use scheduler_core::engine::CandidacyId;
use scheduler_core::txn::Election;
use tokio::time::sleep;

use crate::Error;

use super::Shared;
use super::candidacies::{Candidacies, Candidacy, State};
use super::candidate::{Key, Value};
use super::members::Failure;
use super::requests::{Guard, Outcome, Transaction, Write};
use super::watching::Watching;

/// Between two tries of what etcd does not do.
const PAUSE: Duration = Duration::from_millis(200);

fn over(why: &str) -> Error {
    Error::NotLeading(why.to_owned())
}

impl Shared {
    /// Gets a lease and a key, and waits until it leads. It ends with its candidacy.
    pub(super) async fn stand(&self, id: CandidacyId, candidacy: &Candidacy) -> Result<Election, Error> {
        let lease = self.lease_for_candidacy().await;
        if !Candidacies::advance(candidacy, State::Leased(lease)) {
            return Err(over("it has resigned"));
        }
        let (key, coordinator) = self.put_key(id, lease).await?;
        let key = Arc::new(key);
        if !Candidacies::advance(candidacy, State::Standing(Arc::clone(&key))) {
            return Err(over("it has resigned"));
        }
        self.wait_for_predecessors(&key).await?;
        let revision = key.created;
        if !Candidacies::advance(candidacy, State::Leading(key)) {
            return Err(over("it has resigned"));
        }
        Ok(Election { coordinator, revision })
    }

    /// A lease, as soon as etcd gives one. One that nobody hears of ends by itself.
    async fn lease_for_candidacy(&self) -> i64 {
        loop {
            match self.grant(self.settings.lease).await {
                Ok(lease) => return lease,
                Err(failure) => {
                    tracing::debug!(?failure, "no lease for a candidacy yet");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// The key is made once, however often it must be asked for. Which etcd has made it is told too.
    async fn put_key(&self, id: CandidacyId, lease: i64) -> Result<(Key, String), Error> {
        let name = format!("{}{lease:016x}", self.settings.leader_prefix());
        let value = Value::of(&self.settings, id.0).to_bytes();
        let transaction = Transaction {
            guards: vec![Guard::Made(name.clone(), 0)],
            writes: vec![Write::Put { key: name.clone(), value: value.clone(), lease }],
            otherwise_read: vec![name.clone()],
        };
        loop {
            let (created, cluster) = match self.transact(&transaction).await {
                Ok(Outcome::Done { revision, cluster }) => (revision, cluster),
                // An earlier try of this has made it.
                Ok(Outcome::NotDone { read, cluster }) => match read.into_iter().flatten().next() {
                    Some(kv) if kv.value() == value => (kv.create_revision(), cluster),
                    _ => return Err(over("another has its key")),
                },
                Err(Failure::Gone) => return Err(over("its lease has ended")),
                Err(failure) => {
                    tracing::debug!(?failure, "no key for a candidacy yet");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            return Ok((Key { name, value, lease, created }, format!("{cluster:016x}")));
        }
    }

    async fn wait_for_predecessors(&self, key: &Key) -> Result<(), Error> {
        let prefix = self.settings.leader_prefix();
        loop {
            let (candidates, revision) = match self.read_all(&prefix).await {
                Ok(read) => read,
                Err(failure) => {
                    tracing::debug!(?failure, "the candidates cannot be read");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            if !candidates.iter().any(|kv| key.is(kv)) {
                return Err(over("its key is gone"));
            }
            if candidates.iter().all(|kv| kv.create_revision() >= key.created) {
                return Ok(());
            }
            match Watching::begin(&self.members, &prefix, revision).await {
                Ok(mut watching) => self.wait_for_an_end(&mut watching).await,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Returns when some candidate has gone, or when that cannot be told any more.
    async fn wait_for_an_end(&self, watching: &mut Watching) {
        while let Some(events) = watching.next(&self.members).await {
            if events.iter().any(|event| event.event_type() == EventType::Delete) {
                return;
            }
        }
    }
}
