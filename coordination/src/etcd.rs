//! The coordinator of a cluster: an election in etcd, by leases (PROTOCOL.md, section 3).
//!
//! Each candidacy has a lease and a key on it below `/punctual/<cluster>/leader/`. Of the living keys the one that was made
//! first leads. What etcd says is believed when it was said after the question, by a majority: proofs are linearizable
//! reads, and a watch begins with one. Nothing here counts the lease's time: the engine does.

mod campaign;
mod candidacies;
mod candidate;
mod members;
mod news;
mod requests;
mod settings;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests;
mod version;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use scheduler_core::engine::CandidacyId;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::{Coordinator, Error, News};

use candidacies::{Candidacies, State};
use members::Members;

pub use settings::{BadSetting, Settings, Tls, User};

/// One member may take this part of the lease: the others are asked in the rest.
const PATIENCE: u32 = 6;

pub struct Etcd {
    shared: Arc<Shared>,
    news: Mutex<BoxStream<'static, News>>,
}

/// What calls and watches have in common.
struct Shared {
    settings: Settings,
    members: Members,
    candidacies: Candidacies,
}

impl Etcd {
    /// Does nothing yet: etcd need not be there.
    pub fn new(settings: Settings) -> Result<Self, BadSetting> {
        settings.check()?;
        let members =
            Members::new(&settings.endpoints, settings.options(), settings.user.is_some(), settings.lease / PATIENCE);
        let shared = Arc::new(Shared { settings, members, candidacies: Candidacies::default() });
        Ok(Self { news: Mutex::new(news::news(Arc::clone(&shared))), shared })
    }
}

#[async_trait]
impl Coordinator for Etcd {
    fn lease(&self) -> Option<Duration> {
        Some(self.shared.settings.lease)
    }

    async fn campaign(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let known = self.shared.candidacies.of(candidacy);
        let mut state = known.subscribe();
        let result = tokio::select! {
            biased;
            _ = state.wait_for(|state| *state == State::Over) => {
                Err(Error::NotLeading("it has resigned, or lost its key".to_owned()))
            }
            result = self.shared.stand(candidacy, &known) => result,
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

    async fn prove(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let State::Leading(key) = self.shared.candidacies.state(candidacy) else {
            return Err(Error::NotLeading("it is not elected, or no more".to_owned()));
        };
        match self.shared.read(&key.name).await? {
            Some(kv) if key.is(&kv) => Ok(()),
            _ => Err(Error::NotLeading("its key is gone".to_owned())),
        }
    }

    async fn resign(&self, candidacy: CandidacyId) {
        let Some(lease) = self.shared.candidacies.end(candidacy).and_then(|state| state.lease()) else { return };
        // Where that fails the lease ends by itself: nobody renews it any more.
        if let Err(failure) = self.shared.revoke(lease).await {
            tracing::debug!(?failure, "a lease is left to end by itself");
        }
    }

    async fn news(&self) -> News {
        let mut news = self.news.lock().await;
        news.next().await.expect("because the news never end")
    }
}
