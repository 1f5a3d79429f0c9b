//! How attempts end, and what becomes of their runs.

use std::time::Duration;

use crate::agent::{Finished, Outcome};
use crate::ids::{AttemptId, JobUid, RunId};
use crate::job::{Job, OnLost, Pause, Retry};
use crate::run::{AttemptEvent, Reason, RunEvent, RunState, TaskError, Trigger};
use crate::time::Timestamp;
use crate::txn::Change;

use super::batch::Batch;
use super::live::LiveRun;
use super::plan::Planned;
use super::queue::Candidate;
use super::term::Term;
use super::words;

/// Not started, and so not counted: the first pause before the next attempt, and the longest.
const NOT_STARTED_BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Who changes jobs without being asked.
pub(super) const AUTHOR: &str = "punctual";

/// The code with which an agent reports what it killed because it was told to leave at once.
const AGENT_STOPPED: &str = "AGENT_STOPPED";

/// How an attempt ended, whoever says so.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum End {
    /// The agent's report.
    Reported(Finished, Timestamp),
    /// The agent is certainly gone.
    AgentLost,
    /// The agent does not have it, and the ledger may have known its end, and lost it.
    Unknown,
    /// The agent does not have it, refused it or gave it back: it never ran.
    NotStarted(Reason, String),
    /// The ledger refuses what there is to say of it.
    Spoilt(String),
}

/// What becomes of the run.
enum Next {
    End(RunEvent, Option<Reason>),
    Retry(Duration, Reason),
}

impl Term {
    /// Ends the attempt that holds a slot of the run's job.
    pub(super) fn end_attempt(&mut self, id: AttemptId, end: &End, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&id.run).filter(|live| live.is_current(id)) else { return };
        let uid = live.run.job_uid;
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        let next = next(live, end, &entry.job.definition.retry, entry.job.definition.on_lost, self.random.unit());
        close(live, end, self.now.wall);
        if matches!(end, End::NotStarted(..)) {
            live.run.uncounted_attempts += 1;
        }
        let next = unless_stopped(next, live, &entry.job);
        if let Some(attempt) = live.attempt() {
            entry.slots.remove(&attempt.slot);
            if let Some(agent) = self.agents.by_instance.get_mut(&attempt.agent_instance) {
                agent.held.remove(&id);
            }
            if attempt.number > 1 {
                batch.attempts.insert((id.run, attempt.number), attempt.clone());
            }
        }
        self.stats.attempts_lost += u64::from(matches!(end, End::AgentLost | End::Unknown));
        match next {
            Next::End(event, reason) => {
                if let Some(reason) = reason {
                    self.say_why_ended(id.run, event, reason);
                }
                self.end_run(id.run, event, reason, batch);
            }
            Next::Retry(delay, reason) => self.wait_for_retry(id.run, delay, reason, batch),
        }
        self.promote(uid);
    }

    fn wait_for_retry(&mut self, id: RunId, delay: Duration, reason: Reason, batch: &mut Batch) {
        self.clean(id);
        let Some(live) = self.runs.get_mut(&id) else { return };
        live.run.state = live.run.state.on(RunEvent::WillRetry).expect("because a run with an attempt is unended");
        let due = self.now.wall.saturating_add(delay);
        live.run.next_attempt_time = Some(due);
        live.run.reason = Some(reason);
        batch.write(&live.run);
        self.run_timers.insert((due, id));
    }

    pub(super) fn end_run(&mut self, id: RunId, event: RunEvent, reason: Option<Reason>, batch: &mut Batch) {
        self.clean(id);
        self.release_deadline(id);
        let Some(mut live) = self.runs.remove(&id) else { return };
        live.run.state = live.run.state.on(event).expect("because only unended runs are in memory");
        live.run.end_time = Some(self.now.wall);
        live.run.next_attempt_time = None;
        live.run.reason = reason;
        self.stats.runs_ended += 1;
        if event == RunEvent::Succeeded {
            self.stats.runs_succeeded += 1;
        } else {
            self.stats.runs_failed += u64::from(matches!(event, RunEvent::Failed | RunEvent::TimedOut));
        }
        batch.write(&live.run);
        if let Some(backfill) = live.run.backfill_id {
            self.backfills.has_ended(backfill, id);
        }
        let uid = live.run.job_uid;
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        entry.live.remove(&id);
        let next = entry.compiled.after_completion().map(|delay| self.now.wall.saturating_add(delay));
        // Of what nobody knows, nobody can say that it failed.
        if reason != Some(Reason::LedgerRestored) {
            self.count_failure(uid, event, batch);
        }
        self.may_be_complete(uid);
        if live.run.trigger == Trigger::Schedule && next.is_some() {
            self.enter_next_after_completion(uid, next, batch);
        }
    }

    /// Counts failures in a row, and pauses the job when they are as many as it allows.
    fn count_failure(&mut self, uid: JobUid, event: RunEvent, batch: &mut Batch) {
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        let limit = entry.job.definition.pause_after_failures;
        let failures = match event {
            RunEvent::Succeeded => 0,
            RunEvent::Failed | RunEvent::TimedOut => entry.job.counts.failures + 1,
            RunEvent::Started | RunEvent::WillRetry | RunEvent::Cancelled | RunEvent::Skipped | RunEvent::Expired => {
                return;
            }
        };
        if limit == 0 || failures == entry.job.counts.failures {
            return;
        }
        entry.job.counts.failures = failures;
        batch.counts.insert(uid, entry.job.counts);
        if failures >= limit && entry.job.pause.is_none() && entry.job.delete_time.is_none() {
            let note = format!("{failures} runs in a row failed");
            let pause = Pause { note: note.clone(), author: AUTHOR.to_owned(), time: self.now.wall };
            let job = Job { pause: Some(pause), ..entry.job.clone() };
            let planned = Planned { note, ..Planned::new(job, entry.compiled.clone(), Change::Pause) };
            self.carry_out(planned, AUTHOR.to_owned(), batch);
        }
    }

    /// A run has waited for its first attempt longer than its job allows.
    pub(super) fn expire(&mut self, id: RunId, batch: &mut Batch) {
        if self.runs.get(&id).is_some_and(|live| live.run.attempt == 0) {
            self.end_waiting(id, RunEvent::Expired, Reason::StartDeadline, batch);
        }
    }

    /// Ends a run that has no attempt under way, wherever it waits.
    pub(super) fn end_waiting(&mut self, id: RunId, event: RunEvent, reason: Reason, batch: &mut Batch) {
        let Some(live) = self.runs.get(&id) else { return };
        let uid = live.run.job_uid;
        let due = live.run.next_attempt_time.unwrap_or(live.run.not_before);
        self.run_timers.remove(&(due, id));
        self.unqueue(Candidate::Run(id), uid);
        if let Some(entry) = self.jobs.get_mut(uid) {
            let rank = entry.rank(due);
            entry.waiting.remove(&(rank, id));
            entry.parked.retain(|parked| *parked != Candidate::Run(id));
        }
        self.say_why_ended(id, event, reason);
        self.end_run(id, event, Some(reason), batch);
        self.promote(uid);
    }

    fn say_why_ended(&mut self, id: RunId, event: RunEvent, reason: Reason) {
        if let Some(live) = self.runs.get_mut(&id)
            && let Some(entry) = self.jobs.get(live.run.job_uid)
        {
            live.run.reason_message = words::of_end(event, reason, &entry.job, &live.run.reason_message);
        }
    }

    /// The run's row is about to be written anyway.
    fn clean(&mut self, id: RunId) {
        if let Some(live) = self.runs.get_mut(&id)
            && let Some(since) = live.dirty_since.take()
        {
            self.dirty.remove(&(since, id));
        }
    }
}

