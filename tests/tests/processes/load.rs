//! Many jobs, and a server that dies meanwhile: what the ledger says is what tasks say they did (rule 32).

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Agent, Run, Server, Witness, assert_no_gap, folder, job, noop, shell, until};
use serde_json::json;

const PROCESS_JOBS: usize = 15;
const NOOP_JOBS: usize = 35;
const DEATHS: usize = 2;
/// Lines of the witness between one death and the next.
const LINES: usize = 40;

#[test]
fn each_run_in_the_ledger_was_executed_once_and_no_fire_is_missing_when_servers_die() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::bare(folder.path(), &[]);
    let _agents = ["one", "two"].map(|id| Agent::start(folder.path(), id, &server, &["--slots", "32"]));
    server.has_agents(2);
    let record = shell(&format!(
        "echo $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT $PUNCTUAL_SCHEDULED_TIME $PUNCTUAL_FENCING_TOKEN >> {}",
        witness.path()
    ));
    let tasks = std::iter::repeat_n(record, PROCESS_JOBS).chain(std::iter::repeat_n(noop(), NOOP_JOBS));
    let first_instants: HashMap<String, DateTime<Utc>> = tasks
        .enumerate()
        .map(|(number, task)| {
            let id = format!("{}-{number:02}", task["type"].as_str().expect("a task type"));
            let created = server.rest.create(&job(&id, task, json!({ "schedule": { "every": ["1s"] } })));
            let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
            (id, created + TimeDelta::seconds(1))
        })
        .collect();

    for death in 1..=DEATHS {
        until("work to be done", 60, || (witness.lines().len() >= death * LINES).then_some(()));
        server.kill_and_start();
    }
    until("work to be done", 60, || (witness.lines().len() >= (DEATHS + 1) * LINES).then_some(()));
    for id in first_instants.keys() {
        server.rest.act(id, "pause");
    }
    until("all runs to end", 30, || {
        server.rest.pages("/runs?states=PENDING&states=RUNNING&pageSize=100").is_empty().then_some(())
    });

    let mut lines = witness.lines();
    for (id, &first) in &first_instants {
        let history = server.rest.history(id);
        assert_no_gap(&history, first, TimeDelta::seconds(1));
        for run in &history {
            assert!(matches!(run.state.as_str(), "SUCCEEDED" | "SKIPPED" | "MISSED"), "{run:?}");
        }
        assert!(history.iter().any(Run::succeeded), "{id} has never run");
        if id.starts_with("process") {
            assert_witnessed(&history, &mut lines);
        }
    }
    assert!(lines.is_empty(), "executed, but not in the ledger: {lines:?}");
}

/// Every run that succeeded was executed once, as the attempt that the ledger names; nothing else was. Takes the lines
/// of these runs away.
#[track_caller]
fn assert_witnessed(history: &[Run], lines: &mut Vec<Vec<String>>) {
    let mut tokens = Vec::new();
    for run in history.iter().rev() {
        let found: Vec<_> = lines.extract_if(.., |line| line[0] == run.run_id).collect();
        assert_eq!(found.len(), usize::from(run.succeeded()), "{found:?} for {run:?}");
        for line in found {
            assert_eq!(line[1], run.attempt.to_string(), "{run:?}");
            assert_eq!(line[2].parse::<DateTime<Utc>>().expect("RFC 3339"), run.scheduled_time, "{run:?}");
            assert_eq!(line[3], run.fencing_token().to_string(), "{run:?}");
            tokens.push(run.fencing_token());
        }
    }
    assert!(tokens.is_sorted_by(|one, next| one < next), "tokens grow, over the deaths too: {tokens:?}");
}
