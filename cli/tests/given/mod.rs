//! What flags and files give a command beside what they always gave it: several values at once, times in words, all of a
//! job.

use std::fs;

use prost_types::Timestamp;
use serde_json::json;

use super::fake::Server;
use super::job;

#[test]
fn a_job_has_all_that_its_flags_say() {
    let server = Server::start();
    let line = "job create beat --task noop --cron @daily --at 2099-01-01T00:00:00Z --time-zone Europe/Paris --gap skip \
                --overlap both --exclude-calendar holidays --label team=a --description words --queue slow --priority -5 \
                --max-instances 3 --overlap-policy cancel-running --misfire-grace-time 5m --max-attempts 4 --timeout 90s";
    let said = server.punctual(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let job = server.punctual(&["job", "get", "beat", "-o", "json"]).json();
    let schedule = json!({
        "cron": ["@daily"], "at": ["2099-01-01T00:00:00Z"], "timeZone": "Europe/Paris",
        "dst": {"gap": "SKIP", "overlap": "BOTH"}, "excludeCalendars": ["holidays"],
    });
    for (key, value) in schedule.as_object().unwrap() {
        assert_eq!(job["schedule"][key], *value, "{key}");
    }
    let fields = json!({
        "labels": {"team": "a"}, "description": "words", "queue": "slow", "priority": -5, "maxInstances": 3,
        "overlapPolicy": "CANCEL_RUNNING", "misfireGraceTime": "300s", "timeout": "90s",
    });
    for (key, value) in fields.as_object().unwrap() {
        assert_eq!(job[key], *value, "{key}");
    }
    assert_eq!(job["retry"]["maxAttempts"], 4);
}

#[test]
fn several_states_and_triggers_are_named_at_once() {
    let server = Server::start();
    let said = server.punctual(&["run", "list", "--state", "failed,TIMED_OUT", "--trigger", "manual,retry"]);
    assert_eq!(said.code, 0, "{said:?}");
    let asked = server.with(|state| state.listed.remove(0));
    assert_eq!((asked.states.len(), asked.triggers.len()), (2, 2));
    let said = server.punctual(&["run", "list", "--state", "failed,done"]);
    assert!(said.code == 2 && said.err.contains("TIMED_OUT"), "the states that there are: {said:?}");
}

#[test]
fn an_instant_is_explained_by_how_long_ago_it_was() {
    let server = Server::start();
    server.with(|state| state.jobs.push(job("beat")));
    for time in ["3h", "1h", "2026-01-01T00:00:00Z"] {
        assert_eq!(server.punctual(&["job", "explain", "beat", time]).code, 0, "{time}");
    }
    let times: Vec<Timestamp> = server.with(|state| state.explained.iter().filter_map(|asked| asked.time).collect());
    let apart = times[1].seconds - times[0].seconds;
    assert!((7_200..=7_260).contains(&apart), "two hours, and what the calls took: {times:?}");
    assert_eq!(times[2].seconds, 1_767_225_600);
}

#[test]
fn a_preview_of_a_file_asks_the_server_only_where_calendars_are_named() {
    let server = Server::start();
    let file = server.home().join("jobs.yaml");
    let task = "task: {type: noop}";
    let free = format!(
        "jobId: free\n{task}\nschedule: {{cron: ['@daily'], excludeCalendars: [days], timeZone: Asia/Tokyo}}\n"
    );
    fs::write(&file, &free).unwrap();
    let preview = ["job", "preview", "-f", file.to_str().unwrap(), "--after", "2026-01-01T00:00:00Z", "--count", "2"];
    let said = server.punctual(&preview);
    assert_eq!(said.out, "in words\n2026-01-01T01:00:00Z  Thu 2026-01-01 10:00:00 +09:00\n", "{said:?}");
    let asked = server.with(|state| state.previewed.remove(0));
    assert_eq!((asked.job_id.as_str(), asked.count), ("free", Some(2)));
    assert_eq!(asked.schedule.unwrap().exclude_calendars, ["days"]);

    fs::write(&file, format!("jobId: plain\n{task}\nschedule: {{cron: ['@daily']}}\n")).unwrap();
    let without = [preview.as_slice(), &["--server", "http://127.0.0.1:1"]].concat();
    let said = server.punctual(&without);
    assert!(said.code == 0 && said.out.contains("2026-01-02T00:00:00Z"), "{said:?}");
    fs::write(&file, &free).unwrap();
    assert_eq!(server.punctual(&without).code, 3, "no server knows the calendar");
}

#[test]
fn an_apply_counts_what_is_refused_beside_what_is_done() {
    let server = Server::start();
    let file = server.home().join("jobs.yaml");
    let jobs = "jobId: a\ntask: {type: noop}\n---\njobId: b\nschedule: {every: [0.2s]}\ntask: {type: noop}\n";
    fs::write(&file, jobs).unwrap();
    let apply = ["job", "apply", "-f", file.to_str().unwrap()];
    let said = server.punctual(&apply);
    assert!(said.out.ends_with("created: 1, changed: 0, deleted: 0; unchanged: 0; refused: 1\n"), "{said:?}");
    assert!(said.code == 1 && said.err.starts_with("default/b: error: "), "{said:?}");
    let said = server.punctual(&[apply.as_slice(), &["-o", "json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&report["unchanged"], report["refused"][0]["jobId"].as_str()), (&json!(1), Some("b")), "{report}");
}

#[test]
fn a_task_type_of_punctual_s_own_that_no_agent_offers_is_warned_of() {
    let server = Server::start();
    server.with(|state| state.offered = [("noop".to_owned(), 0), ("http".to_owned(), 1)].into());
    let said = server.punctual(&["job", "create", "a", "--task", "noop"]);
    assert!(
        said.code == 0 && said.err.starts_with("warning: no agent is known to offer the task type `noop`"),
        "{said:?}"
    );
    assert!(said.err.contains("punctual agent list"), "{said:?}");
    let payload = r#"{"method": "GET", "url": "http://127.0.0.1:1/"}"#;
    let said = server.punctual(&["job", "create", "b", "--task", "http", "--payload", payload]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}

#[test]
fn a_server_is_named_by_host_and_port_alone() {
    let server = Server::start();
    let address = server.url().replace("http://", "");
    assert!(server.punctual(&["status", "--server", &address]).out.starts_with("leader:  n1 at"));
}
