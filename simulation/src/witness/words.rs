//! What the engine says: to clients and to agents it must be true already (promises 3, 5 and 8).

use scheduler_core::agent::{Ack, ToAgent};
use scheduler_core::engine::{Answer, Command, Refusal};
use scheduler_core::ids::{AttemptId, BackfillId, JobUid, RunId};

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
            Ok(Answer::Run(run)) => self.witness.runs.contains_key(&run.id),
            Ok(Answer::Backfill(backfill)) => self.witness.has_backfill(backfill.id),
            Ok(Answer::Repeated(resource)) => self.is_in_ledger(resource),
            Ok(Answer::Calendar(_) | Answer::Purged(_) | Answer::Status(_) | Answer::SteppedDown { .. }) | Err(_) => {
                true
            }
        };
        if !is_durable {
            let how = format!("write {} is acknowledged and not in the ledger: {answer:?}", write.0);
            self.broken(Promise::P5, how);
        }
    }

    fn is_in_ledger(&self, resource: &str) -> bool {
        let run = resource.parse::<RunId>().is_ok_and(|run| self.witness.runs.contains_key(&run));
        let backfill = resource.parse::<BackfillId>().is_ok_and(|id| self.witness.has_backfill(id));
        let calendar = resource == crate::jobs::calendar_key().to_string();
        let job = || resource.parse::<JobUid>().is_ok_and(|job| self.witness.jobs.contains_key(&job));
        run || backfill || calendar || job()
    }

    pub(crate) fn check_sent(&mut self, s: usize, message: &ToAgent) {
        match message {
            ToAgent::Assign(assignments) => {
                for assign in assignments {
                    self.check_assign(s, assign.attempt, assign.instance.0);
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

    fn check_assign(&mut self, s: usize, id: AttemptId, instance: uuid::Uuid) {
        let recorded = self.witness.attempts.get(&id).map(|record| record.instance);
        if recorded != Some(instance) {
            let how = format!("server {s} hands out {} before it is in the ledger for that agent", short_attempt(id));
            self.broken(Promise::P3, how);
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
