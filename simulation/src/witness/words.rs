//! What the engine says: to clients and to agents it must be true already, and stay so (promises 3, 5, 8 and 9).

use scheduler_core::agent::{Ack, Assign, ToAgent};
use scheduler_core::engine::{Answer, Command, Refusal};
use scheduler_core::ids::{BackfillId, JobUid, RunId};

use super::attempts::state_of;
use super::commits::short_attempt;
use crate::client::WriteId;
use crate::promise::Promise;
use crate::world::World;

impl World {
    pub(crate) fn check_answer(&mut self, write: WriteId, answer: &Result<Answer, Refusal>) {
        let Some(known) = self.clients.writes.get(&write) else { return };
        if known.is_bad && answer.is_ok() {
            return self.broken(Promise::P8, format!("bad input is accepted: write {}", write.0));
        }
        if matches!(
            known.command,
            Command::CreateJob { validate_only: true, .. } | Command::BackfillJob { validate_only: true, .. }
        ) {
            return;
        }
        let is_durable = match answer {
            Ok(Answer::Job(job)) => {
                self.witness.jobs.get(&job.uid).is_some_and(|record| record.versions.contains_key(&job.revision))
            }
            Ok(Answer::Run(run)) => self.witness.has_or_had_run(run.id),
            Ok(Answer::Backfill(backfill)) => self.witness.has_backfill(backfill.id),
            Ok(Answer::Repeated(resource)) => self.is_in_ledger(resource),
            Ok(
                Answer::Calendar(_)
                | Answer::Purged(_)
                | Answer::Status(_)
                | Answer::Agents(_)
                | Answer::Locks(_)
                | Answer::Upcoming(_)
                | Answer::SteppedDown { .. },
            )
            | Err(_) => true,
        };
        if !is_durable {
            let how = format!("write {} is acknowledged and not in the ledger: {answer:?}", write.0);
            self.broken(Promise::P5, how);
        }
    }

    /// Takes down what a client is told to be changed (promise 9).
    pub(crate) fn witness_answer(&mut self, write: WriteId, answer: &Result<Answer, Refusal>) -> Vec<JobUid> {
        let Some(known) = self.clients.writes.get(&write) else { return Vec::new() };
        let is_pause = matches!(known.command, Command::PauseJob { .. });
        if answer.is_err() || !(is_pause || is_change(&known.command)) {
            return Vec::new();
        }
        // A calendar's change is one of every job that names it; what changes nothing may be answered all the same.
        let mut told: Vec<_> = self.witness.changes_by.get(&write).into_iter().flatten().copied().collect();
        if let Ok(Answer::Job(job)) = answer {
            told.push((job.uid, job.revision));
        }
        for (uid, revision) in &told {
            if let Some(record) = self.witness.jobs.get_mut(uid) {
                let answered = if is_pause { &mut record.answered_pause } else { &mut record.answered };
                *answered = (*answered).max(*revision);
            }
        }
        told.into_iter().map(|(uid, _)| uid).collect()
    }

    fn is_in_ledger(&self, resource: &str) -> bool {
        let run = resource.parse::<RunId>().is_ok_and(|run| self.witness.has_or_had_run(run));
        let backfill = resource.parse::<BackfillId>().is_ok_and(|id| self.witness.has_backfill(id));
        let calendar = resource == crate::jobs::calendar_key().to_string();
        let job = || resource.parse::<JobUid>().is_ok_and(|job| self.witness.jobs.contains_key(&job));
        run || backfill || calendar || job()
    }

    pub(crate) fn check_sent(&mut self, s: usize, message: &ToAgent) {
        match message {
            ToAgent::Assign(assignments) => {
                for assign in assignments {
                    self.check_assign(s, assign);
                }
            }
            ToAgent::Ack(acks) => {
                for ack in acks {
                    self.check_ack(s, *ack);
                }
            }
            _ => {}
        }
    }

    fn check_assign(&mut self, s: usize, assign: &Assign) {
        let id = assign.attempt;
        let is_its = |record: &super::AttemptRecord| record.instance == assign.instance.0;
        if !self.witness.attempts.get(&id).is_some_and(is_its) {
            let how = format!("server {s} hands out {} before it is in the ledger for that agent", short_attempt(id));
            return self.broken(Promise::P3, how);
        }
        if assign.epoch == self.witness.epoch {
            self.check_lock(id);
        }
        let Some(record) = self.witness.attempts.get_mut(&id) else { return };
        let is_first = !std::mem::replace(&mut record.was_sent, true);
        let (revision, is_fires_first) = (record.revision, record.is_fires_first);
        let Some(job) = self.witness.jobs.get(&record.job) else { return };
        // A later leader counts as handed out what it finds in the ledger, whether or not the last one has sent it.
        if !is_first || assign.epoch != self.witness.epoch {
            return;
        }
        let answered = if is_fires_first { job.answered.max(job.answered_pause) } else { job.answered };
        if revision < answered {
            let how =
                format!("server {s} first sends {} of revision {revision}, {answered} is answered", short_attempt(id));
            self.broken(Promise::P9, how);
        }
    }

    fn check_ack(&mut self, s: usize, ack: Ack) {
        let name = short_attempt(ack.attempt);
        let ended = self.witness.attempts.get(&ack.attempt).map(|record| record.ended);
        let reported = self.witness.deeds.get(&ack.attempt).and_then(|deeds| deeds.reported);
        let Some((sequence, outcome)) = reported else { return };
        if sequence > ack.sequence {
            return;
        }
        if ack.refused {
            if ended == Some(None) {
                let how = format!("server {s} refuses how {name} ended, and the ledger has no end of it");
                self.broken(Promise::P5, how);
            }
            return;
        }
        if ended.flatten().map(|(state, _)| state) != Some(state_of(outcome)) {
            let how = format!("server {s} acknowledges that {name} ended as {outcome}, the ledger has {ended:?}");
            self.broken(Promise::P5, how);
        }
    }
}

/// A change of what is run, or of when: nothing goes out under what was before.
fn is_change(command: &Command) -> bool {
    match command {
        Command::UpdateJob { .. }
        | Command::RestoreJobRevision { .. }
        | Command::DisableJob { .. }
        | Command::DeleteJob { .. }
        | Command::UpdateCalendar { .. } => true,
        // What is paused goes on where it was handed out; the others take nothing back.
        Command::PauseJob { .. }
        | Command::CreateJob { .. }
        | Command::UndeleteJob { .. }
        | Command::ResumeJob { .. }
        | Command::EnableJob { .. }
        | Command::TriggerJob { .. }
        | Command::RetryRun { .. }
        | Command::CancelRun { .. }
        | Command::BackfillJob { .. }
        | Command::CreateCalendar { .. }
        | Command::DeleteCalendar { .. }
        | Command::PurgeRuns { .. }
        | Command::Status
        | Command::Agents
        | Command::Locks(_)
        | Command::Upcoming { .. }
        | Command::CordonAgent { .. }
        | Command::UncordonAgent { .. }
        | Command::DrainAgent { .. }
        | Command::StepDown { .. } => false,
    }
}
