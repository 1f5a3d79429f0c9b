//! A server on Postgres: what becomes of it, and of what runs, when Postgres goes away and comes back.

use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{
    Agent, Etcd, Heard, Postgres, Process, Run, Server, Witness, assert_no_gap, folder, job, noop, now, shell, until,
};
use serde_json::json;

const EVERY: TimeDelta = TimeDelta::milliseconds(200);

/// How long Postgres is away.
fn away() -> Duration {
    match std::env::var_os("PUNCTUAL_TEST_LONG") {
        Some(_) => Duration::from_secs(20),
        None => Duration::from_secs(4),
    }
}

fn succeeded(server: &Server, job_id: &str) -> usize {
    server.rest.history(job_id).iter().filter(|run| run.succeeded()).count()
}

#[test]
fn a_server_on_postgres_runs_jobs_and_its_successor_goes_on() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = folder();
    let mut server = Server::on_database(folder.path(), &postgres.url(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let created = server.rest.create(&job("tick", noop(), json!({ "schedule": { "every": ["0.2s"] } })));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    until("a few runs", 20, || (succeeded(&server, "tick") > 3).then_some(()));
    server.kill_and_start();
    let started = now();
    until("runs after the restart", 30, || {
        server.rest.history("tick").iter().find(|run| run.succeeded() && run.first() > started).map(drop)
    });
    server.rest.act("tick", "pause");
    assert_no_gap(&server.rest.history("tick"), created + EVERY, EVERY);
}

#[test]
fn a_second_server_on_a_database_ends_and_names_the_first() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = folder();
    let mut server = Server::on_database(folder.path(), &postgres.url(), &["--node-id", "first"]);
    let url = postgres.url();
    let args = ["serve", "--listen", "127.0.0.1:0", "--node-id", "second", "--database-url", url.as_str()];
    let mut second = Process::start("second", folder.path(), "scheduler-server", &args);
    assert!(!second.exit(30).success());
    let first = format!("is in use by server first (pid {})", server.process().pid());
    assert!(second.log().contains(&first), "{}", second.log());
    server.rest.create(&job("a", noop(), json!({})));
}

#[test]
fn a_migration_needs_no_server_to_stop() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = folder();
    let url = postgres.url();
    let unmigrated = ["serve", "--listen", "127.0.0.1:0", "--no-migrate", "--database-url", url.as_str()];
    let mut refused = Process::start("refused", folder.path(), "scheduler-server", &unmigrated);
    assert!(!refused.exit(30).success());
    assert!(refused.log().contains("run scheduler-server migrate"), "{}", refused.log());
    let migrate = ["migrate", "--database-url", url.as_str()];
    assert!(Process::start("migrate", folder.path(), "scheduler-server", &migrate).exit(30).success());
    let server = Server::on_database(folder.path(), &url, &["--no-migrate"]);
    assert!(Process::start("again", folder.path(), "scheduler-server", &migrate).exit(30).success());
    server.rest.create(&job("a", noop(), json!({})));
}

