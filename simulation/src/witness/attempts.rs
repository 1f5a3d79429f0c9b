//! What agents physically ran (promises 3, 4, 6 and 7).

use std::time::Duration;

use executor_agent::session::AttemptKey;
use punctual_proto::v1;
use scheduler_core::agent::Outcome;
use scheduler_core::ids::{AttemptId, RunId};
use scheduler_core::lock::LockName;
use scheduler_core::run::{AttemptState, Reason};
use uuid::Uuid;
use v1::agent_message::Message;
use v1::report::Event as ReportEvent;
use v1::report::finished::Outcome as WireOutcome;

use super::Witness;
use super::commits::{never_started, short_attempt};
use crate::agent::{attempt_id, name, tail};
use crate::clock::Instant;
use crate::promise::Promise;
use crate::tally::Check;
use crate::trace::tell;
use crate::world::World;

/// A clock may be this far ahead: the skew that the ledger lets pass, and its own error.
pub(super) const EARLIEST: Duration = Duration::from_secs(8);

impl Witness {
    pub(crate) fn welcomed(&mut self, instance: Uuid, epoch: i64) {
        let highest = self.epochs.entry(instance).or_default();
        *highest = epoch.max(*highest);
    }

    pub(crate) fn highest_epoch(&self, instance: Uuid) -> i64 {
        self.epochs.get(&instance).copied().unwrap_or_default()
    }

    /// An order as it was sent.
    pub(crate) fn assigned(&mut self, instance: Uuid, assign: &v1::Assign) {
        let Ok(run) = assign.run_id.parse::<RunId>() else { return };
        let id = AttemptId { run, number: u32::try_from(assign.attempt).unwrap_or(0) };
        if self.deeds.get(&id).is_none_or(|deeds| deeds.started_by.is_none()) {
            let epoch = if assign.epoch < self.highest_epoch(instance) { i64::MIN } else { assign.epoch };
            self.deeds.entry(id).or_default().order = Some((epoch, assign.payload.to_vec()));
        }
    }

    pub(crate) fn asked_to_end(&mut self, cancel: &v1::Cancel) {
        let Ok(run) = cancel.run_id.parse::<RunId>() else { return };
        let id = AttemptId { run, number: u32::try_from(cancel.attempt).unwrap_or(0) };
        self.deeds.entry(id).or_default().is_asked_to_end = true;
    }

    pub(crate) fn suspended(&mut self, id: AttemptId) {
        if let Some(deeds) = self.deeds.get_mut(&id) {
            deeds.is_suspended = true;
        }
    }

    pub(crate) fn over(&mut self, id: AttemptId) {
        if let Some(deeds) = self.deeds.get_mut(&id) {
            deeds.runs = false;
            deeds.is_suspended = false;
        }
        if let Some(uid) = self.job_of(id)
            && let Some(job) = self.jobs.get_mut(&uid)
        {
            job.running.remove(&id);
        }
    }
}

