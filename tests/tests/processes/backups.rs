//! A ledger that was backed up as the page on operating says, and that another server goes on from.

use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Process, Said, Server, Witness, assert_no_gap, folder, job, noop, now, shell, sqlite, until};
use serde_json::json;

/// Backs up the ledger of a server that runs, to where a server of `restored` will look for it.
fn back_up(sqlite: &Path, server: &Server, restored: &Path) {
    let backup = restored.join("data").join("ledger.db");
    fs::create_dir(restored.join("data")).expect("because the folder is the test's");
    let mut command = Command::new(sqlite);
    command.arg(server.folder().join("data/ledger.db")).arg(format!(".backup '{}'", backup.display()));
    Said::of(&mut command).ok();
}

#[test]
fn a_server_on_a_backup_of_a_running_one_accounts_for_every_instant() {
    let Some(sqlite) = sqlite() else { return };
    let (folder, other) = (folder(), folder());
    // The backup may have a run under way, whose slot is free when its agent is certainly gone.
    let ttl = ["--agent-ttl=2s"];
    let mut server = Server::dev(folder.path(), &ttl);
    server.has_agents(1);
    let every = TimeDelta::milliseconds(100);
    let more = json!({ "schedule": { "every": ["0.1s"] }, "misfireGraceTime": "1s" });
    let created = server.rest.create(&job("tick", noop(), more));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    let ran = |server: &Server, after: DateTime<Utc>| {
        until("runs", 20, || {
            server.rest.history("tick").iter().find(|run| run.succeeded() && run.first() > after).map(drop)
        });
    };
    ran(&server, created);
    back_up(&sqlite, &server, other.path());
    ran(&server, now());
    server.kill();

    let restored = Server::dev(other.path(), &ttl);
    ran(&restored, now());
    restored.rest.act("tick", "pause");
    assert_no_gap(&restored.rest.history("tick"), created + every, every);
}

#[test]
fn nothing_runs_twice_on_a_ledger_that_is_told_that_it_was_restored() {
    let Some(sqlite) = sqlite() else { return };
    let (folder, other) = (folder(), folder());
    let witness = Witness::new(folder.path());
    let mut server = Server::dev(folder.path(), &["--agent-ttl=2s"]);
    server.has_agents(1);
    let every = TimeDelta::milliseconds(200);
    // Within grace, so that all of it would be made up.
    let more = json!({ "schedule": { "every": ["0.2s"] }, "coalesce": false, "maxInstances": 20 });
    let tick = shell(&format!("echo $PUNCTUAL_SCHEDULED_TIME tick >> {}", witness.path()));
    let created = server.rest.create(&job("tick", tick, more));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    let slow = shell(&format!("echo $PUNCTUAL_RUN_ID slow >> {}; sleep 2", witness.path()));
    let more = json!({ "retry": { "maxAttempts": 3 }, "schedule": { "afterCompletion": "1s" } });
    server.rest.create(&job("slow", slow, more));
    let ran = |server: &Server, after: DateTime<Utc>| {
        until("runs", 30, || {
            server.rest.history("tick").iter().find(|run| run.succeeded() && run.first() > after).map(drop)
        });
    };
    let under_way = until("a slow run to begin", 30, || {
        server.rest.history("slow").into_iter().find(|run| !run.ended() && run.start_time.is_some())
    });
    ran(&server, created);
    back_up(&sqlite, &server, other.path());
    let back_up_time = now();
    until("the slow run to end after the backup", 30, || server.rest.run(&under_way.run_id).ended().then_some(()));
    ran(&server, now());
    let ledger = |folder: &Path| format!("sqlite://{}/data/ledger.db", folder.display());
    let restored = |folder: &Path| {
        let url = ledger(folder);
        let args = ["migrate", "--restored", "--database-url", url.as_str()];
        Process::start("restored", folder, "scheduler-server", &args)
    };
    let mut early = restored(folder.path());
    assert!(!early.exit(30).success());
    assert!(early.log().contains("is in use by server"), "{}", early.log());
    server.kill();

    let mut told = restored(other.path());
    assert!(told.exit(60).success(), "{}", told.log());
    assert!(told.log().contains("LEDGER_RESTORED"), "{}", told.log());
    let server = Server::dev(other.path(), &["--agent-ttl=2s"]);
    ran(&server, now());
    let next = until("the next slow run", 30, || {
        server.rest.history("slow").into_iter().find(|run| run.scheduled_time > under_way.scheduled_time)
    });
    assert_ne!(next.run_id, under_way.run_id);
    let ended = server.rest.run(&under_way.run_id);
    assert_eq!((ended.state.as_str(), ended.reason.as_str()), ("FAILED", "LEDGER_RESTORED"), "{ended:?}");
    assert_eq!(ended.attempts[0].state, "LOST", "{ended:?}");
    server.rest.act("tick", "pause");
    let history = server.rest.history("tick");
    assert_no_gap(&history, created + every, every);
    let unknown = history.iter().find(|run| run.reason == "LEDGER_RESTORED" && run.state == "MISSED");
    let unknown = unknown.expect("a row for what the backup does not know");
    assert!(unknown.first() < back_up_time + every && unknown.scheduled_time > back_up_time, "{unknown:?}");
    let asked = json!({ "time": unknown.first().to_rfc3339() });
    let told = server.rest.call("POST", "/jobs/tick/explain", Some(&asked)).ok();
    assert_eq!(told["outcome"], "LEDGER_RESTORED", "{told}");

    let mut lines = witness.lines();
    let all = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), all, "an instant ran twice");
}

#[test]
fn what_a_backup_has_under_way_can_be_cancelled_before_an_agent_comes() {
    let Some(sqlite) = sqlite() else { return };
    let (folder, other) = (folder(), folder());
    let mut server = Server::dev(folder.path(), &["--agent-ttl=2s"]);
    server.has_agents(1);
    server.rest.create(&job("slow", shell("sleep 60"), json!({})));
    let run_id = server.rest.trigger("slow", "").run_id;
    until("the run to begin", 20, || {
        let run = server.rest.run(&run_id);
        (run.state == "RUNNING" && run.start_time.is_some()).then_some(())
    });
    back_up(&sqlite, &server, other.path());
    server.kill();

    let restored = Server::bare(other.path(), &["--agent-ttl=2s"]);
    assert_eq!(restored.rest.run(&run_id).state, "RUNNING", "the backup knows no better");
    restored.rest.call("POST", &format!("/runs/{run_id}/cancel"), Some(&json!({}))).ok();
    let ended = until("its end", 20, || Some(restored.rest.run(&run_id)).filter(|run| run.ended()));
    assert_eq!((ended.state.as_str(), ended.attempt), ("CANCELLED", 1), "{ended:?}");
}
