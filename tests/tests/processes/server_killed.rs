//! `kill -9` of the only server while an agent of its own goes on (promise 6).

use punctual_tests::{Agent, Server, Witness, folder, job, lives, shell, until};
use serde_json::json;

/// How long the run takes, and how long the server is away meanwhile, both in half-seconds.
fn durations() -> (usize, usize) {
    match std::env::var_os("PUNCTUAL_TEST_LONG") {
        Some(_) => (80, 40),
        None => (24, 12),
    }
}

#[test]
fn a_run_outlives_its_server() {
    let (ticks, away) = durations();
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::bare(folder.path(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let script = format!("for n in $(seq {ticks}); do echo $$ $n >> {}; sleep 0.5; done", witness.path());
    server.rest.create(&job("long", shell(&script), json!({})));
    let run_id = server.rest.trigger("long", "").run_id;

    let seen = until("the run to begin", 20, || Some(witness.lines().len()).filter(|&ticks| ticks >= 2));
    let begun = until("the ledger to know that it runs", 5, || {
        Some(server.rest.run(&run_id)).filter(|run| run.state == "RUNNING" && run.start_time.is_some())
    });
    server.kill();
    until("the task to go on without a server", away as u64 + 10, || {
        (witness.lines().len() >= seen + away).then_some(())
    });
    assert!(witness.lines().len() < ticks, "the server has to be back before the run ends, or nothing is shown");
    server.start();

    let ended =
        until("the end of the run", ticks as u64 + 20, || Some(server.rest.run(&run_id)).filter(|run| run.ended()));
    assert_eq!((ended.state.as_str(), ended.attempt), ("SUCCEEDED", 1), "{ended:?}");
    assert_eq!((ended.start_time, ended.fencing_token()), (begun.start_time, begun.fencing_token()), "{ended:?}");
    assert_eq!(server.rest.history("long").len(), 1, "one trigger, one run");
    let lines = witness.lines();
    let expected: Vec<_> = (1..=ticks).map(|n| vec![lines[0][0].clone(), n.to_string()]).collect();
    assert_eq!(lines, expected, "one process, from the first tick to the last");
}

#[test]
fn a_run_that_ends_while_the_server_is_away_is_reported_to_its_successor() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::bare(folder.path(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let gate = folder.path().join("gate");
    let (gate_path, path) = (gate.display(), witness.path());
    let script =
        format!("echo $$ >> {path}; until [ -e {gate_path} ]; do sleep 0.1; done; echo said while away; exit 7");
    server.rest.create(&job("short", shell(&script), json!({})));
    let run_id = server.rest.trigger("short", "").run_id;
    let pid = until("the run to begin", 20, || Some(witness.lines().first()?[0].parse().expect("a pid")));

    server.kill();
    std::fs::write(&gate, "").expect("because the folder is the test's");
    until("the task to end", 10, || (!lives(pid)).then_some(()));
    server.start();

    let ended = until("the end of the run", 20, || Some(server.rest.run(&run_id)).filter(|run| run.ended()));
    assert_eq!((ended.state.as_str(), ended.attempt, ended.exit_code), ("FAILED", 1, Some(7)), "{ended:?}");
    assert_eq!(server.rest.logs(&run_id), "said while away\n");
    assert_eq!(witness.lines().len(), 1, "it was executed once");
}