/// What happens to Postgres, what it takes to bring it back, and how long it is away in between.
fn outage(away: Duration, begin: impl FnOnce(&mut Postgres), end: impl FnOnce(&mut Postgres)) {
    let Some(mut postgres) = Postgres::with(&[]) else { return };
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::on_database(folder.path(), &postgres.url(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let more = json!({ "schedule": { "every": ["0.2s"] } });
    let created = server.rest.create(&job("tick", noop(), more));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    let ticks = away.as_secs() * 4 + 20;
    let script = format!("for n in $(seq {ticks}); do echo $$ $n >> {}; sleep 0.1; done", witness.path());
    server.rest.create(&job("long", shell(&script), json!({})));
    let short = format!("sleep 2; echo $$ short >> {}", witness.path());
    server.rest.create(&job("short", shell(&short), json!({})));
    let long = server.rest.trigger("long", "").run_id;
    until("a few runs", 20, || (succeeded(&server, "tick") > 3).then_some(()));
    let short = server.rest.trigger("short", "").run_id;
    until("both runs to begin", 20, || {
        let began = |id: &str| server.rest.run(id).start_time.is_some();
        (began(&long) && began(&short) && !witness.lines().is_empty()).then_some(())
    });

    begin(&mut postgres);
    until("the server to know it", 10, || {
        let ready = server.rest.try_call("GET", "/readyz", &[], None).expect("the port answers");
        (ready.status == 503).then_some(())
    });
    let asked = now();
    for n in 0..20 {
        let answer = server.rest.ask("POST", "/jobs", &job(&format!("late-{n}"), noop(), json!({})));
        assert!(matches!(answer, Heard::NotDone), "{answer:?}");
    }
    assert!(now() - asked < TimeDelta::seconds(5), "writes are refused at once");
    thread::sleep(away);
    assert!(server.process().status().is_none(), "the server goes on");
    let ended_meanwhile = |line: &Vec<String>| line[1] == "short";
    assert!(witness.lines().iter().any(ended_meanwhile), "a task ends while Postgres is away");

    end(&mut postgres);
    let back = now();
    until("runs after the outage", 30, || {
        server.rest.history("tick").iter().find(|run| run.succeeded() && run.first() > back).map(drop)
    });
    for (what, id) in [("long", &long), ("short", &short)] {
        let ended =
            until(&format!("the end of the {what} run"), ticks + 20, || Some(server.rest.run(id)).filter(Run::ended));
        assert_eq!((ended.state.as_str(), ended.attempt), ("SUCCEEDED", 1), "{ended:?}");
    }
    let lines: Vec<_> = witness.lines().into_iter().filter(|line| !ended_meanwhile(line)).collect();
    let expected: Vec<_> = (1..=ticks).map(|n| vec![lines[0][0].clone(), n.to_string()]).collect();
    assert_eq!(lines, expected, "one process, from the first tick to the last");
    server.rest.act("tick", "pause");
    until("the last run", 20, || server.rest.history("tick").iter().all(Run::ended).then_some(()));
    let history = server.rest.history("tick");
    assert_no_gap(&history, created + EVERY, EVERY);
    let jobs = server.rest.get("/jobs");
    let late = jobs["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .filter(|job| job["jobId"].as_str().is_some_and(|id| id.starts_with("late")));
    assert_eq!(late.count(), 0, "what was refused is not done");
}

#[test]
fn postgres_is_killed_and_comes_back_and_nothing_is_lost_or_doubled() {
    outage(away(), Postgres::kill, Postgres::come_back);
}

/// Nothing is refused and no connection breaks: there is only no answer.
#[test]
fn postgres_freezes_and_wakes_and_nothing_is_lost_or_doubled() {
    // Longer than a commit waits for its answer.
    outage(away().max(Duration::from_secs(10)), |postgres| postgres.freeze(), |postgres| postgres.wake());
}

#[test]
fn a_node_of_another_cluster_on_a_ledger_in_use_ends_and_names_the_one_that_uses_it() {
    let (Some(etcd), Some(postgres)) = (Etcd::start(1), Postgres::start()) else { return };
    let folder = folder();
    let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
    let cluster =
        |name: &str, node: &str| ["--etcd", &endpoints, "--cluster", name, "--node-id", node].map(str::to_owned);
    let flags = cluster("blue", "first");
    let mut first = Server::on_database(folder.path(), &url, &flags.each_ref().map(String::as_str));
    let flags = cluster("green", "second");
    let args =
        [&["serve", "--listen", "127.0.0.1:0", "--database-url", &url][..], &flags.each_ref().map(String::as_str)];
    let mut second = Process::start("second", folder.path(), "scheduler-server", &args.concat());
    assert!(!second.exit(30).success());
    assert!(second.log().contains("is in use by the nodes of cluster blue"), "{}", second.log());
    first.rest.create(&job("a", noop(), json!({})));
    first.kill();
    let third = Server::on_database(folder.path(), &url, &flags.each_ref().map(String::as_str));
    third.rest.create(&job("b", noop(), json!({})));
}

#[test]
fn a_server_that_lost_the_database_to_another_ends() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = folder();
    let mut server = Server::on_database(folder.path(), &postgres.url(), &["--node-id", "first"]);
    // Where the network was cut, Postgres ends the session; here psql stands for the network.
    let mut other = postgres.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'server first%'; \
         SELECT pg_advisory_lock((1349873251::bigint << 32) + 2); SELECT pg_sleep(30)",
    );
    let status = server.process().exit(30);
    assert!(!status.success());
    assert!(server.log().contains("is in use by"), "{}", server.log());
    assert!(other.status().is_none(), "it has the lock all the while");
}
