//! A run that has not ended, as the leader holds it in memory.

use crate::ids::AttemptId;
use crate::run::{Attempt, Run, Trigger};
use crate::time::{Boot, Timestamp};

/// How far the latest attempt has got on its way to the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dispatch {
    /// Its commit is under way: nothing may be sent.
    Committing,
    /// In the ledger, and the agent was not there to be told.
    Unsent,
    /// Sent by this leader, or perhaps by an earlier one.
    Sent,
}

pub(super) struct LiveRun {
    pub(super) run: Run,
    /// The latest attempt, where it is not the first.
    pub(super) later: Option<Attempt>,
    pub(super) dispatch: Dispatch,
    /// Reports up to this one are taken into account here.
    pub(super) last_sequence: u64,
    /// … and up to this one they are in the ledger.
    pub(super) stored_sequence: u64,
    /// Until when it must have started.
    pub(super) deadline: Option<Timestamp>,
    /// Since when the run differs from its row.
    pub(super) dirty_since: Option<Boot>,
}

impl LiveRun {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            later: None,
            dispatch: Dispatch::Committing,
            last_sequence: 0,
            stored_sequence: 0,
            deadline: None,
            dirty_since: None,
        }
    }

    /// From the ledger: an earlier leader may have sent the attempt.
    pub(super) fn loaded(run: Run, later: Option<Attempt>) -> Self {
        Self { later, dispatch: Dispatch::Sent, ..Self::new(run) }
    }

    /// The latest attempt.
    pub(super) fn attempt(&self) -> Option<&Attempt> {
        if self.run.attempt <= 1 { self.run.first_attempt.as_ref() } else { self.later.as_ref() }
    }

    pub(super) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        if self.run.attempt <= 1 { self.run.first_attempt.as_mut() } else { self.later.as_mut() }
    }

    /// Of the schedule, and no agent ever had it.
    pub(super) fn is_fire_not_handed_out(&self) -> bool {
        self.run.trigger == Trigger::Schedule && self.run.counted_attempts() == 0
    }

    /// The attempt that holds a slot.
    pub(super) fn unended_attempt(&self) -> Option<&Attempt> {
        self.attempt().filter(|attempt| !attempt.state.is_ended())
    }

    /// Whether `id` is the attempt that holds a slot.
    pub(super) fn is_current(&self, id: AttemptId) -> bool {
        self.unended_attempt().is_some_and(|attempt| attempt.number == id.number)
    }

    /// Begins an attempt: the latest from now on.
    pub(super) fn begin(&mut self, attempt: Attempt) {
        self.run.attempt = attempt.number;
        if attempt.number == 1 {
            self.run.first_attempt = Some(attempt);
        } else {
            self.later = Some(attempt);
        }
        self.dispatch = Dispatch::Committing;
        self.last_sequence = 0;
        self.stored_sequence = 0;
    }
}
