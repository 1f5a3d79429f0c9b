//! `punctual` against a server that runs.

use punctual_tests::{Cli, Server, folder, until};

#[test]
fn a_job_is_created_run_and_looked_at_from_the_command_line() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    let payload = r#"{"command": ["echo", "hello"]}"#;
    assert!(cli.ok(&["job", "create", "greet", "--task", "process", "--payload", payload]).contains("greet"));
    std::fs::write(
        folder.path().join("jobs.yaml"),
        "jobId: from-file\nschedule: {every: [3600s]}\ntask: {type: noop}\n",
    )
    .expect("because the folder is the test's");
    cli.ok(&["job", "create", "-f", "jobs.yaml"]);
    assert!(cli.ok(&["job", "list"]).contains("from-file"));
    let listed = cli.json(&["job", "list"]);
    let ids: Vec<_> = listed["jobs"].as_array().expect("a list").iter().map(|job| &job["jobId"]).collect();
    assert_eq!(ids, ["from-file", "greet"]);
    assert!(cli.ok(&["job", "get", "greet"]).contains("greet"));
    assert_eq!(cli.json(&["job", "get", "greet"]), server.rest.get("/jobs/greet"), "as REST prints it");

    let run_id = cli.ok(&["job", "trigger", "greet", "--request-id", "a"]).trim().to_owned();
    assert_eq!(cli.json(&["job", "trigger", "greet", "--request-id", "a"])["runId"], run_id.as_str());
    until("the run to end", 20, || (cli.json(&["run", "get", &run_id])["state"] == "SUCCEEDED").then_some(()));
    assert_eq!(cli.ok(&["run", "logs", &run_id]), "hello\n");
    for command in [&["job", "history", "greet"][..], &["run", "list"], &["run", "get", &run_id]] {
        let said = cli.ok(command);
        assert!(said.contains("SUCCEEDED") && said.contains(&run_id), "{command:?}: {said}");
    }
    for command in [&["job", "history", "greet"][..], &["run", "list", "--job", "greet"]] {
        let runs = &cli.json(command)["runs"];
        assert_eq!((runs.as_array().map(Vec::len), &runs[0]["runId"]), (Some(1), &run_id.clone().into()), "{runs}");
    }
}

#[test]
fn a_past_span_is_backfilled_and_its_instants_are_explained() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    let job = "jobId: beat\nschedule: {every: [60s], startTime: '2026-01-01T00:00:00Z'}\ntask: {type: noop}\n";
    std::fs::write(folder.path().join("beat.yaml"), job).expect("because the folder is the test's");
    cli.ok(&["job", "create", "-f", "beat.yaml"]);
    let span = ["job", "backfill", "beat", "--start", "2026-01-01T00:00:00Z", "--end", "2026-01-01T00:05:00Z"];
    assert_eq!(cli.json(&[&span[..], &["--dry-run"]].concat())["fires"], 5);
    let too_many = cli.call(&[&span[..], &["--max-runs", "4"]].concat());
    assert!(
        too_many.code == Some(1) && too_many.err.contains("maxRuns") | too_many.err.contains("max_runs"),
        "{too_many:?}"
    );
    let done = cli.json(&[&span[..], &["--wait", "--concurrency", "2"]].concat());
    assert_eq!((&done["fires"], &done["entered"]), (&5.into(), &5.into()), "{done}");
    let id = done["backfillId"].as_str().expect("a backfill has an id");
    let runs = cli.json(&["job", "history", "beat", "--backfill", id, "--state", "SUCCEEDED"]);
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(5), "{runs}");

    let explained = cli.ok(&["job", "explain", "beat", "2026-01-01T00:01:00Z"]);
    assert!(explained.starts_with("NOT_CREATED: ") && explained.contains(id), "{explained}");
    let explained = cli.json(&["job", "explain", "beat", "2200-01-01T00:00:01Z"]);
    assert_eq!(explained["outcome"], "NOT_AN_INSTANT", "{explained}");
    let asked = serde_json::json!({"time": "2200-01-01T00:00:01Z"});
    let over_rest = server.rest.call("POST", "/jobs/beat/explain", Some(&asked)).ok();
    assert_eq!(over_rest, explained, "as the command line prints it");
    let asked = serde_json::json!({"startTime": "2026-01-01T00:00:00Z", "endTime": "2200-01-01T00:00:00Z"});
    let refused = server.rest.call("POST", "/jobs/beat/backfill", Some(&asked)).json();
    assert!(refused["error"]["details"].to_string().contains(r#""field":"endTime""#), "{refused}");
}

#[test]
fn status_names_the_leader_and_counts_agents_and_jobs() {
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let cli = Cli::new(folder.path(), &server.url());
    cli.ok(&["job", "create", "later", "--every", "1h", "--task", "noop"]);
    let status = cli.json(&["status"]);
    assert_eq!((&status["agents"]["alive"], &status["jobs"]["active"]), (&1.into(), &1.into()), "{status}");
    let leader = status["leader"]["nodeId"].as_str().expect("a leader");
    assert!(cli.ok(&["status"]).contains(leader));
}

#[test]
fn a_refusal_ends_with_1_and_names_the_field() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    let said = cli.call(&["job", "get", "nobody"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let said = cli.call(&["job", "create", "wrong", "--every", "1s", "--task", "process", "--payload", "{}"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("task.payload"), "{said:?}");
    assert_eq!(cli.call(&["job", "create", "wrong", "--evry", "1s"]).code, Some(2));
}
