//! What arrives at the server, and what comes back.

use std::collections::BTreeSet;

use rustls::RootCertStore;
use serde_json::{Value, json};

use super::grpc;
use super::server::{GET, Reflection, routes};
use crate::handler::Secrets;
use crate::handler::grpc::Grpc;
use crate::handler::trial::server::{serve, serve_tls};
use crate::handler::trial::trial;

/// The URL of a server with reflection.
async fn server() -> String {
    serve(routes(Reflection::V1).0.into_axum_router()).await
}

#[tokio::test]
async fn an_answer_is_the_result_in_protobufs_json() {
    let url = server().await;
    let target = url.strip_prefix("http://").expect("a URL");
    for target in [target, url.as_str()] {
        let ended = trial(&json!({"target": target, "method": GET, "request": {"name": "a"}})).execute(&grpc()).await;
        assert!(ended.stdout.starts_with("{\"name\":\"a\"") && ended.stdout.ends_with("}\n"), "{}", ended.stdout);
        assert_eq!(ended.stderr, format!("{GET} at {target}\nOK\n"));
        let value = ended.value();
        assert_eq!((&value["name"], &value["agentCount"], &value["builtIn"]), (&json!("a"), &json!(0), &json!(false)));
    }
}

#[tokio::test]
async fn metadata_is_the_payloads_and_the_runs() {
    let payload = json!({"target": server().await, "method": GET,
        "metadata": {"X-Key": "a b", "raw-bin": "AAEC", "authorization": "Bearer ${env:PATH}"}});
    let secrets = Secrets { variables: BTreeSet::from(["PATH".to_owned()]), folder: None };
    let secret = std::env::var("PATH").expect("a test has a PATH");
    let ended = trial(&payload).execute(&Grpc::trusting(RootCertStore::empty(), secrets)).await;
    assert!(!format!("{ended:?}").contains(&secret));
    let metadata = ended.value()["payloadSchema"].clone();
    for (key, value) in [
        ("x-key", "a b"),
        ("raw-bin", "b\"\\0\\x01\\x02\""),
        ("authorization", "Bearer [secret]"),
        ("punctual-job-id", "nightly"),
        ("punctual-fencing-token", "41"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        assert_eq!(metadata[key], value, "{key}: {metadata}");
    }
    assert_eq!(metadata.get("grpc-timeout"), None);
}

#[tokio::test]
async fn the_attempts_deadline_goes_along() {
    let payload = json!({"target": server().await, "method": GET});
    let value = trial(&payload).deadline(std::time::Duration::from_secs(60)).execute(&grpc()).await.value();
    let timeout = value["payloadSchema"]["grpc-timeout"].as_str().expect("there").to_owned();
    assert!(timeout.ends_with(['n', 'u', 'm', 'S']), "{timeout}");
}

#[tokio::test]
async fn what_does_not_fit_the_method_is_named_by_its_path() {
    let url = server().await;
    let failed = async |method: &str, request: Value| {
        let payload = json!({"target": url, "method": method, "request": request});
        let failure = trial(&payload).execute(&grpc()).await.failure();
        assert_eq!((failure.code.as_str(), failure.retryable), ("PAYLOAD_INVALID", false), "{}", failure.message);
        failure.message
    };
    let message = failed("punctual.v1.Nobody/GetTaskType", json!({})).await;
    assert_eq!(message, "method: the server has no service \"punctual.v1.Nobody\"");
    let message = failed("punctual.v1.TaskTypeService/Get", json!({})).await;
    assert!(message.ends_with("has no method \"Get\"; it has ListTaskTypes, GetTaskType"), "{message}");
    let message = failed("punctual.v1.RunService/WatchRuns", json!({})).await;
    assert!(message.starts_with("method: punctual.v1.RunService.WatchRuns streams"), "{message}");
    let message = failed(GET, json!({"nam": "a"})).await;
    assert!(message.starts_with("request") && message.contains("'nam'"), "{message}");
    let message = failed(GET, json!({"name": 5})).await;
    assert!(message.starts_with("request.name: "), "{message}");
    let message = failed("punctual.v1.JobService/CreateJob", json!({"job": {"schedule": {"cron": ["a", 1]}}})).await;
    assert!(message.starts_with("request.job.schedule.cron[1]: "), "{message}");
}

#[tokio::test]
async fn an_answer_too_large_for_a_result_is_in_the_log() {
    let payload = json!({"target": server().await, "method": "punctual.v1.TaskTypeService/ListTaskTypes",
        "request": {"pageSize": 300_000}});
    let ended = trial(&payload).execute(&grpc()).await;
    assert!(ended.stdout.len() > 300_000);
    let value = ended.value();
    assert_eq!(value["truncated"], true);
    assert!(value["bytes"].as_u64() > Some(300_000), "{value}");
}

#[tokio::test]
async fn tls_by_a_known_authority_is_spoken_and_by_an_unknown_one_is_not() {
    let (url, roots) = serve_tls(routes(Reflection::V1).0.into_axum_router()).await;
    let payload = json!({"target": url, "method": GET, "request": {"name": "a"}});
    let value = trial(&payload).execute(&Grpc::trusting(roots, Secrets::default())).await.value();
    assert_eq!(value["name"], "a");
    let failure = trial(&payload).execute(&grpc()).await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("GRPC_UNAVAILABLE", true));
    assert!(failure.message.contains("UnknownIssuer"), "{}", failure.message);
}
