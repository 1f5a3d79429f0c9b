//! Whether the ledger answers: who cannot reach it neither stands nor goes on leading (PROTOCOL.md, rule 15).

use crate::time::Boot;
use crate::txn::{Done, Failure};

use super::input::Effect;

#[derive(Default)]
pub(super) struct Reach {
    /// When the first call was made since the ledger last answered.
    asked: Option<Boot>,
}

impl Reach {
    pub(super) fn emitted(&mut self, effects: &[Effect], now: Boot) {
        if self.asked.is_none() && effects.iter().any(|effect| matches!(effect, Effect::Call(..))) {
            self.asked = Some(now);
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
