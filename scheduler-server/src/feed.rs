//! Which runs change, as it is committed: what those who watch them live from (PROTOCOL.md, rule 2).
//!
//! A bounded memory of ids, and no queue for each watcher: a watcher has a place in it and reads the runs from the
//! ledger when it gets to them, so that a slow one costs nothing but the states that it does not see. One that has fallen
//! out of the memory, or comes with a place of an earlier term, goes on from the ledger, by what its [`Mark`] says.

mod followers;

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scheduler_core::engine::Publication;
use scheduler_core::ids::{Epoch, RunId};
use scheduler_core::run::{Run, Trigger};
use scheduler_core::time::Timestamp;
use tokio::sync::watch;

use followers::Followers;
pub use followers::{Following, Seen};

/// Changes that are remembered: some seconds of a busy leader, hours of most. 40 bytes each.
const MOST_CHANGES: usize = 1 << 16;
/// Commits that are remembered, many of which change no run.
const MOST_COMMITS: usize = 1 << 16;

/// A place in the events of a term.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub epoch: Epoch,
    /// Commits of the term up to here.
    pub n: u64,
}

/// A place, and what the ledger can be asked for to go on from it without the feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    pub place: Place,
    /// No run with a lower id changes after it.
    pub floor: RunId,
    /// What ends after it has an `end_time` of this or later, unless clocks differ.
    pub time: Timestamp,
}

/// Which runs somebody wants to hear of.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    /// `None`: any; those of an empty list are none.
    pub namespaces: Option<Vec<String>>,
    pub job_id: Option<String>,
    /// Empty means any.
    pub triggers: Vec<Trigger>,
}

impl Interest {
    pub fn covers(&self, run: &Run) -> bool {
        let of_interest = |namespaces: &Vec<String>| namespaces.contains(&run.job_key.namespace);
        self.namespaces.as_ref().is_none_or(of_interest)
            && self.job_id.as_ref().is_none_or(|job_id| *job_id == run.job_key.job_id)
            && (self.triggers.is_empty() || self.triggers.contains(&run.trigger))
    }

    /// As filters have it, one after the other; `None` is any.
    pub fn each_namespace(&self) -> Vec<Option<String>> {
        match &self.namespaces {
            None => vec![None],
            Some(namespaces) => namespaces.iter().cloned().map(Some).collect(),
        }
    }

    /// Whether it may cover the run: names are compared by their hashes.
    fn may_cover(&self, change: &Change) -> bool {
        let of_interest = |namespaces: &Vec<String>| namespaces.iter().any(|name| short(name) == change.namespace);
        self.namespaces.as_ref().is_none_or(of_interest)
            && self.job_id.as_ref().is_none_or(|job_id| short(job_id) == change.job_id)
            && (self.triggers.is_empty() || self.triggers.contains(&change.trigger))
    }
}

struct Change {
    run: RunId,
    namespace: u64,
    job_id: u64,
    trigger: Trigger,
}

struct Commit {
    mark: Mark,
    changes: Vec<Change>,
}

/// What has happened after a place.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// It is not remembered.
    Forgotten,
    /// Runs that have changed up to the mark, each once.
    Changed(Vec<RunId>, Mark),
}

#[derive(Default)]
struct Memory {
    /// After the latest commit; none before the first term.
    mark: Option<Mark>,
    commits: VecDeque<Commit>,
    changes: usize,
    followers: Followers,
    /// Runs with output that was not committed when the latest commit was.
    logs_under_way: BTreeSet<RunId>,
}

/// See the module.
pub struct Feed {
    memory: Mutex<Memory>,
    moved: watch::Sender<()>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { memory: Mutex::default(), moved: watch::Sender::new(()) }
    }
}

impl Feed {
    pub fn publish(&self, publication: &Publication) {
        self.memory().publish(publication);
        self.moved.send_replace(());
    }

    /// The place after the latest commit; none while no leader has ever been known here.
    pub fn mark(&self) -> Option<Mark> {
        self.memory().mark
    }

    /// Runs of interest that changed after `place`: of as many commits as hold about `most` of them.
    pub fn after(&self, place: Place, interest: &Interest, most: usize) -> After {
        self.memory().after(place, interest, most)
    }

    /// Told of every commit.
    pub fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Told of what is committed of one run, and of its output.
    pub fn follow(self: &Arc<Self>, run: RunId) -> Following {
        let seen = self.memory().follow(run);
        Following::new(Arc::clone(self), run, seen)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What a panic left half done is a commit that is not remembered, at worst.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn publish(&mut self, publication: &Publication) {
        let Publication { epoch, committed, floor, time, logs_under_way } = publication;
        let n = self.mark.filter(|mark| mark.place.epoch == *epoch).map_or(0, |mark| mark.place.n + 1);
        let mark = Mark { place: Place { epoch: *epoch, n }, floor: *floor, time: *time };
        self.mark = Some(mark);
        self.logs_under_way.clone_from(logs_under_way);
        let Some(transaction) = committed else {
            self.commits.clear();
            self.changes = 0;
            return;
        };
        let runs = transaction.entered.iter().chain(&transaction.updated);
        let changes: Vec<Change> = runs.map(change).collect();
        self.changes += changes.len();
        self.commits.push_back(Commit { mark, changes });
        while self.changes > MOST_CHANGES || self.commits.len() > MOST_COMMITS {
            let Some(oldest) = self.commits.pop_front() else { break };
            self.changes -= oldest.changes.len();
        }
        self.followers.tell(transaction, logs_under_way);
    }

    fn follow(&mut self, run: RunId) -> watch::Receiver<Seen> {
        self.followers.add(run, self.logs_under_way.contains(&run))
    }

    fn after(&self, place: Place, interest: &Interest, most: usize) -> After {
        let Some(mut mark) = self.mark.filter(|mark| mark.place.epoch == place.epoch && mark.place.n >= place.n) else {
            return After::Forgotten;
        };
        let missed = usize::try_from(mark.place.n - place.n).unwrap_or(usize::MAX);
        let Some(first) = self.commits.len().checked_sub(missed) else { return After::Forgotten };
        let mut changed = BTreeSet::new();
        for commit in self.commits.range(first..) {
            mark = commit.mark;
            changed.extend(commit.changes.iter().filter(|change| interest.may_cover(change)).map(|change| change.run));
            if changed.len() >= most {
                break;
            }
        }
        After::Changed(changed.into_iter().collect(), mark)
    }
}

fn change(run: &Run) -> Change {
    let (namespace, job_id) = (short(&run.job_key.namespace), short(&run.job_key.job_id));
    Change { run: run.id, namespace, job_id, trigger: run.trigger }
}

fn short(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
