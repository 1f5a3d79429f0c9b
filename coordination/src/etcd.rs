//! The coordinator of a cluster: an election in etcd, by leases (PROTOCOL.md, section 3).
//!
//! Each candidacy has a lease and a key on it below `/punctual/<cluster>/leader/`. Of the living keys the one that was made
//! first leads. What etcd says is believed when it was said after the question, by a majority: proofs are linearizable
//! reads, and a watch begins with one. Nothing here counts the lease's time: the engine does.

mod campaign;
mod candidacies;
mod candidate;
mod lent;
mod locks;
mod members;
mod news;
#[cfg(test)]
mod plant;
mod requests;
mod settings;
mod status;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::KeyValue;
use futures::StreamExt;
use futures::stream::BoxStream;
use scheduler_core::engine::CandidacyId;
use scheduler_core::ids::AgentInstance;
use scheduler_core::lock::HeldLock;
use scheduler_core::txn::Election;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::{Coordinator, Error, Locks, News, Peer, Proof, Size};

use candidacies::{Candidacies, State};
use candidate::Candidate;
use lent::{Lent, Renewed};
use members::Members;
use requests::{Guard, Outcome, Transaction, Write};

pub use settings::{BadSetting, Settings, Tls, User};

/// One member may take this part of the lease, and not longer than that: the others are asked in the rest.
const PATIENCE: u32 = 6;
const LONGEST_PATIENCE: Duration = Duration::from_secs(1);

pub struct Etcd {
    shared: Arc<Shared>,
    news: Mutex<BoxStream<'static, News>>,
}

/// What calls and watches have in common.
struct Shared {
    settings: Settings,
    members: Members,
    candidacies: Candidacies,
    lent: Lent,
    /// See [`plant::Plant::StaleReads`].
    #[cfg(test)]
    first_read: std::sync::Mutex<std::collections::BTreeMap<Vec<u8>, Vec<KeyValue>>>,
}

impl Etcd {
    /// Does nothing yet: etcd need not be there.
    pub fn new(settings: Settings) -> Result<Self, BadSetting> {
        settings.check()?;
        let members = Members::new(
            &settings.endpoints,
            settings.options(),
            settings.user.is_some(),
            (settings.lease / PATIENCE).min(LONGEST_PATIENCE),
        );
        let shared = Arc::new(Shared {
            settings,
            members,
            candidacies: Candidacies::default(),
            lent: Lent::default(),
            #[cfg(test)]
            first_read: std::sync::Mutex::default(),
        });
        Ok(Self { news: Mutex::new(news::news(Arc::clone(&shared))), shared })
    }
}

#[async_trait]
impl Coordinator for Etcd {
    fn lease(&self) -> Option<Duration> {
        Some(self.shared.settings.lease)
    }

    async fn campaign(&self, candidacy: CandidacyId) -> Result<Option<Election>, Error> {
        let known = self.shared.candidacies.of(candidacy);
        let mut state = known.subscribe();
        let result = tokio::select! {
            biased;
            _ = state.wait_for(|state| *state == State::Over) => {
                Err(Error::NotLeading("it has resigned, or lost its key".to_owned()))
            }
            result = self.shared.stand(candidacy, &known) => result.map(Some),
        };
        if result.is_err() {
            self.shared.candidacies.end(candidacy);
        }
        result
    }

    async fn keep_alive(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let known = self.shared.candidacies.of(candidacy);
        let mut state = known.subscribe();
        // It may come before its campaign has a lease.
        let leased = state.wait_for(|state| *state != State::Begun);
        let state = timeout(self.shared.members.patience(), leased).await.ok().and_then(Result::ok);
        let Some(lease) = state.and_then(|state| state.lease()) else {
            return Err(Error::NotLeading("it has no lease".to_owned()));
        };
        Ok(self.shared.renew(lease).await?)
    }

    async fn prove(&self, candidacy: CandidacyId, renewing: &[AgentInstance]) -> Result<Proof, Error> {
        let key = self.shared.leading(candidacy)?;
        // Before the read: what it proves is believed to be later than the renewals (rule 18).
        let Renewed { ended, unrenewed } = self.shared.renew_all(renewing).await;
        let (read, revision) = self.shared.read(&key.name).await?;
        key.is_there(read.as_ref())?;
        Ok(Proof { revision: Some(revision), ended, unrenewed })
    }

    async fn bury(&self, leader: &Peer) -> Result<bool, Error> {
        let (candidates, _) = self.shared.read_all(&self.shared.settings.leader_prefix()).await?;
        let is_its = |kv: &&KeyValue| Candidate::from(*kv).peer().as_ref() == Some(leader);
        let Some(kv) = candidates.iter().find(is_its) else { return Ok(false) };
        let key = String::from_utf8_lossy(kv.key()).into_owned();
        let transaction = Transaction {
            guards: vec![Guard::Made(key.clone(), leader.elected)],
            writes: vec![Write::Delete { key }],
            otherwise_read: Vec::new(),
        };
        Ok(matches!(self.shared.transact(&transaction).await?, Outcome::Done { .. }))
    }

    fn locks(&self) -> Option<&dyn Locks> {
        Some(self)
    }

    async fn resign(&self, candidacy: CandidacyId) {
        let Some(lease) = self.shared.candidacies.end(candidacy).and_then(|state| state.lease()) else { return };
        // Where that fails the lease ends by itself: nobody renews it any more.
        if let Err(failure) = self.shared.revoke(lease).await {
            tracing::debug!(?failure, "a lease is left to end by itself");
        }
    }

    async fn sizes(&self) -> Vec<Size> {
        self.shared.sizes().await
    }

    async fn news(&self) -> News {
        let mut news = self.news.lock().await;
        news.next().await.expect("because the news never end")
    }
}

#[async_trait]
impl Locks for Etcd {
    async fn lend(&self, candidacy: CandidacyId, agent: AgentInstance, lasts: Duration) -> Result<Duration, Error> {
        let leader = self.shared.leading(candidacy)?;
        self.shared.lend(&leader, agent, lasts).await
    }

    async fn take(&self, candidacy: CandidacyId, locks: &[HeldLock]) -> Result<Vec<HeldLock>, Error> {
        let leader = self.shared.leading(candidacy)?;
        let Some(agent) = locks.first().map(|lock| lock.holder.instance) else { return Ok(Vec::new()) };
        let lease = self.shared.lent.to(agent).ok_or(Error::NoLease)?;
        self.shared.take(&leader, lease, locks).await
    }

    async fn release(&self, candidacy: CandidacyId, locks: &[HeldLock]) -> Result<(), Error> {
        let leader = self.shared.leading(candidacy)?;
        self.shared.release(&leader, locks).await
    }

    async fn held(&self, candidacy: CandidacyId) -> Result<Vec<HeldLock>, Error> {
        self.shared.leading(candidacy)?;
        self.shared.held().await
    }
}
