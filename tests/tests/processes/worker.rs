//! The worker of `executor-agent/examples`, which `docs/writing-a-handler.md` explains, with a real server.

use std::fs;
use std::path::Path;

use punctual_tests::{Process, Rest, Run, Server, folder, job, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn worker(folder: &Path, server: &Server) -> Process {
    let worker = Process::start("worker", folder, "examples/worker", &[&server.url()]);
    server.has_agents(1);
    worker
}

fn import(payload: Value) -> Value {
    json!({ "type": "shop/import", "payload": payload })
}

#[track_caller]
fn triggered(rest: &Rest, job_id: &str, payload: Value) -> String {
    let body = json!({ "action": "trigger", "payload": payload });
    let run = rest.call("POST", &format!("/jobs/{job_id}/action"), Some(&body)).ok();
    run["runId"].as_str().expect("because runs have ids").to_owned()
}

#[track_caller]
fn ended(rest: &Rest, run_id: &str) -> Run {
    until("the run to end", 30, || Some(rest.run(run_id)).filter(Run::ended))
}

/// As REST prints it.
fn shown(rest: &Rest, run_id: &str) -> Value {
    rest.get(&format!("/runs/{run_id}"))
}

#[track_caller]
fn violations(rest: &Rest, path: &str, body: &Value) -> Vec<String> {
    let answer = rest.call("POST", path, Some(body));
    assert_eq!(answer.status, 400, "{}", answer.text);
    let error = answer.json()["error"].clone();
    let details = error["details"].as_array().expect("because errors have details");
    let found = details.iter().find_map(|detail| detail["fieldViolations"].as_array()).expect("fields are wrong");
    found.iter().map(|violation| violation["field"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn the_example_of_the_page_on_handlers_works() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let rest = &server.rest;
    let _worker = worker(folder.path(), &server);

    let shown_type = rest.get("/task-types/shop%2Fimport");
    assert_eq!(shown_type["payloadSchema"]["required"], json!(["rows"]), "{shown_type}");

    rest.create(&job("import", import(json!({ "rows": 4 })), json!({})));
    let run = ended(rest, &rest.trigger("import", "").run_id);
    let told = shown(rest, &run.run_id);
    assert_eq!((run.state.as_str(), &told["result"]["rows"]), ("SUCCEEDED", &json!(4)), "{told}");
    assert_eq!(told["result"]["fencing_token"].as_f64(), told["fencingToken"].as_str().and_then(|t| t.parse().ok()));
    assert!(told["progress"]["message"].as_str().is_some_and(|said| said.starts_with("row ")), "{told}");
    assert_eq!(rest.logs(&run.run_id), "importing 4 rows, attempt 1\n");

    fs::write(folder.path().join("lines.txt"), "a\nb\nc\n").expect("because the folder is the test's");
    let count = |path: &str| json!({ "type": "shop/count", "payload": { "path": path } });
    rest.create(&job("count", count("lines.txt"), json!({})));
    let run = ended(rest, &rest.trigger("count", "").run_id);
    assert_eq!(shown(rest, &run.run_id)["result"], json!({ "lines": 3 }));
    assert_eq!(rest.logs(&run.run_id), "lines.txt has 3 lines\n");
    let retried = json!({ "retry": { "maxAttempts": 2, "initialBackoff": "0s" } });
    rest.create(&job("count-nothing", count("nowhere.txt"), retried));
    let told = shown(rest, &ended(rest, &rest.trigger("count-nothing", "").run_id).run_id);
    assert_eq!((&told["error"]["code"], &told["attempt"]), (&json!("FILE_UNREADABLE"), &json!(2)), "{told}");
}

#[test]
fn a_payload_that_does_not_fit_a_handlers_type_is_refused_with_its_path_or_fails_for_good() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let rest = &server.rest;
    // Nobody is there to say what fits.
    let unseen = job("unseen", import(json!({ "rows": "many" })), json!({ "retry": { "maxAttempts": 3 } }));
    let create = || rest.call("POST", "/jobs?requestId=r1", Some(&unseen)).ok()["uid"].clone();
    let body = json!({ "action": "trigger", "requestId": "r2", "payload": { "rows": -1 } });
    let trigger = || rest.call("POST", "/jobs/unseen/action", Some(&body)).ok()["runId"].clone();
    let (uid, run_id) = (create(), trigger());
    let _worker = worker(folder.path(), &server);
    let told = shown(rest, &ended(rest, run_id.as_str().expect("an id")).run_id);
    assert_eq!((&told["error"]["code"], &told["attempt"]), (&json!("PAYLOAD_INVALID"), &json!(1)), "{told}");
    assert!(told["error"]["message"].as_str().is_some_and(|said| said.starts_with("payload.rows: ")), "{told}");
    assert_eq!((create(), trigger()), (uid, run_id), "what was taken once is answered the same again");

    let wrong = job("import", import(json!({ "rows": -1, "row_ms": "x", "colour": 1 })), json!({}));
    let mut found = violations(rest, "/jobs", &wrong);
    found.sort();
    assert_eq!(found, ["task.payload.colour", "task.payload.row_ms", "task.payload.rows"]);
    assert_eq!(
        violations(rest, "/jobs?validateOnly=true", &job("import", import(json!({})), json!({}))),
        ["task.payload.rows"]
    );
    rest.create(&job("import", import(json!({ "rows": 1 })), json!({})));
    let body = json!({ "action": "trigger", "payload": { "rows": 1.5 } });
    assert_eq!(violations(rest, "/jobs/import/action", &body), ["payload.rows"]);
    let patch = rest.call("PATCH", "/jobs/import", Some(&json!({ "task": import(json!({ "rows": null })) })));
    assert!(patch.status == 400 && patch.text.contains("task.payload.rows"), "{}", patch.text);
}

#[test]
fn a_workers_task_ends_when_it_is_cancelled_and_a_drained_worker_finishes_what_it_has() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let rest = &server.rest;
    let mut worker = worker(folder.path(), &server);
    rest.create(&job("import", import(json!({ "rows": 1 })), json!({ "maxInstances": 9, "killGrace": "600s" })));
    let begun = |payload: Value| {
        let run_id = triggered(rest, "import", payload);
        until("progress", 20, || shown(rest, &run_id)["progress"]["percent"].as_f64().filter(|percent| *percent > 0.0));
        run_id
    };
    let endless = begun(json!({ "rows": 1_000_000, "row_ms": 20 }));
    rest.call("POST", &format!("/runs/{endless}/cancel"), Some(&json!({}))).ok();
    assert_eq!(ended(rest, &endless).state, "CANCELLED", "long before it would be killed");

    let finished = begun(json!({ "rows": 60, "row_ms": 50 }));
    worker.signal(Signal::TERM);
    let agent = "/agents/shop-worker";
    until("the worker to drain", 20, || (rest.get(agent)["state"] == "DRAINING").then_some(()));
    let late = triggered(rest, "import", json!({}));
    let status = worker.exit(30);
    assert!(status.success(), "{status}");
    assert_eq!(rest.run(&finished).state, "SUCCEEDED");
    assert_eq!(rest.run(&late).state, "PENDING", "it waits for another worker");
}
