//! Agents and the task types that they offer, as API and command line show them.

use punctual_tests::{Agent, Cli, Server, folder, job, shell, until};
use serde_json::{Value, json};

fn agent(server: &Server, id: &str) -> Value {
    server.rest.get(&format!("/agents/{id}"))
}

#[test]
fn agents_are_shown_with_what_they_offer_and_do() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    assert_eq!(server.rest.get("/agents")["agents"], json!([]));
    assert!(cli.ok(&["agent", "list"]).starts_with("No agents."), "the empty list says what to do");
    let nobody = server.rest.call("GET", "/agents/nobody", None);
    assert_eq!((nobody.status, &nobody.json()["error"]["details"][0]["reason"]), (404, &json!("AGENT_NOT_FOUND")));

    let worker = Agent::start(folder.path(), "worker", &server, &["--slots", "3", "--label", "zone=a"]);
    until("the agent to be there", 20, || {
        server.rest.get("/agents")["agents"].as_array().is_some_and(|agents| !agents.is_empty()).then_some(())
    });
    let shown = agent(&server, "worker");
    assert_eq!((&shown["state"], &shown["slots"], &shown["busySlots"]), (&json!("ALIVE"), &json!(3), &json!(0)));
    assert_eq!((&shown["labels"], &shown["queues"]), (&json!({ "zone": "a" }), &json!(["default"])));
    assert_eq!(shown["taskTypes"], json!(["grpc", "http", "noop", "process"]), "{shown}");
    assert!(shown["connectTime"].is_string() && shown["heartbeatTime"].is_string(), "{shown}");
    for (filter, count) in
        [("states=ALIVE", 1), ("states=STALE", 0), ("labels=zone=a", 1), ("labels=zone=b", 0), ("query=work", 1)]
    {
        let agents = server.rest.get(&format!("/agents?{filter}"))["agents"].clone();
        assert_eq!(agents.as_array().map(Vec::len), Some(count), "{filter}: {agents}");
    }

    let gate = folder.path().join("gate");
    let task = shell(&format!("until [ -e {} ]; do sleep 0.05; done", gate.display()));
    server.rest.create(&job("long", task, json!({})));
    server.rest.trigger("long", "");
    until("a busy slot", 20, || (agent(&server, "worker")["busySlots"] == 1).then_some(()));
    let listed = cli.ok(&["agent", "list"]);
    assert!(listed.lines().nth(1).is_some_and(|row| row.contains("worker") && row.contains("1 of 3 busy")), "{listed}");
    assert!(cli.ok(&["agent", "get", "worker"]).contains("zone=a"));
    std::fs::write(&gate, "").expect("because the folder is the test's");

    drop(worker);
    until("the agent's silence to show", 20, || (agent(&server, "worker")["state"] == "STALE").then_some(()));
}

#[test]
fn task_types_are_listed_with_who_offers_them() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let _worker = Agent::start(folder.path(), "worker", &server, &["--task-type", "noop"]);
    server.has_agents(1);
    let types = server.rest.get("/task-types")["taskTypes"].clone();
    let told = |name: &str| {
        let found = types.as_array().and_then(|types| types.iter().find(|shown| shown["name"] == name));
        found.unwrap_or_else(|| panic!("{name} is not in {types}")).clone()
    };
    assert_eq!((&told("noop")["builtIn"], &told("noop")["agentCount"]), (&json!(true), &json!(1)));
    assert_eq!((&told("http")["builtIn"], &told("http")["agentCount"]), (&json!(true), &json!(0)));
    for name in ["process", "http", "grpc", "noop"] {
        assert_eq!(told(name)["payloadSchema"]["type"], "object", "whoever offers {name}, or nobody: {types}");
    }
    assert!(told("noop")["seenTime"].is_string() && told("http").get("seenTime").is_none(), "{types}");
    let first = server.rest.get("/task-types?pageSize=1");
    let token = first["nextPageToken"].as_str().expect("there are more");
    let second = server.rest.get(&format!("/task-types?pageSize=1&pageToken={token}"));
    assert!(first["taskTypes"][0]["name"].as_str() < second["taskTypes"][0]["name"].as_str(), "{first} {second}");
    assert_eq!(server.rest.get("/task-types/process")["name"], "process");
    let nobody = server.rest.call("GET", "/task-types/nobody-has-it", None);
    assert_eq!(nobody.json()["error"]["details"][0]["reason"], "TASK_TYPE_NOT_FOUND");
}

#[test]
fn a_cordoned_agent_gets_nothing_new_over_a_restart_and_a_drained_one_leaves() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    let mut worker = Agent::start(folder.path(), "worker", &server, &[]);
    server.has_agents(1);
    let gate = folder.path().join("gate");
    let task = shell(&format!("until [ -e {} ]; do sleep 0.05; done", gate.display()));
    server.rest.create(&job("long", task, json!({ "maxInstances": 9 })));
    let held = server.rest.trigger("long", "").run_id;
    until("the run to begin", 20, || (server.rest.run(&held).state == "RUNNING").then_some(()));

    let act = |server: &Server, verb: &str, body: Value| {
        server.rest.call("POST", &format!("/agents/worker/{verb}"), Some(&body)).ok()
    };
    let cordoned = act(&server, "cordon", json!({ "note": "new disk" }));
    assert_eq!((&cordoned["cordon"]["note"], &cordoned["state"]), (&json!("new disk"), &json!("ALIVE")));
    server.kill_and_start();
    server.has_agents(1);
    assert_eq!(agent(&server, "worker")["cordon"], cordoned["cordon"]);
    let waiting = server.rest.trigger("long", "").run_id;
    until("the reason to show", 20, || (server.rest.run(&waiting).reason == "NO_AGENT").then_some(()));
    assert_eq!(act(&server, "uncordon", json!({}))["cordon"], Value::Null);
    until("the run to begin", 20, || (server.rest.run(&waiting).state == "RUNNING").then_some(()));

    assert_eq!(act(&server, "drain", json!({}))["state"], "DRAINING");
    let left = server.rest.trigger("long", "").run_id;
    std::fs::write(&gate, "").expect("because the folder is the test's");
    let status = until("the agent to leave", 20, || worker.process.status());
    assert!(status.success(), "{status}");
    for run in [held, waiting] {
        assert_eq!(server.rest.run(&run).state, "SUCCEEDED");
    }
    assert_eq!(server.rest.run(&left).state, "PENDING");
    let nobody = server.rest.call("POST", "/agents/worker/drain", Some(&json!({})));
    assert_eq!((nobody.status, &nobody.json()["error"]["details"][0]["reason"]), (400, &json!("AGENT_NOT_CONNECTED")));
}
