//! Runs by request: triggers, retries of ended runs, and cancels.

use std::collections::BTreeMap;

use crate::ids::RunId;
use crate::job::{JobKey, Payload};
use crate::run::{Reason, Run, Trigger};
use crate::time::Timestamp;

use super::batch::{Batch, Then};
use super::fires::row;
use super::input::RequestHandle;
use super::request::Refusal;
use super::requests::Decided;
use super::term::Term;
use super::words;

impl Term {
    pub(super) fn trigger(
        &mut self,
        handle: RequestHandle,
        key: &JobKey,
        payload: Option<Payload>,
        labels: BTreeMap<String, String>,
        not_before: Option<Timestamp>,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let scheduled_time = not_before.unwrap_or(self.now.wall);
        let base = self.requested_row(key, payload, labels)?;
        let run = Run { trigger: Trigger::Manual, scheduled_time, not_before: scheduled_time, ..base };
        Ok(self.admit_requested(handle, run, batch))
    }

    pub(super) fn retry_run(
        &mut self,
        handle: RequestHandle,
        key: &JobKey,
        of: RunId,
        payload: Option<Payload>,
        labels: BTreeMap<String, String>,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let base = self.requested_row(key, payload, labels)?;
        let run = Run { trigger: Trigger::Retry, retry_of: Some(of), ..base };
        Ok(self.admit_requested(handle, run, batch))
    }

    pub(super) fn cancel_run(
        &mut self,
        handle: RequestHandle,
        id: RunId,
        author: &str,
        note: &str,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let Some(live) = self.runs.get(&id) else { return Err(Refusal::RunNotLive(id)) };
        if live.run.cancel_requested_time.is_some() {
            return Ok(Decided::Now(Ok(super::Answer::Run(Box::new(live.run.clone())))));
        }
        self.cancel(id, Reason::CancelledByUser, words::of_cancel(author, note), batch);
        batch.then.push(Then::AnswerRun(handle, id));
        Ok(Decided::InBatch(id.to_string()))
    }

    fn requested_row(
        &mut self,
        key: &JobKey,
        payload: Option<Payload>,
        labels: BTreeMap<String, String>,
    ) -> Result<Run, Refusal> {
        if !self.live_job(key)?.job.definition.enabled {
            return Err(Refusal::JobDisabled(key.clone()));
        }
        let id = self.next_run_id();
        let mut run = Run { payload, ..row(&self.live_job(key)?.job, id, self.now.wall, None) };
        run.labels.extend(labels);
        Ok(run)
    }

    fn admit_requested(&mut self, handle: RequestHandle, run: Run, batch: &mut Batch) -> Decided {
        let id = run.id;
        self.admit(run, batch);
        batch.then.push(Then::AnswerRun(handle, id));
        Decided::InBatch(id.to_string())
    }
}