impl World {
    pub(crate) fn task_started(&mut self, a: usize, generation: u32, key: AttemptKey) {
        let id = attempt_id(key);
        let instance = self.agents[a].instance;
        debug_assert_eq!(self.agents[a].generation, generation);
        tell!(self, "agent {a} ({}): task {} runs", tail(instance), name(key));
        self.tally.count("task", "started");
        let deeds = self.witness.deeds.entry(id).or_default();
        let (before, order) = (deeds.started_by.replace(instance), deeds.order.take());
        deeds.runs = true;
        let text = short_attempt(id);
        if before.is_some() {
            self.broken(Promise::P3, format!("attempt {text} is started a second time, on agent {a}"));
        }
        if order.as_ref().is_none_or(|(epoch, _)| *epoch == i64::MIN) {
            self.broken(Promise::P3, format!("agent {a} starts {text} on the order of a deposed leader"));
        }
        let Some(record) = self.witness.attempts.get(&id) else {
            return self.broken(Promise::P3, format!("attempt {text} is started and not in the ledger"));
        };
        if record.instance != instance {
            return self
                .broken(Promise::P3, format!("attempt {text} is started by another instance than its row names"));
        }
        if let Some((state, _)) = record.ended {
            return self.broken(Promise::P3, format!("attempt {text} is started after it ended as {state}"));
        }
        let (uid, slot, token) = (record.job, record.slot, record.token);
        let other = self.witness.running_in(LockName { job: uid, slot }).map(|(other, _)| other).min();
        if let Some(other) = other {
            let how = format!("attempt {text} is started in the slot that {} runs in", short_attempt(other));
            self.broken(Promise::P4, how);
        }
        if let Some(job) = self.witness.jobs.get_mut(&uid) {
            job.running.insert(id);
            let last = job.last_started.insert(slot, token);
            if last.is_some_and(|last| last >= token) {
                self.broken(Promise::P4, format!("attempt {text} is started with a token below its slot's last"));
            }
        }
        self.check_alone(id);
        let Some(run) = self.witness.runs.get(&id.run) else { return };
        if run.not_before > self.now.wall().saturating_add(EARLIEST) {
            let not_before = run.not_before;
            self.broken(Promise::P1, format!("attempt {text} is started long before {not_before}"));
        }
        self.check_definition(id, order.map(|(_, payload)| payload));
    }

    /// A task ends by itself, by its timeout, or because somebody asked for it: not because the control plane fails.
    pub(crate) fn check_outlived(&mut self, id: AttemptId, began: Instant, lasts: Duration, is_timed_out: bool) {
        if !self.profile.must_outlive {
            return;
        }
        let is_asked_to_end = self.witness.deeds.get(&id).is_some_and(|deeds| deeds.is_asked_to_end);
        let lived = self.now.since(began);
        if lived < lasts && !is_timed_out && !is_asked_to_end {
            let how = format!("attempt {} is killed after {lived:?} of {lasts:?}", short_attempt(id));
            return self.broken(Promise::P6, how);
        }
        if began < self.struck {
            self.tally.count("check", Check::TaskOutlivesFault.name());
        }
    }

    /// The definition that runs is the one that the row names.
    fn check_definition(&mut self, id: AttemptId, payload: Option<Vec<u8>>) {
        let Some(run) = self.witness.runs.get(&id.run) else { return };
        let Some(version) = self.witness.jobs.get(&run.job).and_then(|job| job.versions.get(&run.revision)) else {
            return;
        };
        let expected = run.payload.as_ref().unwrap_or(&version.job.definition.task.payload);
        if payload.is_some_and(|payload| payload != expected.0.as_bytes()) {
            let how = format!(
                "attempt {} runs another definition than its row's revision {}",
                short_attempt(id),
                run.revision
            );
            self.broken(Promise::P9, how);
        }
    }

    /// A frozen process goes on: what it runs must still be its own.
    pub(crate) fn task_resumed(&mut self, id: AttemptId) {
        if let Some(deeds) = self.witness.deeds.get_mut(&id) {
            deeds.is_suspended = false;
        }
        if let Some((state, _)) = self.witness.attempts.get(&id).and_then(|record| record.ended) {
            self.broken(Promise::P7, format!("attempt {} runs on after it ended as {state}", short_attempt(id)));
        }
        self.check_alone(id);
    }

    /// No other attempt of the run, and no more of the job than may be.
    fn check_alone(&mut self, id: AttemptId) {
        let Some(uid) = self.witness.attempts.get(&id).map(|record| record.job) else { return };
        let Some(job) = self.witness.jobs.get(&uid) else { return };
        let is_running =
            |other: &&AttemptId| self.witness.deeds.get(*other).is_some_and(|deeds| deeds.runs && !deeds.is_suspended);
        let running: Vec<AttemptId> = job.running.iter().filter(is_running).copied().collect();
        let limit = running.iter().filter_map(|other| self.witness.attempts.get(other)).map(|a| a.limit).max();
        let other = running.iter().find(|other| other.run == id.run && other.number != id.number).copied();
        if let Some(other) = other {
            let how = format!("attempts {} and {} run at once", short_attempt(other), short_attempt(id));
            self.broken(Promise::P7, how);
        }
        if running.len() > limit.unwrap_or(u32::MAX) as usize {
            let how = format!("{} attempts of {} run at once", running.len(), job_name(self, id));
            self.broken(Promise::P4, how);
        }
    }

