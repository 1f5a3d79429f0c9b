//! Runs that are to end before they would by themselves.

use crate::ids::{AttemptId, JobUid, RunId};
use crate::run::{Reason, RunEvent};

use super::batch::{Batch, Then};
use super::live::LiveRun;
use super::term::Term;

impl Term {
    /// `CANCEL_RUNNING`: ends the job's oldest active run, at once if nothing of it is handed out.
    pub(super) fn cancel_oldest(&mut self, uid: JobUid, besides: Option<RunId>, batch: &mut Batch) {
        let Some(entry) = self.jobs.get(uid) else { return };
        let is_active = |live: &LiveRun| {
            live.run.cancel_requested_time.is_none() && (live.run.attempt > 0 || live.run.not_before <= self.now.wall)
        };
        let mut others = entry.live.iter().copied().filter(|id| Some(*id) != besides);
        let oldest = others.find(|id| self.runs.get(id).is_some_and(is_active));
        if let Some(id) = oldest {
            let message = "a later fire of the job took its place".to_owned();
            self.cancel(id, Reason::CancelledByOverlap, message, batch);
        }
    }

    /// Ends a run that has no attempt under way, or asks the agent of the one that is to stop it.
    pub(super) fn cancel(&mut self, id: RunId, reason: Reason, message: String, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&id) else { return };
        live.run.cancel_requested_time = Some(self.now.wall);
        live.run.reason = Some(reason);
        live.run.reason_message = message;
        let Some(attempt) = live.unended_attempt() else {
            return self.end_waiting(id, RunEvent::Cancelled, reason, batch);
        };
        let number = attempt.number;
        if number > 1 {
            // What the run's row says of its start, the attempt's must say too.
            batch.attempts.insert((id, number), attempt.clone());
        }
        batch.write(&live.run);
        batch.then.push(Then::Cancel(AttemptId { run: id, number }));
    }
}
