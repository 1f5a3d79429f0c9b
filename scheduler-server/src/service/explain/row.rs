//! An instant that a row tells of.

use ledger::StoredRun;
use punctual_proto::v1::explain_fire_response::Outcome;
use scheduler_core::run::{Reason, Run, RunState};
use scheduler_core::time::Timestamp;

use super::{Answer, Question, length, noted};

impl Question<'_> {
    pub(super) fn of_row(&self, stored: &StoredRun) -> Answer {
        let run = &stored.run;
        let recorded = recorded(run);
        match (run.state, run.reason) {
            (RunState::Missed, Some(Reason::Late)) => {
                let grace = self.record.job.definition.misfire_grace_time;
                let late = length(run.decided_at.since(self.time));
                let words = format!(
                    "It was decided {late} late, beyond the misfire grace time ({} now). {recorded}",
                    length(grace)
                );
                Answer::new(Outcome::Late, words)
            }
            (RunState::Missed, Some(Reason::LedgerRestored)) => {
                let words =
                    format!("The ledger was restored from a backup, and does not know of this time. {recorded}");
                Answer::new(Outcome::LedgerRestored, words)
            }
            (RunState::Missed, _) => Answer::new(Outcome::Missed, format!("It was missed: {}. {recorded}", why(run))),
            (RunState::Skipped, _) => {
                Answer::new(Outcome::Skipped, format!("It was skipped: {}. {recorded}", why(run)))
            }
            _ if run.scheduled_time != self.time => {
                let words = format!(
                    "It was coalesced with others into run {} of {}, {} in all. {}",
                    run.id,
                    run.scheduled_time,
                    fires(run),
                    course(stored)
                );
                Answer::new(Outcome::Coalesced, words)
            }
            _ => {
                let has_run = run.state.is_ended() || first_start(stored).is_some();
                Answer::new(if has_run { Outcome::Ran } else { Outcome::Waiting }, course(stored))
            }
        }
    }
}

/// What stands in the history for it.
fn recorded(run: &Run) -> String {
    match run.first_scheduled_time {
        Some(first) => format!("Record {} stands for {}, {first} to {}.", run.id, fires(run), run.scheduled_time),
        None => format!("Record {} stands for it.", run.id),
    }
}

fn fires(run: &Run) -> String {
    if run.coalesced_count == 1 { "1 fire".to_owned() } else { format!("{} fires", run.coalesced_count) }
}

/// How the run went so far.
fn course(stored: &StoredRun) -> String {
    let run = &stored.run;
    let start = first_start(stored);
    let agent = stored.latest_attempt().map(|attempt| attempt.agent_id.to_string()).unwrap_or_default();
    let started = start.map_or_else(
        || "it never started".to_owned(),
        |start| format!("it started {} after its time on agent {agent}", length(start.since(run.scheduled_time))),
    );
    if run.state.is_ended() {
        let why = if run.state == RunState::Succeeded { String::new() } else { format!(", because {}", why(run)) };
        let ended = run.end_time.map_or_else(String::new, |end| format!(", and ended at {end}"));
        return format!("Run {} is {}{why}: {started}{ended}.", run.id, run.state);
    }
    if run.state == RunState::Running {
        return format!("Run {} is RUNNING: {started}.", run.id);
    }
    match (run.next_attempt_time, stored.latest_attempt()) {
        (Some(next), _) => format!("Run {} waits for its next attempt at {next}: {}.", run.id, why(run)),
        (None, Some(attempt)) if !attempt.state.is_ended() => {
            format!(
                "Run {} was handed to agent {agent} at {}, which has not reported a start.",
                run.id, attempt.assign_time
            )
        }
        _ => format!("Run {} waits: {}.", run.id, why(run)),
    }
}

fn first_start(stored: &StoredRun) -> Option<Timestamp> {
    let attempts = stored.run.first_attempt.iter().chain(&stored.later_attempts);
    attempts.filter_map(|attempt| attempt.start_time).min()
}

fn why(run: &Run) -> String {
    let reason = run.reason.map_or("no reason is recorded", words);
    format!("{reason}{}", noted(&run.reason_message))
}

fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::NotDue => "its time plus jitter or delay has not come",
        Reason::Late => "it was later than the misfire grace time",
        Reason::TooManyDue => "more than 1,000 fires were due at once, and it was not among the latest",
        Reason::JobChanged => "the job was changed before it was decided or started",
        Reason::LedgerRestored => "the ledger is a backup or a copy that does not know how it ended",
        Reason::Overlap => "max_instances runs were active",
        Reason::QueueFull => "max_queued runs were waiting",
        Reason::Paused => "the job was paused before it was handed out",
        Reason::Disabled => "the job was disabled before it was handed out",
        Reason::Deleted => "the job was deleted before it was handed out",
        Reason::NoAgent => "no connected agent fits the job's queue and selector",
        Reason::UnknownTaskType => "no connected agent offers the task type",
        Reason::AgentsBusy => "every agent that could take it is full",
        Reason::WaitingForSlot => "max_instances attempts of the job are running",
        Reason::BackfillConcurrency => "the backfill's concurrency is used up",
        Reason::RetryBackoff => "the last attempt did not succeed",
        Reason::CoordinatorAway => "nothing is handed out while the coordinator is away",
        Reason::TaskFailed => "its last attempt failed",
        Reason::Timeout => "its last attempt ran into the timeout",
        Reason::AgentLost => "the agent of its last attempt was lost",
        Reason::RightToRunEnded => "the agent's right to run ended",
        Reason::NotStarted => "its attempt never started",
        Reason::LockNotTaken => "the lock of its attempt could not be taken",
        Reason::RefusedByAgent => "the agent refused its attempt",
        Reason::Revoked => "its attempt was taken back before it started",
        Reason::StartDeadline => "it waited longer than start_deadline",
        Reason::CancelledByUser => "it was cancelled by request",
        Reason::CancelledByOverlap => "a later fire took its place",
        Reason::RefusedByLedger => "the ledger refused its data",
        Reason::Internal => "of an error in Punctual, which the server's log explains",
    }
}
