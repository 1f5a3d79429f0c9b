//! What operators do to a job, over REST, and that it survives the server.

use punctual_tests::{Server, folder, job, noop, until};
use serde_json::json;

#[test]
fn a_job_that_is_put_back_as_it_was_got_has_not_changed() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let schedule =
        json!({ "cron": ["0 2 * * *"], "every": ["90s"], "at": ["2099-01-01T00:00:00Z"], "timeZone": "Europe/Paris" });
    let task = json!({ "type": "process", "payload": { "command": ["true"], "env": { "A": "b" } } });
    let more = json!({
        "schedule": schedule, "labels": { "team": "a" }, "priority": 5, "misfireGraceTime": "30s",
        "retry": { "maxAttempts": 3, "nonRetryableCodes": ["EXIT_2"] }, "timeout": "1.5s",
    });
    server.rest.create(&job("report", task, more));
    let got = server.rest.get("/jobs/report");
    let put = server.rest.call("PUT", "/jobs/report", Some(&got)).ok();
    assert_eq!(put, got);
    assert_eq!(server.rest.get("/jobs/report"), got);
}

#[test]
fn each_action_leads_to_its_state_and_none_is_lost_with_the_server() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    server.rest.create(&job("steered", noop(), json!({ "schedule": { "every": ["3600s"] } })));
    for (action, state) in [("pause", "PAUSED"), ("resume", "ACTIVE"), ("disable", "DISABLED"), ("enable", "ACTIVE")] {
        assert_eq!(server.rest.act("steered", action)["state"], state, "{action}");
        server.kill_and_start();
        assert_eq!(server.rest.get("/jobs/steered")["state"], state, "{action}, after the server was killed");
    }
    let refused = {
        server.rest.act("steered", "disable");
        server.rest.call("POST", "/jobs/steered/action", Some(&json!({ "action": "trigger" })))
    };
    assert_eq!(refused.json()["error"]["status"], "FAILED_PRECONDITION", "{refused:?}");
}

#[test]
fn a_trigger_that_is_repeated_enters_no_second_run() {
    let folder = folder();
    let mut server = Server::with_agent(folder.path());
    server.rest.create(&job("manual", noop(), json!({})));
    let run = server.rest.trigger("manual", "a");
    assert_eq!(run.trigger, "MANUAL");
    assert_eq!(server.rest.trigger("manual", "a").run_id, run.run_id);
    server.kill_and_start();
    assert_eq!(server.rest.trigger("manual", "a").run_id, run.run_id, "after the server was killed");
    let other = server.rest.trigger("manual", "b").run_id;
    assert_ne!(other, run.run_id);
    until("both runs to end", 30, || server.rest.history("manual").iter().all(|run| run.succeeded()).then_some(()));
    let history: Vec<_> = server.rest.history("manual").into_iter().map(|run| run.run_id).collect();
    assert_eq!(history, [other, run.run_id], "newest first");
}