/// Writes the end into the attempt and what the run shows of it.
fn close(live: &mut LiveRun, end: &End, now: Timestamp) {
    let (event, time, reason, error, exit_code) = match end {
        End::Reported(finished, time) => {
            let reason = (finished.outcome == Outcome::Lost).then(|| why_lost(finished));
            (event(finished.outcome), *time, reason, finished.error.clone(), finished.exit_code)
        }
        End::AgentLost => (AttemptEvent::Lost, now, Some(Reason::AgentLost), None, None),
        End::Unknown => (AttemptEvent::Lost, now, Some(Reason::LedgerRestored), None, None),
        End::NotStarted(reason, _) => (AttemptEvent::Lost, now, Some(*reason), None, None),
        End::Spoilt(_) => (AttemptEvent::Failed, now, Some(Reason::RefusedByLedger), None, None),
    };
    let mut started = None;
    let is_cancelled = live.run.cancel_requested_time.is_some();
    let agent = live.attempt().map_or_else(String::new, |attempt| attempt.agent_id.to_string());
    if let Some(attempt) = live.attempt_mut() {
        attempt.state = attempt.state.on(event).expect("because it is the unended attempt");
        attempt.end_time = Some(time);
        if let End::Reported(finished, _) = end {
            attempt.start_time = attempt.start_time.or(finished.start_time);
        }
        started = attempt.start_time;
        attempt.reason = reason;
        attempt.error.clone_from(&error);
        attempt.exit_code = exit_code;
    }
    live.run.start_time = live.run.start_time.or(started);
    live.run.error = error;
    live.run.exit_code = exit_code;
    let said = match end {
        // Who asked for the cancel, and why, stands.
        End::Reported(Finished { outcome: Outcome::Cancelled | Outcome::Lost, .. }, _) if is_cancelled => None,
        End::AgentLost | End::Unknown | End::NotStarted(..) if is_cancelled => None,
        End::Reported(finished, _) => {
            Some(finished.error.as_ref().map_or_else(String::new, |error| error.message.clone()))
        }
        End::AgentLost => Some(format!("agent {agent} was not heard of any more")),
        End::Unknown => Some(format!("agent {agent} does not have it, and the ledger has lost how it ended")),
        End::NotStarted(_, why) | End::Spoilt(why) => Some(why.clone()),
    };
    if let Some(said) = said {
        live.run.reason_message = said;
    }
    if let End::Reported(finished, _) = end {
        live.run.result.clone_from(&finished.result);
    }
}

