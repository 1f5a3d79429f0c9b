//! Clocks that are wrong, from the start or set while a server runs: jobs fire at the instants of the ledger's clock, nothing
//! fires twice, and no instant is without its record.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Cluster, Parts, Run, Server, Witness, assert_no_gap, folder, job, noop, shell, until};
use serde_json::json;

/// Sets the wall clock of the programs in a folder wrong by so many seconds.
fn set_wrong(folder: &Path, seconds: i64) {
    fs::create_dir_all(folder).expect("because the folder is the test's");
    let new = folder.join("clock.new");
    fs::write(&new, seconds.to_string()).expect("because the folder is the test's");
    fs::rename(&new, folder.join("clock")).expect("because both are in one folder");
}

#[test]
fn a_clock_set_ten_minutes_back_and_ten_minutes_ahead_doubles_and_loses_nothing() {
    let folder = folder();
    set_wrong(folder.path(), 0);
    let server = Server::with_agent(folder.path());
    let schedule = json!({ "schedule": { "every": ["1s"] }, "misfireGraceTime": "10s", "maxInstances": 2 });
    let created = server.rest.create(&job("tick", noop(), schedule));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    until("three runs", 60, || {
        let history = server.rest.history("tick");
        (history.iter().filter(|run| run.succeeded()).count() >= 3).then_some(())
    });

    // What was decided is not decided again, though its time comes again. Runs by hand go on.
    set_wrong(folder.path(), -600);
    let said = |words: &str| server.log().contains(words).then_some(());
    until("the engine to hear of it", 30, || said("was put back"));
    server.rest.trigger("tick", "by hand");
    until("a run by hand", 30, || {
        let history = server.rest.history("tick");
        history.iter().any(|run| run.trigger == "MANUAL" && run.succeeded()).then_some(())
    });

    // From ten minutes back to ten minutes ahead.
    set_wrong(folder.path(), 600);
    until("the engine to obey it", 60, || said("and is obeyed"));
    let ahead = until("a fire after the jump", 60, || {
        let history = server.rest.history("tick");
        let later = |run: &&Run| run.succeeded() && run.scheduled_time > created + TimeDelta::minutes(10);
        (history.iter().filter(later).count() >= 3).then_some(history)
    });
    let missed: u32 = ahead.iter().filter(|run| run.state == "MISSED").map(|run| run.coalesced_count).sum();
    assert!((570..=620).contains(&missed), "{missed} instants are recorded as missed");
    assert_no_gap(&ahead, created + TimeDelta::seconds(1), TimeDelta::seconds(1));
}

/// By how many milliseconds tasks started later than they were due, by the clock of this machine, which is the ledger's.
fn lateness(witness: &Witness) -> Vec<i64> {
    let late = |words: Vec<String>| {
        let due: DateTime<Utc> = words[0].parse().expect("RFC 3339");
        words[1].parse::<i64>().expect("milliseconds") - due.timestamp_millis()
    };
    witness.lines().into_iter().map(late).collect()
}

/// Tasks of a leader that goes by a clock that is 3 s ahead start early, and of one that is 3 s behind 3 s late.
#[track_caller]
fn assert_on_time(late: &[i64]) {
    assert!(late.iter().all(|late| *late > -250), "started early: {late:?}");
    assert!(late.iter().any(|late| *late < 1_500), "all started late: {late:?}");
}

fn metrics(server: &Server) -> String {
    server.rest.try_call("GET", "/metrics", &[], None).expect("an answer").text
}

