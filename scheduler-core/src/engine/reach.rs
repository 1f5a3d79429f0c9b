//! Whether the ledger answers: who cannot reach it neither stands nor goes on leading (PROTOCOL.md, rule 15).

use std::time::Duration;

use crate::time::Boot;
use crate::txn::{Call, Done, Failure};

use super::input::Effect;

/// What reads or deletes a lot may take this much longer than other calls.
const LONGER: Duration = Duration::from_secs(60);

/// Who is woken later than this was frozen.
pub(super) const LATE: Duration = Duration::from_millis(1_500);

#[derive(Default)]
pub(super) struct Reach {
    /// From when the ledger's silence counts: the first call since it last answered.
    asked: Option<Boot>,
}

impl Reach {
    /// It was woken so much later than it had asked for. What a frozen process did not hear was no silence of the ledger's.
    pub(super) fn overslept(&mut self, by: Duration) {
        if by > LATE {
            self.asked = self.asked.map(|asked| asked.saturating_add(by));
        }
    }

    pub(super) fn emitted(&mut self, effects: &[Effect], now: Boot) {
        for effect in effects {
            let Effect::Call(_, call) = effect else { continue };
            let from = match call {
                // That these take long says nothing: a large ledger would never get a leader.
                Call::Load { .. } | Call::LoadChanges { .. } | Call::LoadJob { .. } | Call::Purge { .. } => {
                    now.saturating_add(LONGER)
                }
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
                Failure::Deposed { .. }
                | Failure::LaterElection(_)
                | Failure::Conflict { .. }
                | Failure::WentBack { .. }
                | Failure::Refused(_),
            ) => self.asked = None,
            Err(Failure::Unavailable(_) | Failure::Unknown(_) | Failure::Clock { .. }) => {}
        }
    }

    pub(super) fn unanswered_since(&self) -> Option<Boot> {
        self.asked
    }
}
