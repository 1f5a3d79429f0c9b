//! `delete_after_completion`: a job that has no fire left and no run under way is deleted, in the transaction that
//! made it so.

use crate::job::Job;
use crate::txn::Change;

use super::attempts::AUTHOR;
use super::batch::Batch;
use super::jobs::JobEntry;
use super::plan::Planned;
use super::term::Term;
use crate::ids::JobUid;

impl Term {
    /// Something of the job was decided or has ended: it may be its last.
    pub(super) fn may_be_complete(&mut self, uid: JobUid) {
        if self.jobs.get(uid).is_some_and(|entry| entry.job.definition.delete_after_completion) {
            self.to_retire.insert(uid);
        }
    }

    pub(super) fn retire_completed(&mut self, batch: &mut Batch) {
        for uid in std::mem::take(&mut self.to_retire) {
            let Some(entry) = self.jobs.get(uid) else { continue };
            if entry.doubted {
                // The ledger may be what refuses this, and nobody waits for it: it is left to the next leader.
                continue;
            }
            if entry.busy.is_some() {
                self.to_retire.insert(uid);
            } else if entry.job.definition.delete_after_completion && entry.job.fires() && self.is_over(entry) {
                let job = Job { delete_time: Some(self.now.wall), ..entry.job.clone() };
                let planned = Planned::new(job, entry.compiled.clone(), Change::Delete);
                let planned = Planned { note: "it is completed".to_owned(), ..planned };
                self.carry_out(planned, AUTHOR.to_owned(), batch);
            }
        }
    }

    fn is_over(&self, entry: &JobEntry) -> bool {
        // A job that fires after its own runs has no instants: its end is told by the next.
        let next = entry.compiled.after_completion().map(|delay| self.now.wall.saturating_add(delay));
        let is_past = next.is_some_and(|next| entry.job.definition.schedule.end_time.is_some_and(|end| next > end));
        entry.is_completed() || (is_past && entry.live.is_empty())
    }
}
