//! What becomes of due fires, told the same by the ledger through REST and by the command line: state, reason, counts,
//! first and last (DESIGN.md, section 5).

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Cli, Run, Server, assert_no_gap, folder, job, noop, until};
use serde_json::{Value, json};

/// A task that outlives the test.
fn long() -> Value {
    json!({ "type": "noop", "payload": { "duration": "600s" } })
}

/// Of every second, with what it does about lateness and overlap.
fn tick(job_id: &str, task: Value, more: Value) -> Value {
    let mut job = job(job_id, task, more);
    job["schedule"] = json!({ "every": ["1s"] });
    job
}

fn create_time(job: &Value) -> DateTime<Utc> {
    let text = job["createTime"].as_str().expect("a job has its time of creation");
    text.parse().expect("a time of RFC 3339")
}

/// The wall clock, as the file system tells it.
fn clock(folder: &Path) -> DateTime<Utc> {
    let file = folder.join("clock");
    fs::write(&file, "").expect("because the folder is the test's");
    fs::metadata(&file).and_then(|file| file.modified()).expect("because it was just written").into()
}

/// The newest run of the job with that state and reason, once there is one.
#[track_caller]
fn found(server: &Server, job_id: &str, state: &str, reason: &str) -> Run {
    until(&format!("{job_id} with {state} {reason}"), 20, || {
        let path = format!("/jobs/{job_id}/history?pageSize=100&states={state}");
        server.rest.pages(&path).into_iter().find(|run| run.reason == reason)
    })
}

/// The fires that a change found undecided. One that comes just after all were decided finds none: it is taken back, and made again.
#[track_caller]
fn closed(server: &Server, job_id: &str, change: impl Fn(), back: impl Fn()) -> Run {
    let path = format!("/jobs/{job_id}/history?pageSize=100&states=MISSED");
    until(&format!("a change that finds undecided fires of {job_id}"), 60, || {
        change();
        let run = server.rest.pages(&path).into_iter().find(|run| run.reason == "JOB_CHANGED");
        if run.is_none() {
            back();
        }
        run
    })
}

/// What the command line says of a run: its row in the history, and the run alone.
#[track_caller]
fn told(cli: &Cli, run: &Run, words: &[&str]) {
    let state = run.state.to_lowercase();
    let history = cli.ok(&["job", "history", &run.job_id, "--state", &state, "--page-size", "1000"]);
    let row = history.lines().find(|line| line.contains(&run.run_id)).unwrap_or_else(|| panic!("{history}"));
    let alone = cli.ok(&["run", "get", &run.run_id]);
    let reason = if run.reason == "REASON_UNSPECIFIED" { "" } else { run.reason.as_str() };
    for word in words.iter().chain([&run.state.as_str(), &reason]) {
        assert!(row.contains(word) && alone.contains(word), "{word} in\n{row}\nand\n{alone}");
    }
    let fires = match run.first_scheduled_time {
        Some(_) => format!("  {}, first ", run.coalesced_count),
        None => format!("  {}  ", run.coalesced_count),
    };
    assert!(row.contains(&fires), "{fires:?} in {row}");
}

#[test]
fn fires_that_came_due_without_a_server_are_told_as_their_job_says() {
    let folder = folder();
    let mut server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    let jobs =
        [("late", "1s", true), ("coalesced", "600s", true), ("each", "600s", false)].map(|(id, grace, coalesce)| {
            let more = json!({ "misfireGraceTime": grace, "coalesce": coalesce, "maxInstances": 50 });
            server.rest.create(&tick(id, noop(), more))
        });
    server.kill();
    let away = create_time(&jobs[2]) + TimeDelta::seconds(6);
    until("some seconds without a server", 20, || (clock(folder.path()) > away).then_some(()));
    server.start();

    let missed = found(&server, "late", "MISSED", "LATE");
    assert!(missed.coalesced_count >= 2 && missed.first_scheduled_time.is_some(), "{missed:?}");
    told(&cli, &missed, &["misfire_grace_time is 1 second"]);
    let coalesced = until("the coalesced run", 20, || {
        server.rest.history("coalesced").into_iter().find(|run| run.coalesced_count > 1 && run.succeeded())
    });
    told(&cli, &coalesced, &[]);
    until("a run for each fire", 20, || (server.rest.history("each").len() >= 5).then_some(()));
    for (job_id, job) in ["late", "coalesced", "each"].iter().zip(&jobs) {
        let history = server.rest.history(job_id);
        assert_no_gap(&history, create_time(job) + TimeDelta::seconds(1), TimeDelta::seconds(1));
        assert!(*job_id != "each" || history.iter().all(|run| run.coalesced_count == 1), "{history:?}");
    }
}

