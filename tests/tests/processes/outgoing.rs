//! Tasks that call other servers: here the one that gives them out.

use punctual_tests::{Run, Server, folder, job, until};
use serde_json::{Value, json};

/// The end of a job's first run, with all that REST shows of it.
#[track_caller]
fn ended(server: &Server, task_type: &str, payload: &Value) -> Value {
    server.rest.create(&job("calls", json!({ "type": task_type, "payload": payload }), json!({})));
    let run_id = server.rest.trigger("calls", "").run_id;
    until("the run to end", 20, || Some(server.rest.run(&run_id)).filter(Run::ended));
    server.rest.get(&format!("/runs/{run_id}"))
}

fn log(server: &Server, run: &Value) -> String {
    server.rest.logs(run["runId"].as_str().expect("an id"))
}

#[test]
fn an_http_job_answers_with_status_headers_and_body() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let url = format!("{}/api/v1/scheduler/jobs/calls?namespace=default", server.url());
    let run = ended(&server, "http", &json!({ "url": url }));
    assert_eq!((&run["state"], &run["result"]["status"]), (&json!("SUCCEEDED"), &json!(200)), "{run}");
    assert_eq!(run["result"]["headers"]["content-type"], "application/json");
    assert_eq!(run["result"]["body"]["jobId"], "calls", "{run}");
    let log = log(&server, &run);
    assert!(log.starts_with(&format!("GET {url}\nHTTP/1.1 200 OK\n{{")), "{log}");
}

#[test]
fn an_http_job_fails_with_the_status_as_its_code() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let url = format!("{}/api/v1/scheduler/jobs/nobody", server.url());
    let run = ended(&server, "http", &json!({ "url": url }));
    assert_eq!((&run["state"], &run["error"]["code"]), (&json!("FAILED"), &json!("HTTP_404")), "{run}");
    assert!(log(&server, &run).contains("JOB_NOT_FOUND"), "the log has what the server said");
}

#[test]
fn a_grpc_job_answers_with_the_message_that_reflection_describes() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let payload = json!({ "target": server.address(), "method": "punctual.v1.SchedulerService/GetStatus" });
    let run = ended(&server, "grpc", &payload);
    assert_eq!((&run["state"], &run["result"]["agents"]["alive"]), (&json!("SUCCEEDED"), &json!(1)), "{run}");
}

#[test]
fn a_grpc_job_fails_with_the_status_as_its_code() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let payload =
        json!({ "target": server.url(), "method": "punctual.v1.JobService/GetJob", "request": { "jobId": "nobody" } });
    let run = ended(&server, "grpc", &payload);
    assert_eq!((&run["state"], &run["error"]["code"]), (&json!("FAILED"), &json!("GRPC_NOT_FOUND")), "{run}");
}

#[test]
fn what_an_http_or_grpc_task_could_not_send_is_refused_with_its_path() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    for (task_type, payload, field) in [
        ("http", json!({ "url": "/relative" }), "task.payload.url"),
        ("http", json!({ "url": "http://a", "headers": { "X": "${env:no name}" } }), "task.payload.headers.X"),
        ("grpc", json!({ "target": "a", "method": "b.C/D" }), "task.payload.target"),
    ] {
        let refused = server.rest.call(
            "POST",
            "/jobs",
            Some(&job("a", json!({ "type": task_type, "payload": payload }), json!({}))),
        );
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.json()["error"]["details"][1]["fieldViolations"][0]["field"], field, "{}", refused.text);
    }
}
