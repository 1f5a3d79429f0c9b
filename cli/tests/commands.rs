//! The binary as its users see it: what it prints, where, and with which exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

mod fake;
mod given;
mod steer;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use fake::{Said, Server, run};
use punctual_proto::v1::run_log_chunk::Stream;
use punctual_proto::v1::{Job, RunLogChunk, Schedule};
use serde_json::json;

fn job(id: &str) -> Job {
    Job { namespace: "default".to_owned(), job_id: id.to_owned(), ..Job::default() }
}

#[test]
fn a_job_created_from_flags_arrives_as_it_was_asked_for() {
    let server = Server::start();
    let payload = r#"{"command": ["sleep", "1"], "env": {"N": "1"}}"#;
    let said = server.punctual(&[
        "job",
        "create",
        "beat",
        "--every",
        "1h30m",
        "--every",
        "5s",
        "--task",
        "process",
        "--payload",
        payload,
    ]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.out, "created default/beat (every 1h 30m, every 5s), run it: punctual job trigger beat\n");

    let job = server.punctual(&["job", "get", "beat", "-o", "json"]).json();
    assert_eq!(job["schedule"]["every"], json!(["5400s", "5s"]));
    assert_eq!(job["task"], json!({"type": "process", "payload": {"command": ["sleep", "1"], "env": {"N": "1"}}}));
    assert_eq!((&job["priority"], &job["labels"]), (&json!(0), &json!({})), "zeros are printed");
}