#[test]
fn fires_that_meet_a_full_job_are_told_as_its_overlap_policy_says() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    server.rest.create(&tick("skip", long(), json!({})));
    server.rest.create(&tick("queue", long(), json!({ "overlapPolicy": "QUEUE", "maxQueued": 2 })));
    server.rest.create(&tick("cancel", long(), json!({ "overlapPolicy": "CANCEL_RUNNING" })));

    let skipped = found(&server, "skip", "SKIPPED", "OVERLAP");
    assert_eq!((skipped.coalesced_count, skipped.first_scheduled_time), (1, None));
    told(&cli, &skipped, &["max_instances (1)"]);
    let full = found(&server, "queue", "SKIPPED", "QUEUE_FULL");
    told(&cli, &full, &["max_queued (2)"]);
    let waiting = server.rest.pages("/jobs/queue/history?pageSize=100&states=PENDING");
    assert!(waiting.len() >= 2, "{waiting:?}");
    let cancelled = found(&server, "cancel", "CANCELLED", "CANCELLED_BY_OVERLAP");
    told(&cli, &cancelled, &["a later fire of the job took its place"]);
}

#[test]
fn fires_of_a_job_that_is_paused_or_changed_are_told_so() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    // Nobody offers the task type: fires wait for half a second, undecided, and then as runs.
    let nobody = || json!({ "type": "nobody-has-it" });
    let often = |job_id: &str| {
        // What finds the queue full is decided at once.
        let mut job = job(job_id, nobody(), json!({ "overlapPolicy": "QUEUE", "maxQueued": 1_000 }));
        job["schedule"] = json!({ "every": ["0.2s"] });
        job
    };
    for job_id in ["paused", "edited", "disabled", "deleted"] {
        server.rest.create(&often(job_id));
        found(&server, job_id, "PENDING", "UNKNOWN_TASK_TYPE");
    }
    let job_command = |arguments: &[&str]| drop(cli.ok(&[&["job"], arguments].concat()));
    let pause = || job_command(&["pause", "paused", "--note", "the disk is full"]);
    let changed = closed(&server, "paused", pause, || job_command(&["resume", "paused"]));
    let skipped = found(&server, "paused", "SKIPPED", "PAUSED");
    told(&cli, &skipped, &["paused by anonymous", "the disk is full"]);
    told(&cli, &changed, &["the job was paused before"]);
    let count = server.rest.history("paused").len();

    let every = |period: &str| {
        drop(server.rest.call("PATCH", "/jobs/edited", Some(&json!({ "schedule": { "every": [period] } }))).ok());
    };
    let changed = closed(&server, "edited", || every("3600s"), || every("0.2s"));
    told(&cli, &changed, &["the job was updated before"]);
    let (disable, enable) = (|| job_command(&["disable", "disabled"]), || job_command(&["enable", "disabled"]));
    told(&cli, &closed(&server, "disabled", disable, enable), &["the job was disabled before"]);
    told(&cli, &found(&server, "disabled", "CANCELLED", "DISABLED"), &["the job was disabled"]);
    let (delete, undelete) = (|| job_command(&["delete", "deleted"]), || job_command(&["undelete", "deleted"]));
    told(&cli, &closed(&server, "deleted", delete, undelete), &["the job was deleted before"]);
    told(&cli, &found(&server, "deleted", "CANCELLED", "DELETED"), &["the job was deleted"]);

    assert_eq!(server.rest.history("paused").len(), count, "nothing is entered while the job is paused");
    cli.ok(&["job", "resume", "paused", "--catch-up"]);
    let made_up = until("what the pause owes", 20, || {
        let history = server.rest.history("paused");
        history.into_iter().find(|run| run.coalesced_count > 1 && run.state != "MISSED")
    });
    told(&cli, &made_up, &[]);
    cli.ok(&["job", "pause", "paused"]);
    let paused = clock(folder.path());
    until("a second of the pause", 20, || (clock(folder.path()) > paused + TimeDelta::seconds(1)).then_some(()));
    let resumed = clock(folder.path());
    cli.ok(&["job", "resume", "paused"]);
    let history = until("a fire after the pause", 20, || {
        let history = server.rest.history("paused");
        history.iter().any(|run| run.scheduled_time > resumed).then_some(history)
    });
    for run in history.iter().filter(|run| run.scheduled_time > paused) {
        assert!(run.first_scheduled_time.unwrap_or(run.scheduled_time) > resumed, "nothing is made up: {run:?}");
    }

    let late = json!({ "startDeadline": "1s" });
    server.rest.create(&job("expired", nobody(), late));
    server.rest.trigger("expired", "");
    let expired = found(&server, "expired", "EXPIRED", "START_DEADLINE");
    told(&cli, &expired, &["start_deadline (1 second)"]);
}
