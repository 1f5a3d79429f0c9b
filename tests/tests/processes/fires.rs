//! The first light: a job of every second.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Server, assert_no_gap, folder, job, shell, until};
use serde_json::json;

#[test]
fn a_job_of_every_second_runs_every_second_once() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let task = shell("echo $PUNCTUAL_JOB_ID; echo $PUNCTUAL_RUN_ID >&2");
    let created = server.rest.create(&job("tick", task, json!({ "schedule": { "every": ["1s"] } })));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");

    let history = until("ten runs that succeeded", 30, || {
        let history = server.rest.history("tick");
        (history.iter().filter(|run| run.succeeded()).count() >= 10).then_some(history)
    });
    assert_no_gap(&history, created + TimeDelta::seconds(1), TimeDelta::seconds(1));
    let mut succeeded: Vec<_> = history.iter().filter(|run| run.succeeded()).collect();
    succeeded.reverse();
    for run in &succeeded {
        assert_eq!((run.trigger.as_str(), run.attempt, run.agent_id.as_str()), ("SCHEDULE", 1, "embedded"), "{run:?}");
        let started = run.start_time.expect("a run that succeeded has started");
        assert!(run.scheduled_time <= started && Some(started) <= run.end_time, "{run:?}");
    }
    assert!(succeeded.is_sorted_by(|one, next| one.fencing_token() < next.fencing_token()), "{succeeded:?}");

    let log = server.rest.logs(&succeeded[0].run_id);
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable_by_key(|&line| line != "tick");
    assert_eq!(lines, ["tick", &succeeded[0].run_id], "the log has what the task wrote, of both streams");
}