#[test]
fn what_get_prints_can_be_created_again_from_a_file() {
    let server = Server::start();
    assert_eq!(server.punctual(&["job", "create", "one", "--every", "1s", "--task", "noop"]).code, 0);
    let json = server.punctual(&["job", "list", "--output", "json"]).out.replace("\"one\"", "\"two\"");
    let mut create = server.command();
    let mut create =
        create.args(["job", "create", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    create.stdin.take().unwrap().write_all(json.as_bytes()).unwrap();
    assert!(create.wait().unwrap().success());
    assert_eq!(
        server.with(|state| state.jobs[1].schedule.clone()),
        server.with(|state| state.jobs[0].schedule.clone())
    );
}

#[test]
fn a_refused_job_of_a_file_does_not_keep_the_others_away() {
    let server = Server::start();
    let file = server.home().join("jobs.yaml");
    let jobs = "jobId: a\ntask: {type: noop}\n---\njobId: b\nschedule: {every: [0.2s]}\ntask: {type: noop}\n---\njobId: c\ntask: {type: noop}\n";
    fs::write(&file, jobs).unwrap();
    let said = server.punctual(&["job", "create", "-f", file.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(
        said.err,
        "default/b: error: the job is not valid\n  job.schedule.every[0]: is below 1s\nerror: 1 of 3 jobs were refused\n"
    );
    assert_eq!(server.with(|state| state.jobs.iter().map(|job| job.job_id.clone()).collect::<Vec<_>>()), ["a", "c"]);
}

#[test]
fn a_file_with_an_unknown_key_is_refused_before_anything_is_sent() {
    let server = Server::start();
    let file = server.home().join("job.yaml");
    fs::write(&file, "jobId: a\nschedule: {evry: [1s]}\nretry: {maxAttempt: 3}\n").unwrap();
    let said = server.punctual(&["job", "create", "-f", file.to_str().unwrap()]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("  schedule.evry: is not a field; did you mean `every`?\n"), "{said:?}");
    assert!(said.err.contains("  retry.maxAttempt: is not a field; did you mean `maxAttempts`?\n"), "{said:?}");
    assert!(server.with(|state| state.jobs.is_empty()));
}

#[test]
fn one_invalid_job_of_a_file_keeps_all_from_being_sent() {
    let server = Server::start();
    let file = server.home().join("jobs.json");
    let jobs =
        r#"[{"jobId": "a", "task": {"type": "noop"}}, {"jobId": "b", "maxInstances": 0, "task": {"type": "noop"}}]"#;
    fs::write(&file, jobs).unwrap();
    let said = server.punctual(&["job", "create", "-f", file.to_str().unwrap()]);
    assert!(said.code == 1 && said.err.contains("jobs.json is not valid\n  [1].maxInstances: "), "{said:?}");
    assert!(server.with(|state| state.jobs.is_empty()));
}

#[test]
fn flags_that_make_no_valid_job_are_refused_without_a_server() {
    let server = Server::start();
    let said = server.punctual(&["job", "create", "a", "--task", "process", "--server", "http://127.0.0.1:1"]);
    assert!(said.code == 1 && said.err.contains("task.payload"), "{said:?}");
}

#[test]
fn a_task_type_that_nobody_offers_is_created_with_a_warning() {
    let server = Server::start();
    let said = server.punctual(&["job", "create", "a", "--task", "proces"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.starts_with("warning: no agent is known to offer the task type `proces`"), "{said:?}");
    assert!(said.out.starts_with("created default/a"), "{said:?}");
}

#[test]
fn field_violations_of_the_server_are_printed_one_a_line() {
    let server = Server::start();
    let said = server.punctual(&["job", "create", "a", "--every", "200ms", "--every", "300ms", "--task", "noop"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert_eq!(
        said.err,
        "error: the job is not valid\n  job.schedule.every[0]: is below 1s\n  job.schedule.every[1]: is below 1s\n"
    );
}

#[test]
fn an_empty_list_says_what_to_do_next_and_is_an_empty_list_in_json() {
    let server = Server::start();
    let said = server.punctual(&["job", "list"]);
    assert!(said.out.starts_with("No jobs in namespace default. Create one: punctual job create "), "{said:?}");
    assert_eq!(server.punctual(&["job", "list", "--output", "json"]).json(), json!({"jobs": [], "nextPageToken": ""}));
    assert_eq!(server.punctual(&["job", "history", "a"]).out, "No runs of a. Start one: punctual job trigger a\n");
}

#[test]
fn history_lists_the_runs_of_the_job_with_agent_and_times() {
    let server = Server::start();
    server.with(|state| state.runs = vec![run(&job("a"), 2), run(&job("a"), 1), run(&job("b"), 3)]);
    let runs = server.punctual(&["job", "history", "a", "--state", "succeeded", "--output", "json"]).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    let run = &runs["runs"][0];
    assert_eq!((&run["agentId"], &run["state"]), (&json!("worker"), &json!("SUCCEEDED")));
    assert_eq!(run["startTime"], "2023-11-14T22:13:22.001Z");
    assert_eq!(run["fencingToken"], (2_i64 << 40).to_string());
    assert_eq!(server.with(|state| state.listed[0].states.clone()), [3]);

    let table = server.punctual(&["job", "history", "a"]).out;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.lines().nth(1).unwrap().contains("250 ms") && !table.contains('\u{1b}'), "{table}");
}

#[test]
fn a_trigger_prints_the_run_and_carries_payload_labels_and_request_id() {
    let server = Server::start();
    server.with(|state| state.jobs.push(job("a")));
    let flags = ["--payload", r#"{"n": 1}"#, "--label", "by=hand", "--label", "k=v", "--request-id", "r1"];
    let said = server.punctual(&[["job", "trigger", "a"].as_slice(), &flags].concat());
    assert_eq!((said.code, said.out.as_str()), (0, "0199d0d6-0000-7000-8000-000000000099\n"), "{said:?}");
    let request = server.with(|state| state.triggered.remove(0));
    assert_eq!(request.request_id, "r1");
    assert_eq!(
        request.labels.into_iter().collect::<Vec<_>>(),
        [("by".into(), "hand".into()), ("k".into(), "v".into())]
    );
    assert_eq!(request.payload.unwrap().fields.len(), 1);
}

#[test]
fn what_operators_do_is_answered_with_where_the_job_stands() {
    let server = Server::start();
    server.with(|state| state.jobs.push(job("a")));
    let said = |args: &[&str]| server.punctual(&[&["job"], args].concat()).out;
    assert_eq!(said(&["pause", "a", "--note", "full disk"]), "paused default/a, now PAUSED\n");
    assert!(said(&["get", "a"]).contains("by somebody: full disk"));
    assert_eq!(said(&["resume", "a"]), "resumed default/a, now ACTIVE\n");
    assert_eq!(said(&["disable", "a"]), "disabled default/a, now DISABLED\n");
    assert_eq!(said(&["enable", "a"]), "enabled default/a, now ACTIVE\n");
    assert_eq!(said(&["delete", "a"]), "deleted default/a, now DELETED\n");
}

#[test]
fn a_preview_of_a_job_is_the_server_s_on_the_clocks_of_the_job_s_zone() {
    let server = Server::start();
    let schedule = Schedule { time_zone: Some("Asia/Tokyo".to_owned()), ..Schedule::default() };
    server.with(|state| state.jobs.push(Job { schedule: Some(schedule), ..job("a") }));
    let args = ["job", "preview", "a", "--after", "2026-01-01T00:00:00Z", "--count", "7"];
    let said = server.punctual(&args);
    assert_eq!(said.out, "in words\n2026-01-01T01:00:00Z  Thu 2026-01-01 10:00:00 +09:00\n", "{said:?}");
    let asked = server.with(|state| state.previewed.remove(0));
    assert_eq!((asked.job_id.as_str(), asked.count, asked.schedule), ("a", Some(7), None));

    let json = server.punctual(&[args.as_slice(), &["-o", "json"]].concat()).json();
    assert_eq!(json, json!({"fireTimes": ["2026-01-01T01:00:00Z"], "description": "in words", "dstChanges": []}));
    assert_eq!(server.punctual(&["job", "preview", "nothing"]).code, 1);
}

#[test]
fn logs_are_the_bytes_as_written_over_all_pages() {
    let server = Server::start();
    let chunk = |sequence, stream: Stream, data: &'static [u8]| RunLogChunk {
        attempt: 1,
        sequence,
        stream: stream.into(),
        data: data.into(),
        ..RunLogChunk::default()
    };
    let written: [&[u8]; 3] = [b"one \x1b[31mred", b"\xff\xfe\0", b"end, no newline"];
    server.with(|state| {
        state.chunks = vec![
            chunk(1, Stream::Stdout, written[0]),
            chunk(2, Stream::Stderr, written[1]),
            chunk(3, Stream::Stdout, written[2]),
        ];
    });
    let output = server.command().args(["run", "logs", "r"]).output().unwrap();
    assert_eq!(output.stdout, written.concat());
    let chunks = server.punctual(&["run", "logs", "r", "--output", "json"]).json();
    assert_eq!(chunks["chunks"].as_array().unwrap().len(), 3);
    assert_eq!(chunks["chunks"][1]["data"], "//4A");
    server.with(|state| state.chunks.clear());
    assert_eq!(server.punctual(&["run", "logs", "r", "-o", "json"]).json(), json!({"chunks": [], "nextPageToken": ""}));
}

#[test]
fn status_names_the_leader() {
    let server = Server::start();
    assert!(server.punctual(&["status"]).out.starts_with("leader:  n1 at"));
    assert_eq!(server.punctual(&["status", "-o", "json"]).json()["leader"]["epoch"], (1_i64 << 40).to_string());
}

#[test]
fn exit_codes_tell_refusal_usage_and_absence_apart() {
    let server = Server::start();
    let refused = server.punctual(&["job", "get", "nothing"]);
    assert_eq!((refused.code, refused.err.as_str()), (1, "error: there is no job `nothing` in namespace `default`\n"));
    assert_eq!(server.punctual(&["run", "get", "nothing"]).code, 1);
    assert_eq!(server.punctual(&["job", "create", "a", "--every", "5"]).code, 2);
    assert_eq!(server.punctual(&["status", "--server", "ftp://127.0.0.1:1"]).code, 2);

    // The listener is dropped at once: nothing answers there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = server.punctual(&["status", "--server", &format!("http://{free}")]);
    assert_eq!((absent.code, absent.out.as_str()), (3, ""), "{absent:?}");
    assert_eq!(absent.err.lines().count(), 1, "{absent:?}");
    assert!(absent.err.contains("scheduler-server dev") && absent.err.contains("--server"), "{absent:?}");
}

#[test]
fn a_flag_beats_its_variable_and_the_variable_beats_the_file() {
    let server = Server::start();
    let config = server.home().join(".config");
    fs::create_dir(&config).unwrap();
    fs::write(
        config.join("punctual.toml"),
        "namespace = \"file\"\noutput = \"json\"\nserver = \"http://127.0.0.1:1\"\n",
    )
    .unwrap();
    let listed = |variable: Option<&str>, args: &[&str]| {
        let mut command = server.command();
        command.args(["run", "list"]).args(args).envs(variable.map(|value| ("PUNCTUAL_NAMESPACE", value)));
        let said = Said::new(command.output().unwrap());
        assert_eq!(said.json()["runs"], json!([]), "the file's output, the variable's server: {said:?}");
        server.with(|state| state.listed.pop().unwrap().namespace)
    };
    assert_eq!(listed(None, &[]), "file");
    assert_eq!(listed(Some("variable"), &[]), "variable");
    assert_eq!(listed(Some("variable"), &["--namespace", "flag"]), "flag");

    fs::write(config.join("punctual.toml"), "naemspace = \"file\"\n").unwrap();
    let said = server.punctual(&["run", "list"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("punctual.toml") && said.err.contains("naemspace"), "{said:?}");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let server = Server::start();
    server.with(|state| state.runs = (0..5_000).map(|number| run(&job("a"), number)).collect());
    let mut command = server.command();
    command.args(["run", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn completions_need_no_server() {
    let server = Server::start();
    for shell in ["bash", "zsh", "fish"] {
        let said = server.punctual(&["completions", shell, "--server", "http://127.0.0.1:1"]);
        assert!(said.code == 0 && said.out.contains("history"), "{shell}");
    }
}
