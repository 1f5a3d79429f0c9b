//! Clients that are not ours.

use std::path::Path;
use std::process::Command;

use punctual_tests::{Cluster, Parts, Said, Server, folder, grpcurl, job, node, noop, python, root, shell, until};
use serde_json::{Value, json};

#[test]
fn grpcurl_drives_a_job_from_creation_to_its_log_with_nothing_but_reflection() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let address = server.address();
    let call = |args: &[&str]| Said::of(Command::new(&grpcurl).arg("-plaintext").args(args));
    let listed = call(&[&address, "list"]).ok();
    for service in ["punctual.v1.JobService", "punctual.v1.RunService", "grpc.health.v1.Health"] {
        assert!(listed.lines().any(|line| line == service), "{service} is not in {listed}");
    }
    assert!(call(&[&address, "describe", "punctual.v1.JobService"]).ok().contains("rpc TriggerJob"));
    assert!(call(&[&address, "describe", "punctual.v1.Job"]).ok().contains("max_instances"));

    let ask = |method: &str, body: &str| -> Value {
        let out = call(&["-d", body, &address, method]).ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{method}: {error}: {out}"))
    };
    let job = json!({ "job": { "job_id": "curled", "task": shell("echo curled") } }).to_string();
    assert_eq!(ask("punctual.v1.JobService/CreateJob", &job)["state"], "ACTIVE");
    let run = ask("punctual.v1.JobService/TriggerJob", r#"{"job_id": "curled"}"#);
    let runs = ask("punctual.v1.RunService/ListRuns", r#"{"job_id": "curled"}"#);
    assert_eq!(runs["runs"][0]["runId"], run["runId"], "{runs}");
    assert_eq!(ask("grpc.health.v1.Health/Check", "{}")["status"], "SERVING");

    let run_id = json!({ "run_id": run["runId"] }).to_string();
    until("the end of the run", 20, || {
        (ask("punctual.v1.RunService/GetRun", &run_id)["state"] == "SUCCEEDED").then_some(())
    });
    let logs = ask("punctual.v1.RunService/GetRunLogs", &run_id);
    assert_eq!(logs["chunks"][0]["data"], "Y3VybGVkCg==", "`curled` and a line's end in base64: {logs}");

    let refused = call(&["-d", r#"{"job": {"job_id": "NO"}}"#, &address, "punctual.v1.JobService/CreateJob"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    let expected = ["InvalidArgument", "INVALID_FIELDS", "job.job_id", "job.task"];
    assert!(expected.iter().all(|part| refused.err.contains(part)), "the details in plain text, too: {refused:?}");
}

/// Runs a script of `tests/clients/python`.
fn script(python: &Path, name: &str, arguments: &[&str]) -> Said {
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/python").join(name)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    // Whoever has a proxy does not reach this machine through it.
    Said::of(command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1"))
}

#[test]
fn grpcio_drives_a_job_from_creation_to_its_log_with_nothing_but_reflection() {
    let Some(python) = python() else { return };
    let folder = folder();
    let server = Server::with_agent(folder.path());
    assert_eq!(script(&python, "drive.py", &[&server.address()]).ok(), "ok\n");
}

/// Scenario 19: a node passes on what it is asked as it came, and so is the field that only a later version knows.
#[test]
fn a_field_that_the_leader_does_not_know_is_refused_at_whichever_node_it_is_set() {
    let Some(python) = python() else { return };
    let folder = folder();
    let Some(cluster) = Cluster::start(folder.path(), Parts::default(), &[]) else { return };
    cluster.nodes[0].rest.create(&job("newer", noop(), json!({})));
    for node in &cluster.nodes {
        let said = script(&python, "newer.py", &[&node.address(), "newer"]).ok();
        assert!(said.starts_with("INVALID_ARGUMENT 2000: this server does not know the field"), "{said}");
    }
    assert_eq!(cluster.nodes[0].rest.history("newer").len(), 0, "half of a request was done");
}

#[test]
fn the_openapi_document_is_valid_and_its_examples_are() {
    let Some(python) = python() else { return };
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let said = script(&python, "openapi.py", &[&server.url()]).ok();
    assert!(said.starts_with("valid, with "), "{said}");
}

#[test]
fn schemathesis_finds_no_failure_and_no_answer_that_the_openapi_document_lacks() {
    let Some(python) = python() else { return };
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let said = script(&python, "fuzz.py", &[&server.url()]);
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    assert!(!server.log().contains(r#""level":"ERROR""#), "a bug that was answered well is one still");
}

#[test]
fn a_browsers_grpc_web_client_creates_gets_and_lists() {
    let script = root().join("tests/clients/grpc-web/check.mjs");
    let Some(node) = node(&script) else { return };
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let said = Said::of(Command::new(node).arg(script).arg(server.url()));
    assert_eq!(said.ok(), "ok\n");
}
