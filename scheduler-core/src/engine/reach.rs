//! Whether the ledger answers: who cannot reach it neither stands nor goes on leading (PROTOCOL.md, rule 15).

use std::time::Duration;

use crate::time::Boot;
use crate::txn::{Call, Done, Failure};

use super::input::Effect;

/// What reads or deletes a lot may take this much longer than other calls.
const LONGER: Duration = Duration::from_secs(60);

/// In a cluster nobody sleeps longer between two inputs, or it was frozen.
const LONGEST_SLEEP: Duration = Duration::from_millis(1_500);

#[derive(Default)]
pub(super) struct Reach {
    /// From when the ledger's silence counts: the first call since it last answered.
    asked: Option<Boot>,
}

impl Reach {
    /// So much time has passed since the last input. What a frozen process did not hear was no silence of the ledger's.
    pub(super) fn slept(&mut self, time: Duration) {
        if time > LONGEST_SLEEP {
            self.asked = self.asked.map(|asked| asked.saturating_add(time));
        }
    }

    pub(super) fn emitted(&mut self, effects: &[Effect], now: Boot) {
        for effect in effects {
            let Effect::Call(_, call) = effect else { continue };
            let from = match call {
                // That these take long says nothing: a large ledger would never get a leader.
                Call::Load { .. } | Call::LoadJob { .. } | Call::Purge { .. } => now.saturating_add(LONGER),
                Call::Survey | Call::TakeOver(_) | Call::FindRequests(_) | Call::Commit(_) => now,
            };
            self.asked = Some(self.asked.map_or(from, |asked| asked.min(from)));
        }
    }

    /// A ledger that refuses answers; one that fails does not.
    pub(super) fn answered(&mut self, result: &Result<Done, Failure>) {
        match result {
            Ok(_)
            | Err(
                Failure::Deposed { .. } | Failure::LaterElection(_) | Failure::Conflict { .. } | Failure::Refused(_),
            ) => self.asked = None,
            Err(Failure::Unavailable(_) | Failure::Unknown(_) | Failure::Clock { .. }) => {}
        }
    }

    pub(super) fn unanswered_since(&self) -> Option<Boot> {
        self.asked
    }
}
