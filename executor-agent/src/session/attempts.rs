//! What becomes of the attempts that are held: start, deadline, stop, kill, end.

use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use punctual_proto::v1::Progress;

use super::Session;
use super::attempt::{Phase, Stop, Why, finished, stopped};
use super::ids::AttemptKey;
use super::input::{Effect, Notice, TaskEvent};
use super::task::{Completion, Task};
use crate::time::Boot;

/// How long a task in this process that was killed at its deadline may take to go before the process is aborted.
const ABORT_AFTER: Duration = Duration::from_secs(5);
/// How long an agent that was told to stop at once waits for acknowledgements.
const STOP_WAITS: Duration = Duration::from_secs(2);
/// Bytes of logs that the agent holds in all.
const LOG_BYTES: i64 = 64 << 20;

impl Session {
    pub(super) fn start(&mut self, key: AttemptKey) {
        let now = self.now.boot;
        if !self.right.allows_start(now) {
            self.give_back(key);
            return;
        }
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        let Phase::Waiting { timeout, .. } = attempt.phase else { return };
        let deadline = timeout.map(|timeout| now + timeout);
        attempt.phase = Phase::Running { deadline };
        attempt.task = Arc::new(Task { deadline, ..(*attempt.task).clone() });
        let task = Arc::clone(&attempt.task);
        self.set_timer(key);
        self.emit(Effect::Start(task));
    }

    pub(super) fn task_said(&mut self, key: AttemptKey, event: TaskEvent) {
        let time = self.report_time();
        let now = self.now.boot;
        let room = LOG_BYTES - self.log_bytes;
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        if !matches!(attempt.phase, Phase::Running { .. }) {
            return;
        }
        match event {
            TaskEvent::Started => {
                attempt.reports.started(time, now);
                self.set_timer(key);
                return;
            }
            TaskEvent::Progress { percent, message } => {
                let percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
                attempt.reports.progress(time, Progress { percent, message });
            }
            TaskEvent::Log { stream, data } => {
                let before = attempt.logs.waiting();
                attempt.logs.push(now, key, stream, time, data, room);
                self.log_bytes += attempt.logs.waiting() - before;
            }
            TaskEvent::Finished(completion) => {
                self.end(key, completion);
                return;
            }
        }
        self.enqueue(key);
    }

    fn end(&mut self, key: AttemptKey, completion: Completion) {
        let time = self.report_time();
        if let Some(attempt) = self.attempts.get_mut(&key) {
            let report = finished(attempt.stop.map(|stop| stop.why), completion);
            attempt.end(time, report);
            self.held -= 1;
        }
        self.set_timer(key);
        self.enqueue(key);
    }

    /// An instant that [`Attempt::next_timer`](super::attempt::Attempt::next_timer) named has come.
    pub(super) fn timer_came(&mut self, key: AttemptKey) {
        let now = self.now.boot;
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        attempt.timer = None;
        let due = |at: Option<Boot>| at.is_some_and(|at| at <= now);
        let sends_start = attempt.reports.release_started(now);
        match (attempt.phase, attempt.stop) {
            (Phase::Waiting { start_at, .. }, _) if start_at <= now => self.start(key),
            (Phase::Running { deadline }, None) if due(deadline) => self.end_early(key, Why::TimedOut),
            (Phase::Running { .. }, Some(stop)) if !stop.killed && stop.kill_at <= now => self.kill(key),
            (Phase::Running { .. }, Some(stop)) if due(stop.abort_at) => {
                attempt.stop = Some(Stop { abort_at: None, ..stop });
                self.emit(Effect::Abort { attempt: key });
            }
            _ => {}
        }
        if sends_start {
            self.enqueue(key);
        }
        self.set_timer(key);
    }

    /// Ends an attempt from outside, whatever it is doing.
    pub(super) fn end_early(&mut self, key: AttemptKey, why: Why) {
        let time = self.report_time();
        let now = self.now.boot;
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        match attempt.phase {
            Phase::Ended => return,
            Phase::Waiting { .. } => {
                attempt.end(time, stopped(why));
                self.held -= 1;
                self.enqueue(key);
            }
            Phase::Running { .. } => {
                let grace = if why == Why::AgentStopped { Duration::ZERO } else { attempt.task.kill_grace };
                let kill_at = now + grace;
                if let Some(stop) = &mut attempt.stop {
                    // Only the agent's own end hurries what is being stopped; the right to run has its own way.
                    if why == Why::AgentStopped {
                        stop.kill_at = stop.kill_at.min(kill_at);
                    }
                } else {
                    attempt.stop = Some(Stop { why, kill_at, killed: false, abort_at: None });
                    self.emit(Effect::Cancel { attempt: key });
                }
                if grace.is_zero() {
                    self.kill(key);
                }
            }
        }
        self.set_timer(key);
    }

