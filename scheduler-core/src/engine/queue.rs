//! What waits for an agent: runs that could start, and fires that are due and undecided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{JobUid, RunId};
use crate::job::Definition;
use crate::time::{Timestamp, micros};

use super::config::PRIORITY_POINT;

/// What an agent must be to execute it. Candidates of one class are interchangeable for placement.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Class {
    pub(super) task_type: String,
    pub(super) queue: String,
    pub(super) selector: BTreeMap<String, String>,
}

impl Class {
    pub(super) fn of(definition: &Definition) -> Arc<Self> {
        Arc::new(Self {
            task_type: definition.task.task_type.clone(),
            queue: definition.queue.clone(),
            selector: definition.agent_selector.clone(),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Candidate {
    /// A run in the ledger, or in the batch that is being made, without an unended attempt. Of candidates of
    /// one rank it comes first, so that a fire is entered with its attempt before the next is entered (rule 8).
    Run(RunId),
    /// A job with due instants that nothing has been decided about.
    Due(JobUid),
}

/// The order of dispatch: lower goes first. A point of priority is worth a fixed time of waiting, so that
/// the order of two candidates never changes and nothing waits for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank(i64);

impl Rank {
    pub(super) fn new(priority: i32, due: Timestamp) -> Self {
        Self(due.as_micros().saturating_sub(i64::from(priority).saturating_mul(micros(PRIORITY_POINT))))
    }
}

type Place = (Arc<Class>, Rank);

#[derive(Default, Debug)]
pub(super) struct Queue {
    classes: BTreeMap<Arc<Class>, BTreeSet<(Rank, Candidate)>>,
    places: BTreeMap<Candidate, Place>,
}

impl Queue {
    pub(super) fn push(&mut self, candidate: Candidate, class: Arc<Class>, rank: Rank) {
        let before = self.places.insert(candidate, (Arc::clone(&class), rank));
        debug_assert!(before.is_none(), "{candidate:?} is queued once");
        self.classes.entry(class).or_default().insert((rank, candidate));
    }

    /// Takes it out; whether it was there.
    pub(super) fn remove(&mut self, candidate: Candidate) -> bool {
        let Some((class, rank)) = self.places.remove(&candidate) else { return false };
        if let Some(waiting) = self.classes.get_mut(&class) {
            waiting.remove(&(rank, candidate));
            if waiting.is_empty() {
                self.classes.remove(&class);
            }
        }
        true
    }

    /// The first of all whose class `placeable` finds something for.
    pub(super) fn first<T>(&self, mut placeable: impl FnMut(&Class) -> Option<T>) -> Option<(Candidate, T)> {
        let mut best: Option<(Rank, Candidate, T)> = None;
        for (class, waiting) in &self.classes {
            let Some(&(rank, candidate)) = waiting.first() else { continue };
            if best
                .as_ref()
                .is_some_and(|(best_rank, best_candidate, _)| (*best_rank, *best_candidate) <= (rank, candidate))
            {
                continue;
            }
            if let Some(found) = placeable(class) {
                best = Some((rank, candidate, found));
            }
        }
        best.map(|(_, candidate, found)| (candidate, found))
    }

    pub(super) fn contains(&self, candidate: Candidate) -> bool {
        self.places.contains_key(&candidate)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(task_type: &str) -> Arc<Class> {
        Arc::new(Class { task_type: task_type.into(), queue: "default".into(), selector: BTreeMap::new() })
    }

    fn run(n: u128) -> Candidate {
        Candidate::Run(RunId::at(Timestamp::from_secs(1), n))
    }

    #[test]
    fn a_higher_priority_goes_first_but_a_long_wait_outweighs_it() {
        let now = Timestamp::from_secs(10_000);
        let long_ago = now.saturating_sub(PRIORITY_POINT * 6);
        assert!(Rank::new(5, now) < Rank::new(0, now));
        assert!(Rank::new(0, long_ago) < Rank::new(5, now));
    }

    #[test]
    fn a_class_without_an_agent_does_not_hold_back_another() {
        let mut queue = Queue::default();
        queue.push(run(1), class("process"), Rank::new(9, Timestamp::from_secs(1)));
        queue.push(run(2), class("noop"), Rank::new(0, Timestamp::from_secs(2)));
        let found = queue.first(|class| (class.task_type == "noop").then_some(()));
        assert_eq!(found, Some((run(2), ())));
        assert!(queue.remove(run(2)));
        assert!(!queue.remove(run(2)));
        assert_eq!(queue.first(|class| (class.task_type == "noop").then_some(())), None);
        assert_eq!(queue.len(), 1);
    }
}
