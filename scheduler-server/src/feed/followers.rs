//! Those who wait for news of one run: who tails its output.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scheduler_core::ids::RunId;
use scheduler_core::txn::Transaction;
use tokio::sync::watch;

use super::Feed;

/// What has been told of a run since somebody follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Its end is committed.
    pub ended: bool,
    /// The leader has output of it that is not committed.
    pub logs_under_way: bool,
}

#[derive(Default)]
pub(super) struct Followers(BTreeMap<RunId, watch::Sender<Seen>>);

impl Followers {
    /// `logs_under_way` is what is known of it when nobody follows it yet.
    pub(super) fn add(&mut self, run: RunId, logs_under_way: bool) -> watch::Receiver<Seen> {
        let seen = Seen { ended: false, logs_under_way };
        self.0.entry(run).or_insert_with(|| watch::Sender::new(seen)).subscribe()
    }

    fn leave(&mut self, run: RunId) {
        // The one that leaves is still counted.
        if self.0.get(&run).is_some_and(|seen| seen.receiver_count() <= 1) {
            self.0.remove(&run);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn tell(&mut self, transaction: &Transaction, logs_under_way: &BTreeSet<RunId>) {
        if self.0.is_empty() {
            return;
        }
        let mut told = BTreeSet::new();
        for run in transaction.entered.iter().chain(&transaction.updated) {
            if let Some(seen) = self.0.get(&run.id) {
                seen.send_if_modified(|seen| {
                    seen.ended = run.state.is_ended();
                    false
                });
                told.insert(run.id);
            }
        }
        let logged = transaction.logs.iter().map(|chunk| chunk.attempt.run);
        told.extend(logged.filter(|run| self.0.contains_key(run)));
        for (run, seen) in &self.0 {
            seen.send_if_modified(|seen| {
                let under_way = logs_under_way.contains(run);
                std::mem::replace(&mut seen.logs_under_way, under_way) != under_way || told.contains(run)
            });
        }
    }
}

/// News of one run, until dropped.
pub struct Following {
    feed: Arc<Feed>,
    run: RunId,
    seen: watch::Receiver<Seen>,
}

impl Following {
    pub(super) fn new(feed: Arc<Feed>, run: RunId, seen: watch::Receiver<Seen>) -> Self {
        Self { feed, run, seen }
    }

    /// All that has been told; what is told later ends the next wait.
    pub fn seen(&mut self) -> Seen {
        *self.seen.borrow_and_update()
    }

    /// Waits until more is told.
    pub async fn news(&mut self) {
        if self.seen.changed().await.is_err() {
            // Only a feed that is gone has nothing more to tell, and we keep it.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.feed.memory().followers.leave(self.run);
    }
}
