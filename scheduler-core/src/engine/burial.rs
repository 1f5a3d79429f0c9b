//! The end of a leader that is found dead: a standby deletes its key, so that nobody waits for its lease to end. A wrong
//! guess costs a hand-over and never a double; who guesses wrong too often leaves it to the lease (PROTOCOL.md, rule 14).

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::Epoch;
use crate::time::Boot;

use super::input::Effect;
use super::{Engine, Phase};

/// So many wrong guesses …
const TOO_MANY: usize = 3;
/// … within this are too many.
const REMEMBERED: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Burial {
    /// The last leader that was found dead here, and of which epoch it was.
    last: Option<(Epoch, String)>,
    /// When a leader was seen alive whose key had been deleted for dead.
    wrong: VecDeque<Boot>,
}

impl Engine {
    /// The leader of this epoch is gone: its address refuses, or another process answers there.
    pub(super) fn leader_died(&mut self, epoch: Epoch, instance: String, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let Burial { last, wrong } = &mut self.burial;
        while wrong.pop_front_if(|at| now.since(*at) >= REMEMBERED).is_some() {}
        let is_buried = last.as_ref().is_some_and(|(buried, _)| *buried >= epoch);
        if !matches!(self.phase, Phase::Standby) || is_buried || wrong.len() >= TOO_MANY {
            return;
        }
        *last = Some((epoch, instance.clone()));
        out.push(Effect::Bury(instance));
    }

    pub(super) fn leader_seen(&mut self, instance: &str) {
        // Counted once: from now on it is not the one that was buried.
        let is_it = |(_, buried): &mut (Epoch, String)| buried == instance && !std::mem::take(buried).is_empty();
        if self.burial.last.as_mut().is_some_and(is_it) {
            self.burial.wrong.push_back(self.now.boot);
        }
    }
}