#[test]
fn leaders_and_agents_with_wrong_clocks_start_tasks_at_the_ledgers_instants() {
    let folder = folder();
    set_wrong(&folder.path().join("node-0"), 3);
    set_wrong(&folder.path().join("node-1"), -3);
    // Of both agents.
    set_wrong(folder.path(), 3_600);
    let Some(cluster) = Cluster::start(folder.path(), Parts { nodes: 2, ..Parts::default() }, &[]) else { return };
    let sides = ["s ahead of the ledger's", "s behind the ledger's"];
    for (node, side) in cluster.nodes.iter().zip(sides) {
        until("the node to warn of its clock", 30, || {
            let warned = |line: &str| line.contains("this machine's clock is ") && line.contains(side);
            node.log().lines().any(warned).then_some(())
        });
    }
    for agent in &cluster.agents {
        let said = || agent.process.log().contains("s ahead of the server's, by which tasks start").then_some(());
        until("the agent to warn of its clock", 30, said);
    }

    let witness = Witness::new(folder.path());
    let task = shell(&format!("echo $PUNCTUAL_SCHEDULED_TIME $(date +%s%3N) >> {}", witness.path()));
    let created = cluster.nodes[0].rest.create(&job("tick", task, json!({ "schedule": { "every": ["0.5s"] } })));
    let created: DateTime<Utc> = created["createTime"].as_str().expect("a time").parse().expect("RFC 3339");
    let mut seen = 0;
    for asked in [1, 0] {
        let leader = cluster.leader(asked).node;
        until("some fires", 60, || (witness.lines().len() >= seen + 8).then_some(()));
        let late = lateness(&witness);
        assert_on_time(&late[seen..]);
        let status = cluster.nodes[leader].rest.get("/status");
        let own = status["nodes"].as_array().expect("a list").iter().find(|node| node["leader"] == true);
        let own = own.unwrap_or_else(|| panic!("no leader in {status}"));
        assert!(own["warnings"].to_string().contains(sides[leader]), "{own}");
        assert!(own["clockOffset"].as_str().is_some_and(|offset| offset.starts_with('-') == (leader == 1)), "{own}");
        let told = until("the leader to know how its agents' clocks are", 30, || {
            Some(metrics(&cluster.nodes[leader])).filter(|told| told.contains("punctual_agent_clock_offset_seconds{"))
        });
        for agent in ["agent-0", "agent-1"] {
            let line = format!("punctual_agent_clock_offset_seconds{{agent=\"{agent}\"}} 3");
            assert!(told.contains(&line), "no line {line} in {told}");
        }
        assert!(told.contains("\npunctual_clock_offset_seconds "), "{told}");
        if asked == 1 {
            cluster.nodes[leader].rest.ask("POST", "/step-down", &json!({}));
            until("the other node to lead", 30, || (cluster.leader(asked).node != leader).then_some(()));
            seen = witness.lines().len() + 2;
        }
    }
    let rest = &cluster.nodes[0].rest;
    rest.act("tick", "pause");
    until("the end of all runs", 30, || {
        rest.pages("/runs?states=PENDING&states=RUNNING&pageSize=1000").is_empty().then_some(())
    });
    assert_no_gap(&rest.history("tick"), created + TimeDelta::milliseconds(500), TimeDelta::milliseconds(500));
    assert!(rest.history("tick").iter().all(|run| run.attempts.iter().all(|attempt| attempt.state != "LOST")));
    for agent in &cluster.agents {
        assert!(!agent.process.log().contains("stopping its tasks"), "its right goes by no wall clock");
    }
}

#[test]
fn a_node_whose_clock_is_wrong_warns_and_one_that_is_very_wrong_does_not_stand_until_it_is_set_right() {
    let folder = folder();
    let wrong = folder.path().join("node-1");
    set_wrong(&folder.path().join("node-0"), 0);
    set_wrong(&wrong, 1);
    let Some(cluster) = Cluster::start(folder.path(), Parts { nodes: 2, ..Parts::default() }, &[]) else { return };
    let says = |words: &str| cluster.nodes[1].log().contains(words).then_some(());
    until("a warning", 30, || says("s ahead of the ledger's, which schedules go by: set it right"));
    cluster.stand(0, 2);

    set_wrong(&wrong, 10);
    until("it to give its candidacy up", 30, || says("this node does not stand for election"));
    until("it to say why", 10, || says("s ahead of the ledger's, and 5s are the most"));
    until("node-0 to stand alone", 30, || {
        let nodes = cluster.nodes[0].rest.get("/status")["nodes"].as_array().map(Vec::len);
        (cluster.leader(0).node == 0 && nodes == Some(1)).then_some(())
    });

    set_wrong(&wrong, 0);
    until("it to be well again", 30, || says("this machine's clock is the ledger's again"));
    cluster.stand(0, 2);
    assert!(!cluster.nodes[0].log().contains("this machine's clock"), "the other one's was right all the while");
}