fn event(outcome: Outcome) -> AttemptEvent {
    match outcome {
        Outcome::Succeeded => AttemptEvent::Succeeded,
        Outcome::Failed => AttemptEvent::Failed,
        Outcome::TimedOut => AttemptEvent::TimedOut,
        Outcome::Cancelled => AttemptEvent::Cancelled,
        Outcome::Lost => AttemptEvent::Lost,
    }
}

fn next(live: &LiveRun, end: &End, retry: &Retry, on_lost: OnLost, unit: f64) -> Next {
    let asked_to_stop = live.run.cancel_requested_time.is_some();
    let left = live.run.counted_attempts() < retry.max_attempts && !asked_to_stop;
    let backoff = || backoff(retry, live.run.counted_attempts(), unit);
    let why_cancelled = live.run.reason.or(Some(Reason::CancelledByUser));
    match end {
        End::NotStarted(..) if asked_to_stop => Next::End(RunEvent::Cancelled, why_cancelled),
        End::NotStarted(reason, _) => Next::Retry(not_started_backoff(live.run.uncounted_attempts), *reason),
        End::Spoilt(_) => Next::End(RunEvent::Failed, Some(Reason::RefusedByLedger)),
        End::AgentLost | End::Unknown if asked_to_stop => Next::End(RunEvent::Cancelled, why_cancelled),
        End::AgentLost => lost(left && on_lost == OnLost::Retry, backoff(), Reason::AgentLost),
        End::Unknown => lost(left && on_lost == OnLost::Retry, backoff(), Reason::LedgerRestored),
        End::Reported(finished, _) => {
            let again = left && finished.retryable && !is_final(finished.error.as_ref(), retry);
            match finished.outcome {
                Outcome::Succeeded => Next::End(RunEvent::Succeeded, None),
                Outcome::Cancelled => Next::End(RunEvent::Cancelled, why_cancelled),
                // What was asked for has come about, though nobody can say that it ended well.
                Outcome::Lost if asked_to_stop => Next::End(RunEvent::Cancelled, why_cancelled),
                Outcome::Lost => lost(left && on_lost == OnLost::Retry, backoff(), why_lost(finished)),
                Outcome::Failed if again => Next::Retry(backoff(), Reason::RetryBackoff),
                Outcome::TimedOut if again => Next::Retry(backoff(), Reason::RetryBackoff),
                Outcome::Failed => Next::End(RunEvent::Failed, Some(Reason::TaskFailed)),
                Outcome::TimedOut => Next::End(RunEvent::TimedOut, Some(Reason::Timeout)),
            }
        }
    }
}

/// Disable and delete cancel all that waits, and a pause skips what was never handed out: what would begin to
/// wait, too.
fn unless_stopped(next: Next, live: &LiveRun, job: &Job) -> Next {
    match next {
        Next::Retry(..)
            if job.pause.is_some() && live.is_fire_not_handed_out() && live.run.state == RunState::Pending =>
        {
            Next::End(RunEvent::Skipped, Some(Reason::Paused))
        }
        Next::Retry(..) if job.delete_time.is_some() => Next::End(RunEvent::Cancelled, Some(Reason::Deleted)),
        Next::Retry(..) if !job.definition.enabled => Next::End(RunEvent::Cancelled, Some(Reason::Disabled)),
        Next::Retry(..) | Next::End(..) => next,
    }
}

fn lost(again: bool, backoff: Duration, reason: Reason) -> Next {
    if again { Next::Retry(backoff, reason) } else { Next::End(RunEvent::Failed, Some(reason)) }
}

/// An agent that is told to stop at once gives up attempts that it had the right to run.
fn why_lost(finished: &Finished) -> Reason {
    let stopped = finished.error.as_ref().is_some_and(|error| error.code == AGENT_STOPPED);
    if stopped { Reason::AgentLost } else { Reason::RightToRunEnded }
}

fn is_final(error: Option<&TaskError>, retry: &Retry) -> bool {
    error.is_some_and(|error| retry.non_retryable_codes.contains(&error.code))
}

/// Exponential, capped, with up to a tenth added at random so that many do not come back at once.
fn backoff(retry: &Retry, failed: u32, unit: f64) -> Duration {
    let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
    let plain = retry.initial_backoff.as_secs_f64() * retry.backoff_multiplier.powi(exponent);
    let capped = plain.min(retry.max_backoff.as_secs_f64());
    Duration::try_from_secs_f64(capped * (1.0 + unit / 10.0)).unwrap_or(retry.max_backoff)
}

fn not_started_backoff(before: u32) -> Duration {
    let (first, longest) = NOT_STARTED_BACKOFF;
    first.saturating_mul(1 << before.min(16)).min(longest)
}
