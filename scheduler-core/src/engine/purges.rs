//! What is kept of histories: a walk over the jobs, a few at a time and in no hurry, that has the ledger delete what
//! is beyond their retention; then what is left of jobs that were deleted long ago, and the numbers of old requests. And
//! purges by request.

use crate::ids::JobUid;
use crate::time::Boot;
use crate::txn::{Call, CallId, Failure, Kept, Purge, PurgeFilter, Purged};

use super::commits::Over;
use super::config::{
    DELETED_JOB_EXPIRY, LEDGER_RETRY, MAX_CLOCK_SKEW, PURGE_JOBS, PURGE_PAUSE, PURGE_REST, PURGE_RUNS, REQUEST_MEMORY,
};
use super::input::{Effect, RequestHandle};
use super::request::{Answer, Away, Refusal};
use super::term::Term;

/// What the walk looks at, one after the other.
#[derive(Clone, Copy)]
enum Phase {
    /// The histories of jobs, after this one.
    Jobs(Option<JobUid>),
    DeletedJobs,
    Requests,
}

/// Where the walk is.
pub(super) struct Walk {
    phase: Phase,
    /// Where it goes on if the call under way leaves nothing behind.
    next: Option<JobUid>,
    call: Option<CallId>,
    go_on_at: Boot,
}

impl Walk {
    pub(super) fn begin(now: Boot) -> Self {
        Self { phase: Phase::Jobs(None), next: None, call: None, go_on_at: now.saturating_add(PURGE_REST) }
    }

    pub(super) fn next_wakeup(&self) -> Option<Boot> {
        self.call.is_none().then_some(self.go_on_at)
    }

    fn step(&mut self, purged: &Purged, now: Boot) {
        self.go_on_at = now.saturating_add(PURGE_PAUSE);
        if purged.more {
            return;
        }
        self.phase = match self.phase {
            Phase::Jobs(_) if self.next.is_some() => Phase::Jobs(self.next),
            Phase::Jobs(_) => Phase::DeletedJobs,
            Phase::DeletedJobs => Phase::Requests,
            Phase::Requests => return *self = Self::begin(now),
        };
    }
}

impl Term {
    /// The walk's next step, when it is due.
    pub(super) fn walk_histories(&mut self, out: &mut Vec<Effect>) {
        let is_due = self.walk.next_wakeup().is_some_and(|at| at <= self.now.boot);
        if !is_due || self.leaving.is_some() || self.ledger_fails {
            return;
        }
        let now = self.now.wall;
        let purge = match self.walk.phase {
            Phase::Jobs(last) => {
                let kept = self.jobs.after(last).take(PURGE_JOBS).map(|job| {
                    let retention = &job.definition.retention;
                    let ended_since = now.saturating_sub(retention.max_age);
                    Kept { job: job.uid, max_runs: retention.max_runs, ended_since }
                });
                let kept: Vec<Kept> = kept.collect();
                self.walk.next = kept.last().filter(|_| kept.len() == PURGE_JOBS).map(|last| last.job);
                Purge::Retention(kept)
            }
            Phase::DeletedJobs => Purge::ExpiredJobs { deleted_until: now.saturating_sub(DELETED_JOB_EXPIRY) },
            // The ledger forgets them by its own clock.
            Phase::Requests => Purge::Requests { before: now.saturating_sub(REQUEST_MEMORY + MAX_CLOCK_SKEW) },
        };
        let id = self.call_purge(purge, PURGE_RUNS, None, out);
        self.walk.call = Some(id);
    }

    pub(super) fn purge_asked(&mut self, handle: RequestHandle, filter: PurgeFilter, most: u32, out: &mut Vec<Effect>) {
        self.call_purge(Purge::Asked(filter), most.min(PURGE_RUNS), Some(handle), out);
    }

    fn call_purge(
        &mut self,
        purge: Purge,
        most: u32,
        asked_by: Option<RequestHandle>,
        out: &mut Vec<Effect>,
    ) -> CallId {
        let id = self.next_call_id();
        out.push(Effect::Call(id, Call::Purge { epoch: self.epoch, purge, most }));
        self.purging.insert(id, asked_by);
        id
    }

    /// Nothing in memory rests on what is purged, so that a failure needs no repetition but the walk's own.
    pub(super) fn purged(
        &mut self,
        id: CallId,
        result: Result<Purged, Failure>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Over> {
        let Some(asked_by) = self.purging.remove(&id) else { return Ok(()) };
        let is_walk = self.walk.call.take_if(|call| *call == id).is_some();
        let answer = match result {
            Ok(purged) => {
                purged.jobs.iter().for_each(|uid| self.jobs.forget(*uid));
                if is_walk {
                    self.walk.step(&purged, self.now.boot);
                }
                Ok(Answer::Purged(purged))
            }
            Err(failure) => {
                self.walk.go_on_at = self.walk.go_on_at.max(self.now.boot.saturating_add(LEDGER_RETRY));
                if let Some(over) = self.ended_by(&failure) {
                    // Who asked is told with everybody else.
                    self.purging.insert(id, asked_by);
                    return Err(over);
                }
                match failure {
                    Failure::Unknown(_) => Err(Refusal::OutcomeUnknown),
                    _ => Err(Refusal::Unavailable(Away::Ledger)),
                }
            }
        };
        if let Some(handle) = asked_by {
            out.push(Effect::Answer(handle, answer));
        }
        Ok(())
    }
}
