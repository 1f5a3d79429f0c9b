//! Clients that are not ours.

use std::process::Command;

use punctual_tests::{Said, Server, folder, grpcurl, node, root};
use serde_json::Value;

#[test]
fn grpcurl_knows_all_from_reflection() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
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
    let job = r#"{"job": {"job_id": "curled", "task": {"type": "noop"}}}"#;
    assert_eq!(ask("punctual.v1.JobService/CreateJob", job)["state"], "ACTIVE");
    let run = ask("punctual.v1.JobService/TriggerJob", r#"{"job_id": "curled"}"#);
    let runs = ask("punctual.v1.RunService/ListRuns", r#"{"job_id": "curled"}"#);
    assert_eq!(runs["runs"][0]["runId"], run["runId"], "{runs}");
    assert_eq!(ask("grpc.health.v1.Health/Check", "{}")["status"], "SERVING");

    let refused = call(&["-d", r#"{"job": {"job_id": "NO"}}"#, &address, "punctual.v1.JobService/CreateJob"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    let expected = ["InvalidArgument", "INVALID_FIELDS", "job.job_id", "job.task"];
    assert!(expected.iter().all(|part| refused.err.contains(part)), "the details in plain text, too: {refused:?}");
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