    fn kill(&mut self, key: AttemptKey) {
        let now = self.now.boot;
        let right_aborts_at = self.right.kill_at().map(|at| at + self.right.abort_after());
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        let Some(stop) = attempt.stop.as_mut().filter(|stop| !stop.killed) else { return };
        stop.killed = true;
        if attempt.in_process {
            // Past the right to run there is no patience: after a freeze others may have the attempt already.
            let right_aborts_at = right_aborts_at.filter(|_| stop.why == Why::Lost);
            stop.abort_at = Some(right_aborts_at.unwrap_or(now + ABORT_AFTER));
        }
        self.emit(Effect::Kill { attempt: key });
    }

    /// Stops what the right to run does not reach to, in time for the kill to fall before its end.
    pub(super) fn stop_without_right(&mut self) {
        let now = self.now.boot;
        if self.held == 0 || self.right.first_stop().is_none_or(|first| now < first) {
            return;
        }
        let right_kills_at = self.right.kill_at().expect("because the right has a first stop");
        let keys: Vec<_> = self.held().collect();
        let mut stopping = 0;
        for key in keys {
            let attempt = self.attempts.get_mut(&key).expect("because it is held");
            let is_due = self.right.stop_at(attempt.task.kill_grace).is_some_and(|stop| stop <= now);
            if !is_due {
                continue;
            }
            if matches!(attempt.phase, Phase::Waiting { .. }) {
                self.give_back(key);
                continue;
            }
            let before = attempt.stop;
            if before.is_none_or(|stop| stop.why != Why::Lost) {
                stopping += 1;
                let kill_at = before.map_or(right_kills_at, |stop| stop.kill_at.min(right_kills_at));
                let killed = before.is_some_and(|stop| stop.killed);
                // What was killed before, and has not gone, must be gone by then too.
                let last = right_kills_at + self.right.abort_after();
                let abort_at = before.and_then(|stop| stop.abort_at).map(|at| at.min(last));
                attempt.stop = Some(Stop { why: Why::Lost, kill_at, killed, abort_at });
                if before.is_none() {
                    self.emit(Effect::Cancel { attempt: key });
                }
                if kill_at <= now {
                    self.kill(key);
                }
                self.set_timer(key);
            }
        }
        if stopping > 0 && !self.right_ending_said {
            self.right_ending_said = true;
            self.emit(Effect::Say(Notice::RightEnding { attempts: stopping }));
        }
    }

    /// The next instant at which [`Self::stop_without_right`] has something to do.
    pub(super) fn next_right_timer(&self) -> Option<Boot> {
        if self.held == 0 {
            return None;
        }
        let first = self.right.first_stop()?;
        if self.now.boot < first {
            return Some(first);
        }
        let running = self.attempts.values().filter(|attempt| !attempt.is_ended());
        let unstopped = running.filter(|attempt| attempt.stop.is_none_or(|stop| stop.why != Why::Lost));
        unstopped.filter_map(|attempt| self.right.stop_at(attempt.task.kill_grace)).min()
    }

    /// Kills everything and leaves soon.
    pub(super) fn stop(&mut self) {
        self.drain();
        self.leave_at.get_or_insert(self.now.boot + STOP_WAITS);
        let keys: Vec<_> = self.held().collect();
        for key in keys {
            self.end_early(key, Why::AgentStopped);
        }
    }

    pub(super) fn set_timer(&mut self, key: AttemptKey) {
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        if let Some(old) = attempt.timer.take() {
            self.timers.remove(&(old, key));
        }
        attempt.timer = attempt.next_timer();
        if let Some(at) = attempt.timer {
            self.timers.insert((at, key));
        }
    }

    pub(super) fn remove(&mut self, key: AttemptKey) {
        let Some(attempt) = self.attempts.remove(&key) else { return };
        if let Some(at) = attempt.timer {
            self.timers.remove(&(at, key));
        }
        if !attempt.is_ended() {
            self.held -= 1;
        }
        self.log_bytes -= attempt.logs.waiting();
    }

    /// When a report happened: now, by the server's clock.
    fn report_time(&self) -> Timestamp {
        self.offset.server_time(self.now, self.now.boot).into()
    }
}
