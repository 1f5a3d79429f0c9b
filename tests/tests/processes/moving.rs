//! From one node on SQLite to nodes of a cluster on Postgres, and what was under way and due meanwhile.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use punctual_tests::{
    Agent, Etcd, Postgres, Process, Run, Server, Witness, assert_no_gap, folder, job, noop, now, shell, until,
};
use rustix::process::Signal;
use serde_json::json;

const JOBS: usize = 5;
const EVERY: TimeDelta = TimeDelta::milliseconds(100);

fn named(number: usize) -> String {
    format!("load-{number}")
}

fn moves(folder: &Path, name: &str, url: &str) -> Process {
    let from = format!("sqlite://{}/ledger.db", folder.display());
    Process::start(name, folder, "scheduler-server", &["move", "--from", &from, "--to", url])
}

#[track_caller]
fn refuses(folder: &Path, name: &str, url: &str, why: &str) {
    let args = ["serve", "--listen", "127.0.0.1:0", "--database-url", url];
    let mut server = Process::start(name, folder, "scheduler-server", &args);
    assert!(!server.exit(60).success());
    assert!(server.log().contains(why), "{}", server.log());
}

#[test]
fn a_ledger_that_is_moved_to_a_cluster_loses_and_doubles_nothing() {
    let (Some(etcd), Some(postgres)) = (Etcd::start(1), Postgres::start()) else { return };
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::serving(folder.path(), &[]);
    let url = postgres.url();
    let source = format!("sqlite://{}/ledger.db", folder.path().display());
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let started: Vec<DateTime<Utc>> = (0..JOBS)
        .map(|number| {
            let made = server.rest.create(&job(&named(number), noop(), json!({ "schedule": { "every": ["0.1s"] } })));
            made["createTime"].as_str().expect("a time").parse().expect("RFC 3339")
        })
        .collect();
    let says = shell(&format!("echo said; echo once $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT >> {}", witness.path()));
    server.rest.create(&job("says", says.clone(), json!({})));
    let said = server.rest.trigger("says", "").run_id;
    until("output in the ledger", 30, || server.rest.run(&said).succeeded().then_some(()));
    let slow = shell(&format!("echo slow $PUNCTUAL_RUN_ID >> {}; sleep 15", witness.path()));
    server.rest.create(&job("slow", slow, json!({})));
    let slow = server.rest.trigger("slow", "").run_id;
    until("the slow run to begin", 30, || server.rest.run(&slow).start_time.map(drop));
    until("runs", 60, || (server.rest.history(&named(0)).len() > 50).then_some(()));
    let due = now() + TimeDelta::seconds(6);
    let at = due.to_rfc3339_opts(SecondsFormat::Millis, true);
    server.rest.create(&job("between", says, json!({ "schedule": { "at": [at] } })));

    let mut early = moves(folder.path(), "early", &url);
    assert!(!early.exit(60).success());
    assert!(early.log().contains("is in use by server"), "{}", early.log());

    server.process().signal(Signal::TERM);
    assert!(server.process().exit(30).success());
    let migrate = ["migrate", "--database-url", &url];
    assert!(Process::start("migrate", folder.path(), "scheduler-server", &migrate).exit(60).success());
    let mut held = postgres.psql("BEGIN; LOCK TABLE run_logs IN SHARE MODE; SELECT pg_sleep(600)");
    until("a table that takes no rows", 30, || {
        let mut asked = postgres.psql("BEGIN; LOCK TABLE run_logs IN ROW EXCLUSIVE MODE NOWAIT");
        (!asked.exit(30).success()).then_some(())
    });
    let mut killed = moves(folder.path(), "killed", &url);
    until("the move to get stuck", 60, || killed.log().contains("run_logs: 0 of").then_some(()));
    killed.kill();
    // Of a shell that is gone the session would go on.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    postgres.psql(end).exit(30);
    held.exit(30);
    refuses(folder.path(), "half", &url, "is being moved to this ledger");
    until("the instant in between", 30, || (now() > due).then_some(()));
    let mut resumed = moves(folder.path(), "resumed", &url);
    assert!(resumed.exit(60).success(), "{}", resumed.log());
    assert!(!resumed.log().contains("runs: 0 of"), "it goes on where it was: {}", resumed.log());
    assert!(resumed.log().contains("as many are there"), "{}", resumed.log());
    refuses(folder.path(), "old", &source, "was moved to postgres://127.0.0.1");

    server.goes_on_in(&url, &["--etcd", &etcd.endpoints().join(",")]);
    server.start();
    let back = now();
    server.has_agents(1);
    until("fires in the cluster", 60, || {
        server.rest.history(&named(0)).iter().find(|run| run.succeeded() && run.first() > back).map(drop)
    });
    let ended = until("the end of the slow run", 60, || Some(server.rest.run(&slow)).filter(Run::ended));
    assert_eq!((ended.state.as_str(), ended.attempt), ("SUCCEEDED", 1), "{ended:?}");
    let between = until("the run of the instant in between", 60, || {
        Some(server.rest.history("between")).filter(|runs| runs.iter().any(Run::ended))
    });
    assert_eq!(between.len(), 1, "{between:?}");
    assert!(between[0].succeeded(), "{between:?}");
    for (number, first) in started.into_iter().enumerate() {
        server.rest.act(&named(number), "pause");
        assert_no_gap(&server.rest.history(&named(number)), first + EVERY, EVERY);
    }
    let lines = witness.lines();
    let times = |run: &str| lines.iter().filter(|line| line[1] == run).count();
    assert_eq!([times(&slow), times(&said), times(&between[0].run_id)], [1, 1, 1], "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
}
