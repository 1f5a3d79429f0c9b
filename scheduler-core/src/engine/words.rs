//! Why a fire did not run or a run ended, in words, for whoever reads the history.

use std::time::Duration;

use crate::job::{Definition, Job, Pause};
use crate::run::{Reason, RunEvent};
use crate::schedule::duration_in_words;
use crate::time::Timestamp;
use crate::txn::Change;

use super::config::{MAX_COUNT, MAX_RUNS_A_DECISION};
use super::decide::Span;

/// Of fires that were never entered to run.
pub(super) fn of_fires(reason: Reason, span: Span, definition: &Definition, now: Timestamp) -> String {
    let fires = fires(span);
    let max = definition.max_instances;
    match reason {
        Reason::Late => {
            let late = duration_in_words(whole(now.since(span.last)));
            let grace = duration_in_words(definition.misfire_grace_time);
            format!("{fires} found {late} late, misfire_grace_time is {grace}")
        }
        Reason::TooManyDue => {
            format!("{fires} due at once with more than {MAX_RUNS_A_DECISION} later ones, which alone became runs")
        }
        Reason::Overlap => format!("{fires} due while max_instances ({max}) runs were active"),
        Reason::QueueFull => format!("{fires} due while max_queued ({}) runs waited", definition.max_queued),
        Reason::LedgerRestored => format!("{fires} due after the backup from which the ledger was restored"),
        other => format!("{fires} due: {other}"),
    }
}

/// Of fires that a change of their job found undecided.
pub(super) fn of_change(change: Change, span: Span) -> String {
    let what = match change {
        Change::Create => "created",
        Change::Update => "updated",
        Change::Pause => "paused",
        Change::Resume => "resumed",
        Change::Enable => "enabled",
        Change::Disable => "disabled",
        Change::Delete => "deleted",
        Change::Undelete => "undeleted",
        Change::Restore => "given an earlier revision",
        Change::Calendar => "given other dates by a calendar",
    };
    format!("the job was {what} before {} decided", fires(span))
}

/// Of a run that ends without another attempt. `so_far` is what was said of it before.
pub(super) fn of_end(event: RunEvent, reason: Reason, job: &Job, so_far: &str) -> String {
    let definition = &job.definition;
    match (event, reason) {
        (RunEvent::Expired, _) => {
            let deadline = definition.start_deadline.map(duration_in_words).unwrap_or_default();
            let waited_for = if so_far.is_empty() { String::new() } else { format!(": {so_far}") };
            format!("not started within start_deadline ({deadline}){waited_for}")
        }
        (_, Reason::Overlap) => format!("due while max_instances ({}) runs were active", definition.max_instances),
        (_, Reason::QueueFull) => format!("due while max_queued ({}) runs waited", definition.max_queued),
        (_, Reason::Paused) => paused(job.pause.as_ref()),
        (_, Reason::Disabled) => "the job was disabled before the run was handed out".to_owned(),
        (_, Reason::Deleted) => "the job was deleted before the run was handed out".to_owned(),
        _ => so_far.to_owned(),
    }
}

pub(super) fn of_cancel(author: &str, note: &str) -> String {
    if note.is_empty() { format!("cancelled by {author}") } else { format!("cancelled by {author}: {note}") }
}

fn paused(pause: Option<&Pause>) -> String {
    let by = pause.map(|pause| format!(" by {}", pause.author)).unwrap_or_default();
    let note = pause.filter(|pause| !pause.note.is_empty()).map(|pause| format!(": {}", pause.note));
    format!("the job was paused{by} before the run was handed out{}", note.unwrap_or_default())
}

fn fires(span: Span) -> String {
    match span.count {
        1 => "the fire was".to_owned(),
        count if count >= MAX_COUNT => format!("{MAX_COUNT} fires or more were"),
        count => format!("{count} fires were"),
    }
}

/// Nobody counts the milliseconds of a delay.
fn whole(late: Duration) -> Duration {
    if late.as_secs() == 0 {
        Duration::from_millis(late.subsec_millis().into())
    } else {
        Duration::from_secs(late.as_secs())
    }
}
