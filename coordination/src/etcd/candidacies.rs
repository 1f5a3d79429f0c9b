//! What this node knows of its own candidacies, while calls for them come in any order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use scheduler_core::engine::CandidacyId;
use tokio::sync::watch;

use super::candidate::Key;

/// Of those that are over, the last ones are remembered: a campaign may come after its own resignation.
const REMEMBERED: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// No lease yet, as far as is known.
    Begun,
    Leased(i64),
    Standing(Arc<Key>),
    Leading(Arc<Key>),
    /// Given up, or lost. Nothing is done for it any more.
    Over,
}

impl State {
    pub(super) fn lease(&self) -> Option<i64> {
        match self {
            Self::Leased(lease) => Some(*lease),
            Self::Standing(key) | Self::Leading(key) => Some(key.lease),
            Self::Begun | Self::Over => None,
        }
    }

    fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Standing(key) | Self::Leading(key) => Some(key),
            Self::Begun | Self::Leased(_) | Self::Over => None,
        }
    }
}

pub(super) type Candidacy = watch::Sender<State>;

#[derive(Default)]
pub(super) struct Candidacies {
    by_id: Mutex<BTreeMap<CandidacyId, Arc<Candidacy>>>,
}

impl Candidacies {
    fn by_id(&self) -> MutexGuard<'_, BTreeMap<CandidacyId, Arc<Candidacy>>> {
        self.by_id.lock().expect("because nobody panics while holding it")
    }

    /// Begins it, if this is the first that is heard of it.
    pub(super) fn of(&self, id: CandidacyId) -> Arc<Candidacy> {
        let mut by_id = self.by_id();
        while by_id.len() > REMEMBERED && by_id.first_key_value().is_some_and(|(_, first)| is_over(first)) {
            by_id.pop_first();
        }
        Arc::clone(by_id.entry(id).or_insert_with(|| Arc::new(watch::Sender::new(State::Begun))))
    }

    pub(super) fn state(&self, id: CandidacyId) -> State {
        self.by_id().get(&id).map_or(State::Over, |candidacy| candidacy.borrow().clone())
    }

    /// The keys that should be there.
    pub(super) fn keys(&self) -> Vec<(CandidacyId, Arc<Key>)> {
        let by_id = self.by_id();
        let key = |(id, candidacy): (&CandidacyId, &Arc<Candidacy>)| Some((*id, Arc::clone(candidacy.borrow().key()?)));
        by_id.iter().filter_map(key).collect()
    }

    /// Goes on to another state, unless it is over; whether it does.
    pub(super) fn advance(candidacy: &Candidacy, to: State) -> bool {
        candidacy.send_if_modified(|state| {
            let goes_on = *state != State::Over;
            if goes_on {
                *state = to;
            }
            goes_on
        })
    }

    /// Ends it; what it had, unless it was over.
    pub(super) fn end(&self, id: CandidacyId) -> Option<State> {
        let before = self.of(id).send_replace(State::Over);
        (before != State::Over).then_some(before)
    }
}

fn is_over(candidacy: &Candidacy) -> bool {
    *candidacy.borrow() == State::Over
}
