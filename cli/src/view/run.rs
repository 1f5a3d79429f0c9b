//! Runs as text.

use anstyle::Style;
use punctual_proto::v1::{Attempt, ListRunsResponse, Run, attempt, run};

use super::job::labels;
use super::table::{Cell, Fit, Table, facts};
use super::when::{absolute, relative, took};
use super::{BAD, BUSY, GOOD, ODD, PLAIN, Scene};

/// Whose runs a page shows, which decides the columns that tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Job,
    Namespace,
    All,
}

pub(crate) fn runs(page: &ListRunsResponse, scene: &Scene, whose: Whose) -> String {
    let mut columns = match whose {
        Whose::Job => vec![],
        Whose::Namespace => vec![("JOB", Fit::Cut)],
        Whose::All => vec![("NAMESPACE", Fit::Cut), ("JOB", Fit::Cut)],
    };
    columns.extend([
        ("RUN", Fit::Whole),
        ("STATE", Fit::Whole),
        ("SCHEDULED", Fit::Drop(1)),
        ("STARTED", Fit::Drop(5)),
    ]);
    columns.extend([("TOOK", Fit::Drop(6)), ("AGENT", Fit::Drop(4)), ("ATTEMPT", Fit::Drop(2))]);
    columns.extend([("TRIGGER", Fit::Drop(0)), ("FIRES", Fit::Drop(1)), ("REASON", Fit::Drop(3))]);
    let mut table = Table::new(columns);
    for run in &page.runs {
        let mut row: Vec<Cell> = match whose {
            Whose::Job => vec![],
            Whose::Namespace => vec![run.job_id.as_str().into()],
            Whose::All => vec![run.namespace.as_str().into(), run.job_id.as_str().into()],
        };
        row.extend([
            run.run_id.as_str().into(),
            Cell::styled(run.state().as_str_name(), style(run.state())),
            relative(run.scheduled_time.as_ref(), scene.now).into(),
            relative(run.start_time.as_ref(), scene.now).into(),
            took(run.start_time.as_ref(), run.end_time.as_ref(), scene.now).into(),
            or_none(&run.agent_id).into(),
            run.attempt.to_string().into(),
            run.trigger().as_str_name().into(),
            fires(run, scene).into(),
            reason(run.reason(), &run.reason_message).into(),
        ]);
        table.row(row);
    }
    table.render(scene.width)
}

/// One state of a run as it came, in a line.
pub(crate) fn run_line(run: &Run, scene: &Scene) -> String {
    let (state, reason) =
        (Cell::styled(run.state().as_str_name(), style(run.state())), reason(run.reason(), &run.reason_message));
    let mut parts = vec![
        scene.now.format("%H:%M:%S").to_string(),
        run.run_id.clone(),
        format!("{}/{}", run.namespace, run.job_id),
        state.rendered(),
    ];
    parts.extend(run.start_time.is_some().then(|| took(run.start_time.as_ref(), run.end_time.as_ref(), scene.now)));
    parts.extend((reason != "-").then_some(reason));
    parts.join("  ") + "\n"
}

/// How a run ended, in a sentence.
pub(crate) fn ended(run: &Run) -> String {
    let end = run.end_time.as_ref().and_then(super::when::instant).unwrap_or_default();
    let took = took(run.start_time.as_ref(), run.end_time.as_ref(), end);
    let took = if took == "-" { String::new() } else { format!(" after {took}") };
    let error = run.error.as_ref().map(|error| format!(": {} {}", error.code, error.message));
    let why = error.unwrap_or_else(|| match reason(run.reason(), &run.reason_message).as_str() {
        "-" => String::new(),
        reason => format!(": {reason}"),
    });
    format!("run {} of {}/{}: {}{took}{why}", run.run_id, run.namespace, run.job_id, run.state().as_str_name())
}

/// How many fires a record stands for, and the first of them.
fn fires(run: &Run, scene: &Scene) -> String {
    match &run.first_scheduled_time {
        None => run.coalesced_count.to_string(),
        first => format!("{}, first {}", run.coalesced_count, relative(first.as_ref(), scene.now)),
    }
}

/// One run with its attempts.
pub(crate) fn run(run: &Run, scene: &Scene) -> String {
    let time = |time: &Option<_>| Cell::from(absolute(time.as_ref(), scene.now));
    let count = if run.coalesced_count > 1 { run.coalesced_count.to_string() } else { String::new() };
    let error = run.error.as_ref().map(|error| format!("{} {}", error.code, error.message)).unwrap_or_default();
    let progress = run.progress.as_ref().map(|at| format!("{} % {}", at.percent, at.message)).unwrap_or_default();
    let result = run.result.as_ref().map(|result| super::json::of(result).to_string()).unwrap_or_default();
    let mut text = facts(&[
        ("run", run.run_id.as_str().into()),
        ("job", format!("{}/{}", run.namespace, run.job_id).into()),
        ("state", Cell::styled(run.state().as_str_name(), style(run.state()))),
        ("reason", reason(run.reason(), &run.reason_message).into()),
        ("error", error.into()),
        ("exit code", run.exit_code.map(|code| code.to_string()).unwrap_or_default().into()),
        ("result", result.into()),
        ("progress", progress.into()),
        ("trigger", run.trigger().as_str_name().into()),
        ("scheduled", time(&run.scheduled_time)),
        ("not before", time(&run.not_before)),
        ("fires", count.into()),
        ("first fire", time(&run.first_scheduled_time)),
        ("started", time(&run.start_time)),
        ("ended", time(&run.end_time)),
        ("took", took(run.start_time.as_ref(), run.end_time.as_ref(), scene.now).into()),
        ("next attempt", time(&run.next_attempt_time)),
        ("cancel asked", time(&run.cancel_requested_time)),
        ("retry of", run.retry_of.as_str().into()),
        ("backfill", run.backfill_id.as_str().into()),
        ("labels", labels(&run.labels).into()),
    ]);
    if !run.attempts.is_empty() {
        text.push('\n');
        text.push_str(&attempts(&run.attempts, scene));
    }
    text
}

