//! A ledger that was backed up as the page on operating says, and that another server goes on from.

use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Said, Server, assert_no_gap, folder, job, noop, now, shell, sqlite, until};
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
    let mut server = Server::with_agent(folder.path());
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

    let restored = Server::with_agent(other.path());
    ran(&restored, now());
    restored.rest.act("tick", "pause");
    assert_no_gap(&restored.rest.history("tick"), created + every, every);
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
