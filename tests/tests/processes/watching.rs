//! WatchRuns and TailRunLogs as a page has them: server-sent events, over restarts, and for readers that do not read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use punctual_tests::{Agent, Event, Events, Reader, Server, folder, job, noop, resident, shell, until};
use serde_json::json;

const JOBS: usize = 10;

/// The last state that was told of each run. None goes back from its end.
fn states<'e>(events: impl IntoIterator<Item = &'e Event>) -> BTreeMap<String, String> {
    let mut states = BTreeMap::<String, String>::new();
    for event in events.into_iter().filter(|event| event.data["run"].is_object()) {
        let run = &event.data["run"];
        let text = |field: &str| run[field].as_str().expect("a run's field").to_owned();
        let before = states.insert(text("runId"), text("state"));
        let has_ended = before.as_deref().is_some_and(|state| !["PENDING", "RUNNING"].contains(&state));
        assert!(!has_ended || before == Some(text("state")), "{before:?} became {run}");
    }
    states
}

fn ledger(server: &Server) -> BTreeMap<String, String> {
    let runs = server.rest.pages("/runs?pageSize=1000");
    runs.into_iter().map(|run| (run.run_id, run.state)).collect()
}

fn create_jobs(server: &Server, every: &str) {
    for number in 0..JOBS {
        let task = if number % 5 == 0 { json!({ "type": "noop", "payload": { "duration": "1s" } }) } else { noop() };
        server.rest.create(&job(&format!("job-{number}"), task, json!({ "schedule": { "every": [every] } })));
    }
}

fn pause_jobs(server: &Server) {
    for number in 0..JOBS {
        server.rest.act(&format!("job-{number}"), "pause");
    }
    until("all runs to end", 30, || {
        server.rest.pages("/runs?states=PENDING&states=RUNNING&pageSize=100").is_empty().then_some(())
    });
}

#[test]
fn what_is_watched_over_two_restarts_is_what_the_ledger_has() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &["--slots", "32"]);
    server.has_agents(1);
    let reader = Reader::start(&format!("{}/api/v1/scheduler/runs/events", server.url()));
    until("the watch to begin", 20, || (!reader.heard().is_empty()).then_some(()));
    create_jobs(&server, "0.2s");
    for deaths in 1..=2 {
        until("runs to be told", 30, || (states(&reader.heard()).len() >= deaths * 100).then_some(()));
        server.kill_and_start();
    }
    until("runs to be told", 30, || (states(&reader.heard()).len() >= 300).then_some(()));
    pause_jobs(&server);
    let expected = ledger(&server);
    until("all to be told", 20, || (states(&reader.heard()) == expected).then_some(()));
    assert!(reader.heard().iter().all(|event| !event.id.is_empty() && event.name == "message"));
}

/// For 60 s when `PUNCTUAL_TEST_LONG` is set.
#[test]
fn a_reader_that_does_not_read_costs_no_memory_and_misses_nothing() {
    let runs = if std::env::var_os("PUNCTUAL_TEST_LONG").is_some() { 6_000 } else { 600 };
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &["--slots", "32"]);
    server.has_agents(1);
    let url = format!("{}/api/v1/scheduler/runs/events", server.url());
    let mut stopped: Vec<Events> = (0..20).map(|_| Events::open(&url, "").expect("the server listens")).collect();
    create_jobs(&server, "0.1s");
    until("the server to be warm", 30, || (ledger(&server).len() >= 50).then_some(()));
    let before = resident(server.process().pid());
    until("runs that nobody reads of", 120, || (ledger(&server).len() >= runs).then_some(()));
    let after = resident(server.process().pid());
    println!("resident: {before} bytes before, {after} after {runs} runs with {} readers stopped", stopped.len());
    assert!(after < before + (64 << 20), "{before} bytes became {after}");
    pause_jobs(&server);
    let expected = ledger(&server);
    let mut events = stopped.pop().expect("there are some");
    let mut told = Vec::new();
    while states(&told) != expected {
        // Bookmarks come every 15 s, and with them the end of this if something was missed.
        told.push(events.next().expect("the connection stays"));
        let bookmarks = told.iter().filter(|event: &&Event| event.data["run"].is_null()).count();
        assert!(bookmarks <= 4, "{} of {} runs have been told", states(&told).len(), expected.len());
    }
}

#[test]
fn output_is_told_as_it_is_written_over_a_restart_and_ends_with_the_run() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let gate = folder.path().join("gate");
    let script = format!("seq 1 5; until [ -e {} ]; do sleep 0.05; done; seq 6 9 >&2", gate.display());
    server.rest.create(&job("talks", shell(&script), json!({})));
    let run_id = server.rest.trigger("talks", "").run_id;
    let url = format!("{}/api/v1/scheduler/runs/{run_id}/logs/events", server.url());
    let reader = Reader::start(&url);
    let written = |stream: &str| -> String {
        let heard = reader.heard();
        let chunks = heard.iter().map(|event| &event.data["chunk"]).filter(|chunk| chunk["stream"] == stream);
        let bytes = chunks.flat_map(|chunk| STANDARD.decode(chunk["data"].as_str().expect("bytes")).expect("base64"));
        String::from_utf8(bytes.collect()).expect("because the task writes digits")
    };
    until("the first lines", 20, || (written("STDOUT") == "1\n2\n3\n4\n5\n").then_some(()));
    server.kill_and_start();
    std::fs::write(&gate, "").expect("because the folder is the test's");
    until("the last lines", 20, || (written("STDERR") == "6\n7\n8\n9\n").then_some(()));
    assert_eq!(written("STDOUT"), "1\n2\n3\n4\n5\n", "nothing comes twice");
    until("the end of the run", 20, || server.rest.run(&run_id).ended().then_some(()));
    let whole = Events::open(&url, "").expect("the server listens");
    let chunks = whole.count();
    assert!(chunks >= 2, "all is told again from the start, and then the stream ends");
}
