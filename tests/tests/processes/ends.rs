//! How runs end and begin again: attempts that fail, runs that somebody cancels, and runs of runs that have ended.

use std::fs;

use punctual_tests::{Cli, Run, Server, folder, job, noop, shell, until};
use serde_json::json;

#[track_caller]
fn ended(server: &Server, run_id: &str) -> Run {
    until("the run to end", 20, || Some(server.rest.run(run_id)).filter(Run::ended))
}

#[test]
fn each_attempt_keeps_its_own_error_times_agent_and_log() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let task = shell("echo attempt $PUNCTUAL_ATTEMPT; [ $PUNCTUAL_ATTEMPT -gt 1 ] || exit 3");
    server.rest.create(&job("retried", task, json!({ "retry": { "maxAttempts": 3, "initialBackoff": "0.1s" } })));
    let run_id = server.rest.trigger("retried", "").run_id;
    let run = ended(&server, &run_id);
    assert!(run.succeeded() && run.attempt == 2, "{run:?}");

    let shown = server.rest.get(&format!("/runs/{run_id}"));
    let attempts = shown["attempts"].as_array().expect("a list").clone();
    assert_eq!(attempts.len(), 2, "{shown}");
    let [first, second] = [&attempts[0], &attempts[1]];
    assert_eq!(
        (&first["state"], &first["exitCode"], &first["error"]["code"]),
        (&json!("FAILED"), &json!(3), &json!("EXIT_3"))
    );
    assert_eq!((&second["state"], second.get("error")), (&json!("SUCCEEDED"), None), "{second}");
    for attempt in &attempts {
        assert_eq!(attempt["agentId"], "embedded");
        assert!(attempt["startTime"].is_string() && attempt["endTime"].is_string(), "{attempt}");
    }
    assert!(first["endTime"].as_str() < second["createTime"].as_str(), "the backoff is between them: {shown}");

    assert_eq!(server.rest.logs(&run_id), "attempt 1\nattempt 2\n");
    for number in [1, 2] {
        let log = server.rest.call("GET", &format!("/runs/{run_id}/logs?attempt={number}"), None);
        assert_eq!(log.text, format!("attempt {number}\n"));
    }
}

#[test]
fn a_cancel_ends_the_task_and_a_retry_is_a_run_of_its_own() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    let (began, went_on) = (folder.path().join("began"), folder.path().join("went-on"));
    let script = format!("echo $$ >> {}; sleep 600; touch {}", began.display(), went_on.display());
    server.rest.create(&job("long", shell(&script), json!({ "killGrace": "0s" })));
    let run_id = server.rest.trigger("long", "").run_id;
    let process = until("the task to begin", 20, || fs::read_to_string(&began).ok().filter(|pid| pid.ends_with('\n')));

    cli.ok(&["run", "cancel", &run_id, "--note", "not today"]);
    let run = ended(&server, &run_id);
    assert_eq!((run.state.as_str(), run.reason.as_str()), ("CANCELLED", "CANCELLED_BY_USER"), "{run:?}");
    let shown = server.rest.get(&format!("/runs/{run_id}"));
    assert!(shown["reasonMessage"].as_str().is_some_and(|message| message.contains("not today")), "{shown}");
    assert!(!std::path::Path::new("/proc").join(process.trim()).exists(), "its process is gone");
    assert!(!went_on.exists());
    let again = server.rest.call("POST", &format!("/runs/{run_id}/cancel"), Some(&json!({})));
    assert_eq!(again.status, 400, "{}", again.text);

    cli.ok(&["job", "disable", "long"]);
    let refused = server.rest.call("POST", &format!("/runs/{run_id}/retry"), Some(&json!({})));
    assert_eq!(refused.status, 400, "a disabled job takes no runs: {}", refused.text);
    cli.ok(&["job", "enable", "long"]);

    let body = json!({ "requestId": "again" });
    let retry = || server.rest.call("POST", &format!("/runs/{run_id}/retry"), Some(&body)).ok();
    let (first, second) = (retry(), retry());
    assert_eq!(first["runId"], second["runId"], "one run for one request_id");
    assert_ne!(first["runId"], run_id.as_str());
    let second = first["runId"].as_str().expect("an id").to_owned();
    until("the second to begin", 20, || (fs::read_to_string(&began).ok()?.lines().count() == 2).then_some(()));
    assert_eq!(server.rest.run(&run_id).state, "CANCELLED", "the first stays as it ended");
    cli.ok(&["run", "cancel", &second]);
    assert_eq!(ended(&server, &second).state, "CANCELLED");
}

#[test]
fn what_waits_is_cancelled_at_once() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let nobody = json!({ "type": "nobody-has-it" });
    server.rest.create(&job("waits", nobody, json!({})));
    server.rest.create(&job("later", noop(), json!({})));
    let without_agent = server.rest.trigger("waits", "").run_id;
    let body = json!({ "notBefore": "2999-01-01T00:00:00Z" });
    let later = server.rest.call("POST", "/jobs/later/trigger", Some(&body)).ok();
    for run_id in [without_agent.as_str(), later["runId"].as_str().expect("an id")] {
        let answer = server.rest.call("POST", &format!("/runs/{run_id}/cancel"), Some(&json!({}))).ok();
        assert_eq!(
            (&answer["state"], &answer["reason"]),
            (&json!("CANCELLED"), &json!("CANCELLED_BY_USER")),
            "{answer}"
        );
    }
}