fn attempts(attempts: &[Attempt], scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("ATTEMPT", Fit::Whole),
        ("STATE", Fit::Whole),
        ("STARTED", Fit::Whole),
        ("TOOK", Fit::Whole),
        ("AGENT", Fit::Cut),
        ("TOKEN", Fit::Drop(0)),
        ("ERROR", Fit::Cut),
    ]);
    for attempt in attempts {
        let error = match &attempt.error {
            Some(error) => format!("{} {}", error.code, error.message),
            None => reason(attempt.reason(), &attempt.reason_message),
        };
        let error = match attempt.late_outcome.as_str() {
            "" => error,
            late => format!("{error} (reported later: {late})"),
        };
        table.row(vec![
            attempt.number.to_string().into(),
            Cell::styled(attempt.state().as_str_name(), attempt_style(attempt.state())),
            relative(attempt.start_time.as_ref(), scene.now).into(),
            took(attempt.start_time.as_ref(), attempt.end_time.as_ref(), scene.now).into(),
            or_none(&attempt.agent_id).into(),
            attempt.fencing_token.to_string().into(),
            error.into(),
        ]);
    }
    table.render(scene.width)
}

pub(super) fn style(state: run::State) -> Style {
    match state {
        run::State::Succeeded => GOOD,
        run::State::Failed | run::State::TimedOut => BAD,
        run::State::Running => BUSY,
        run::State::Cancelled | run::State::Skipped | run::State::Missed | run::State::Expired => ODD,
        run::State::Pending | run::State::Unspecified => PLAIN,
    }
}

fn attempt_style(state: attempt::State) -> Style {
    match state {
        attempt::State::Succeeded => GOOD,
        attempt::State::Failed | attempt::State::TimedOut | attempt::State::Lost => BAD,
        attempt::State::Running => BUSY,
        attempt::State::Cancelled => ODD,
        attempt::State::Pending | attempt::State::Unspecified => PLAIN,
    }
}

fn reason(reason: run::Reason, message: &str) -> String {
    match (reason, message) {
        (run::Reason::Unspecified, "") => "-".to_owned(),
        (reason, "") => reason.as_str_name().to_owned(),
        (run::Reason::Unspecified, message) => message.to_owned(),
        (reason, message) => format!("{}: {message}", reason.as_str_name()),
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn example() -> Run {
        Run {
            namespace: "default".to_owned(),
            job_id: "beat".to_owned(),
            run_id: "0199d0d6-0000-7000-8000-000000000001".to_owned(),
            trigger: run::Trigger::Schedule.into(),
            state: run::State::Succeeded.into(),
            attempt: 1,
            coalesced_count: 1,
            agent_id: "worker".to_owned(),
            scheduled_time: Some(Timestamp { seconds: 990, nanos: 0 }),
            start_time: Some(Timestamp { seconds: 990, nanos: 1_000_000 }),
            end_time: Some(Timestamp { seconds: 990, nanos: 121_000_000 }),
            ..Run::default()
        }
    }

    fn shown(page: &[Run], width: Option<usize>) -> String {
        let scene = Scene { now: chrono::DateTime::from_timestamp(1_000, 0).unwrap(), width };
        let page = ListRunsResponse { runs: page.to_vec(), ..ListRunsResponse::default() };
        anstream::adapter::strip_str(&runs(&page, &scene, Whose::Job)).to_string()
    }

    #[test]
    fn history_shows_agent_start_and_length_of_each_run() {
        let text = shown(&[example()], None);
        let row: Vec<&str> =
            text.lines().nth(1).unwrap().split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        let id = "0199d0d6-0000-7000-8000-000000000001";
        assert_eq!(row, [id, "SUCCEEDED", "10 s ago", "9 s ago", "120 ms", "worker", "1", "SCHEDULE", "1", "-"]);
    }

    #[test]
    fn eighty_columns_hold_who_ran_what_and_how_long() {
        let text = shown(&[example()], Some(80));
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(["SUCCEEDED", "120 ms", "worker"].iter().all(|word| text.contains(word)), "{text}");
    }

    #[test]
    fn a_run_that_did_not_succeed_says_why() {
        let late = Run {
            state: run::State::Missed.into(),
            reason: run::Reason::Late.into(),
            reason_message: "2 h late".to_owned(),
            coalesced_count: 36,
            first_scheduled_time: Some(Timestamp { seconds: 955, nanos: 0 }),
            ..Run::default()
        };
        let text = shown(&[late], None);
        assert!(text.contains("LATE: 2 h late") && text.contains("36, first 45 s ago"), "{text}");
    }
}