    /// The ledger ends an attempt: it must be over, and as it was reported.
    pub(super) fn check_end(&mut self, id: AttemptId, state: AttemptState, reason: Option<Reason>) {
        if self.profile.must_outlive && matches!(reason, Some(Reason::AgentLost | Reason::RightToRunEnded)) {
            let how = format!("attempt {} ended as {state} ({reason:?})", short_attempt(id));
            return self.broken(Promise::P6, how);
        }
        let Some(deeds) = self.witness.deeds.get(&id) else {
            if state != AttemptState::Lost && state != AttemptState::Cancelled {
                let how =
                    format!("attempt {} ended as {state}, and nobody was ever ordered to start it", short_attempt(id));
                self.broken(Promise::P5, how);
            }
            return;
        };
        let (runs, started) = (deeds.runs && !deeds.is_suspended, deeds.started_by.is_some());
        let reported = deeds.reported.map(|(_, outcome)| outcome);
        if let Some(reason) = reason {
            self.tally.count("reason of an attempt", reason.as_str());
        }
        if runs {
            let how = format!("attempt {} ended as {state} ({reason:?}) while it runs", short_attempt(id));
            return self.broken(Promise::P7, how);
        }
        if never_started(reason) && started {
            let how = format!("attempt {} was started, and ended as never started", short_attempt(id));
            return self.broken(Promise::P3, how);
        }
        let by_leader = never_started(reason) || reason == Some(Reason::AgentLost);
        if !by_leader && reported.map(state_of) != Some(state) {
            let how = format!("attempt {} ended as {state}, its agent reported {reported:?}", short_attempt(id));
            self.broken(Promise::P5, how);
        }
    }

    /// The agent says how an attempt ended.
    pub(crate) fn witness_report(&mut self, a: usize, message: &Message) {
        let reports = match message {
            Message::Reports(batch) => &batch.reports,
            Message::Inventory(inventory) => &inventory.reports,
            _ => return,
        };
        for report in reports {
            let Some(ReportEvent::Finished(finished)) = &report.event else { continue };
            let Ok(run) = report.run_id.parse::<RunId>() else { continue };
            let id = AttemptId { run, number: u32::try_from(report.attempt).unwrap_or(0) };
            let outcome = match finished.outcome() {
                WireOutcome::Succeeded => Outcome::Succeeded,
                WireOutcome::TimedOut => Outcome::TimedOut,
                WireOutcome::Cancelled => Outcome::Cancelled,
                WireOutcome::Lost => Outcome::Lost,
                WireOutcome::Failed | WireOutcome::Unspecified => Outcome::Failed,
            };
            let sequence = u64::try_from(report.sequence).unwrap_or(0);
            let deeds = self.witness.deeds.entry(id).or_default();
            let runs = deeds.runs;
            let changed =
                deeds.reported.replace((sequence, outcome)).is_some_and(|before| before != (sequence, outcome));
            if runs {
                self.broken(Promise::P7, format!("agent {a} reports the end of {}, which runs", short_attempt(id)));
            }
            if changed {
                self.broken(Promise::P5, format!("agent {a} reports two ends of {}", short_attempt(id)));
            }
        }
    }
}

fn job_name(world: &World, id: AttemptId) -> String {
    let run = world.ledger.tables.runs.get(&id.run);
    run.map_or_else(String::new, |run| run.job_key.to_string())
}

pub(super) fn state_of(outcome: Outcome) -> AttemptState {
    match outcome {
        Outcome::Succeeded => AttemptState::Succeeded,
        Outcome::Failed => AttemptState::Failed,
        Outcome::TimedOut => AttemptState::TimedOut,
        Outcome::Cancelled => AttemptState::Cancelled,
        Outcome::Lost => AttemptState::Lost,
    }
}
