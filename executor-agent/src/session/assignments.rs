//! What the leader orders: Assign, Revoke, Cancel.

use std::sync::Arc;
use std::time::Duration;

use punctual_proto::v1::agent_message::Message as AgentMessage;
use punctual_proto::v1::rejected::Reason;
use punctual_proto::v1::{Assign, Cancel, Rejected, Revoke, Revoked};

use super::attempt::{Attempt, Phase, Why};
use super::ids::{AttemptKey, Epoch, StreamId};
use super::logs::Logs;
use super::reports::Reports;
use super::task::Task;
use super::{Session, link::State};
use crate::time::Wall;

/// Attempts that ended and are not acknowledged, beyond which nothing new is taken: the memory for reports is bounded.
const UNACKNOWLEDGED: usize = 32_768;

impl Session {
    pub(super) fn assigned(&mut self, stream: StreamId, assign: Assign) {
        let Some(key) = AttemptKey::parse(&assign.run_id, assign.attempt) else {
            self.reject(
                stream,
                assign.run_id,
                assign.attempt,
                Reason::Malformed,
                "run_id is no UUID, or attempt below 1",
            );
            return;
        };
        if self.attempts.contains_key(&key) {
            return;
        }
        if let Some((reason, message)) = self.refusal(key, &assign) {
            // Refused is refused: it is not started when it comes again, either.
            self.seen.insert(key, assign.fencing_token);
            self.reject(stream, assign.run_id, assign.attempt, reason, &message);
            return;
        }
        self.highest_epoch = self.highest_epoch.max(Epoch(assign.epoch));
        self.seen.insert(key, assign.fencing_token);
        self.hold(key, assign);
    }

    fn refusal(&self, key: AttemptKey, assign: &Assign) -> Option<(Reason, String)> {
        let refusal = if Epoch(assign.epoch) < self.highest_epoch {
            (Reason::EpochStale, format!("epoch {} has been seen", self.highest_epoch.0))
        } else if assign.instance != self.config.instance.to_string() {
            (Reason::OtherInstance, format!("this is instance {}", self.config.instance))
        } else if self.seen.contains(key, assign.fencing_token) {
            (Reason::AlreadySeen, "the attempt has been here before".to_owned())
        } else if !self.config.task_types.iter().any(|offered| offered.name == assign.task_type) {
            (Reason::UnknownTaskType, format!("the agent does not offer the task type {:?}", assign.task_type))
        } else if self.draining {
            (Reason::Draining, "the agent takes no new work".to_owned())
        } else if !self.right.allows_start(self.now.boot) {
            (Reason::NoRightToRun, "no heartbeat was confirmed lately enough".to_owned())
        } else if self.held >= self.config.slots {
            (Reason::NoFreeSlot, format!("all {} slots are taken", self.config.slots))
        } else if self.attempts.len() >= self.config.slots + UNACKNOWLEDGED {
            (Reason::NoFreeSlot, "too many reports wait for their acknowledgement".to_owned())
        } else {
            return None;
        };
        Some(refusal)
    }

    fn reject(&mut self, stream: StreamId, run_id: String, attempt: i32, reason: Reason, message: &str) {
        let rejected = Rejected { run_id, attempt, reason: reason.into(), message: message.to_owned() };
        self.send(stream, AgentMessage::Rejected(rejected));
    }

    fn hold(&mut self, key: AttemptKey, assign: Assign) {
        let now = self.now;
        let duration = |given: Option<prost_types::Duration>| given.and_then(|given| Duration::try_from(given).ok());
        let start_at = assign.start_at.map_or(now.boot, |at| self.offset.boot_time(now, Wall::from(at)));
        let in_process =
            self.config.task_types.iter().any(|offered| offered.name == assign.task_type && offered.in_process);
        let reports = Reports::new(assign.run_id, assign.attempt, assign.fencing_token);
        let task = Task {
            key,
            namespace: assign.namespace,
            job_id: assign.job_id,
            task_type: assign.task_type,
            payload: assign.payload,
            scheduled_time: assign.scheduled_time.map(Wall::from),
            fencing_token: assign.fencing_token,
            slot: assign.slot,
            trace_parent: assign.trace_parent,
            deadline: None,
            kill_grace: duration(assign.kill_grace).unwrap_or_default(),
        };
        let attempt = Attempt {
            task: Arc::new(task),
            in_process,
            phase: Phase::Waiting { start_at, timeout: duration(assign.timeout) },
            stop: None,
            reports,
            logs: Logs::new(now.boot),
            timer: None,
            queued: false,
        };
        self.attempts.insert(key, attempt);
        self.held += 1;
        if start_at <= now.boot {
            self.start(key);
        } else {
            self.set_timer(key);
        }
    }

    pub(super) fn revoked(&mut self, stream: StreamId, revoke: Revoke) {
        let key = AttemptKey::parse(&revoke.run_id, revoke.attempt);
        let held = key.and_then(|key| self.attempts.get(&key));
        let not_started = held.is_none_or(|attempt| matches!(attempt.phase, Phase::Waiting { .. }));
        if let Some(key) = key.filter(|_| not_started) {
            self.seen.insert_unassigned(key);
            self.remove(key);
        }
        let Revoke { run_id, attempt } = revoke;
        self.send(stream, AgentMessage::Revoked(Revoked { run_id, attempt, not_started }));
    }

    pub(super) fn cancelled(&mut self, cancel: &Cancel) {
        if let Some(key) = AttemptKey::parse(&cancel.run_id, cancel.attempt) {
            self.end_early(key, Why::Cancelled);
        }
    }

    /// Drops an attempt that was never started for want of right. The leader is told if there is one; if the message is
    /// lost, the next Inventory lacks the attempt, which says the same.
    pub(super) fn give_back(&mut self, key: AttemptKey) {
        let message = "the right to run ended before the task was due";
        self.remove(key);
        let leader = self
            .current
            .filter(|stream| self.links.get(stream).is_some_and(|link| matches!(link.state, State::Welcomed(_))));
        if let Some(stream) = leader {
            self.reject(stream, key.run.to_string(), key.attempt, Reason::NoRightToRun, message);
        }
    }
}
