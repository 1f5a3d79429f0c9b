//! `punctual` where it follows what happens, and what operators do with agents, calendars and locks.

use std::process::Stdio;

use punctual_tests::{Agent, Cli, Server, folder, job, noop, shell, until};
use serde_json::json;

#[test]
fn a_run_is_waited_for_and_its_output_followed() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    server.rest.create(&job("good", shell("echo one; echo two >&2"), json!({})));
    server.rest.create(&job("bad", shell("echo oh; exit 3"), json!({})));
    let good = cli.call(&["job", "trigger", "good", "--wait"]);
    assert!(good.code == Some(0) && good.out.contains("one") && good.err.contains("SUCCEEDED"), "{good:?}");
    let bad = cli.call(&["job", "trigger", "bad", "--wait"]);
    assert!(bad.code == Some(1) && bad.out == "oh\n" && bad.err.contains("FAILED"), "{bad:?}");
    assert!(bad.err.contains("EXIT_3"), "{bad:?}");
    let run = cli.call(&["job", "trigger", "bad", "--wait", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&run.out).expect("JSON alone");
    assert_eq!((run.code, &told["state"], &told["exitCode"]), (Some(1), &json!("FAILED"), &json!(3)));
    let run_id = told["runId"].as_str().expect("an id");
    assert_eq!(cli.ok(&["run", "logs", "-f", run_id]), "oh\n");

    assert!(cli.ok(&["job", "check", "good"]).contains("last run SUCCEEDED"));
    let check = cli.call(&["job", "check", "bad"]);
    assert!(check.code == Some(1) && check.err.contains("last run FAILED"), "{check:?}");
}

#[test]
fn who_waits_for_a_run_is_told_what_the_run_waits_for() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    server.rest.create(&job("a", noop(), json!({})));
    let err = folder.path().join("err");
    let mut trigger = cli.command(&["job", "trigger", "a", "--wait"]);
    let file = std::fs::File::create(&err).expect("because the folder is the test's");
    let mut trigger = trigger.stdout(Stdio::null()).stderr(file).spawn().expect("because it was built");
    let said = || std::fs::read_to_string(&err).expect("because it was created");
    until("the reason", 20, || said().contains("no connected agent offers task type noop").then_some(()));
    assert!(said().contains("punctual agent list"), "{}", said());
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    assert!(until("the end of the run", 20, || trigger.try_wait().expect("because it is our child")).success());
    assert_eq!(said().lines().count(), 2, "the reason once, then the end: {}", said());
}

#[test]
fn a_watch_goes_on_over_a_restart() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let _agent = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let cli = Cli::new(folder.path(), &server.url());
    server.rest.create(&job("a", noop(), json!({})));
    server.rest.create(&job("waits", json!({ "type": "nobody-offers-it" }), json!({})));
    let waits = server.rest.trigger("waits", "").run_id;
    let out = folder.path().join("watched");
    let file = std::fs::File::create(&out).expect("because the folder is the test's");
    let mut watch = cli.command(&["run", "watch", "--output", "json"]);
    let mut watch = watch.stdout(file).stderr(Stdio::null()).spawn().expect("because it was built");
    let watched = || std::fs::read_to_string(&out).expect("because it was created");
    let told = |run_id: &str| {
        let is_end = |line: &str| line.contains(run_id) && line.contains("SUCCEEDED");
        until("the run to be told", 20, || watched().lines().any(is_end).then_some(()));
    };
    until("the watch to begin", 20, || watched().contains(&waits).then_some(()));
    let first = server.rest.trigger("a", "").run_id;
    told(&first);
    server.kill_and_start();
    server.has_agents(1);
    let second = server.rest.trigger("a", "").run_id;
    told(&second);
    watch.kill().expect("because it still runs");
    watch.wait().expect("because it is our child");
    for line in watched().lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("each line is a run");
    }
}

#[test]
fn agents_calendars_and_locks_are_steered() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    assert_eq!(cli.ok(&["lock", "list"]), "No slot is held: nothing runs.\n");
    let mut worker = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let gate = folder.path().join("gate");
    let task = shell(&format!("until [ -e {} ]; do sleep 0.05; done", gate.display()));
    server.rest.create(&job("long", task, json!({})));
    let run_id = server.rest.trigger("long", "").run_id;
    until("the run to begin", 20, || (server.rest.run(&run_id).state == "RUNNING").then_some(()));
    let locks = cli.ok(&["lock", "list"]);
    assert!(locks.contains("default/long") && locks.contains(&run_id) && locks.contains("worker"), "{locks}");
    assert_eq!(cli.json(&["lock", "list", "--agent", "nobody"])["locks"], json!([]));

    assert_eq!(cli.ok(&["agent", "cordon", "worker", "--note", "disk"]), "cordoned worker, 1 of 8 slots busy\n");
    assert!(
        cli.ok(&["agent", "get", "worker"]).contains("by anonymous") && cli.ok(&["agent", "list"]).contains("CORDONED")
    );
    cli.ok(&["agent", "uncordon", "worker"]);
    std::fs::write(&gate, "").expect("because the folder is the test's");
    cli.ok(&["agent", "drain", "worker"]);
    assert!(until("the agent to leave", 20, || worker.process.status()).success());
    server.has_agents(0);
    let away = cli.call(&["agent", "drain", "worker"]);
    assert!(away.code == Some(1) && away.err.contains("not connected"), "{away:?}");

    assert!(cli.ok(&["calendar", "list"]).contains("Create one"));
    let dates = ["--date", "2099-12-25", "--date", "2099-12-30..2100-01-02"];
    cli.ok(&[&["calendar", "create", "holidays"], &dates[..]].concat());
    assert!(cli.ok(&["calendar", "list"]).contains("2099-12-25, 2099-12-30..2100-01-02"));
    assert_eq!(cli.json(&["calendar", "get", "holidays"]), server.rest.get("/calendars/holidays"));
    cli.ok(&["calendar", "update", "holidays", "--date", "2099-12-26", "--time-zone", "Europe/Paris"]);
    assert_eq!(cli.json(&["calendar", "get", "holidays"])["ranges"], json!([]));
    assert_eq!(cli.ok(&["calendar", "delete", "holidays"]), "deleted default/holidays\n");

    assert!(cli.ok(&["task-type", "list"]).lines().any(|line| line.starts_with("process")));
    assert!(cli.ok(&["task-type", "get", "noop"]).contains("noop"));
    let alone = cli.call(&["step-down"]);
    assert!(alone.code == Some(1) && alone.err.contains("no other node"), "{alone:?}");
    cli.ok(&["man", "pages"]);
    let page = std::fs::read_to_string(folder.path().join("pages/punctual-job-apply.1")).expect("a page a command");
    assert!(page.contains("prune"), "{page}");
}
