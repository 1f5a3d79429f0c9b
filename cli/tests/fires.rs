//! Explaining and backfilling, as users of the binary see it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

mod fake;

use fake::{Server, run};
use punctual_proto::v1::{Job, run};

const SPAN: [&str; 4] = ["--start", "2026-01-01T00:00:00Z", "--end", "2026-01-02T00:00:00Z"];

fn server() -> Server {
    let server = Server::start();
    let beat = Job { namespace: "default".to_owned(), job_id: "beat".to_owned(), ..Job::default() };
    server.with(|state| state.jobs.push(beat));
    server
}

fn backfill(server: &Server, more: &[&str]) -> fake::Said {
    server.punctual(&[&["job", "backfill", "beat"], &SPAN[..], more].concat())
}

#[test]
fn an_instant_is_explained_in_a_sentence() {
    let server = server();
    let said = server.punctual(&["job", "explain", "beat", "2026-01-01T02:00:00+01:00"]);
    assert_eq!((said.code, said.out.as_str()), (0, "PAUSED: Job default/beat was paused.\n"), "{said:?}");
    let asked = server.with(|state| state.explained[0].time.unwrap());
    assert_eq!(asked.to_string(), "2026-01-01T01:00:00Z");
    let json = server.punctual(&["job", "explain", "beat", "2026-01-01T02:00:00Z", "-o", "json"]).json();
    assert_eq!((&json["outcome"], &json["jobRevision"]), (&"PAUSED".into(), &0.into()));
    assert_eq!(server.punctual(&["job", "explain", "beat", "yesterday"]).code, 2);
    assert_eq!(server.punctual(&["job", "explain", "nobody", "2026-01-01T02:00:00Z"]).code, 1);
}

#[test]
fn a_dry_run_counts_and_a_backfill_says_where_to_follow_it() {
    let server = server();
    let said = backfill(&server, &["--dry-run"]);
    assert_eq!((said.code, said.out.as_str()), (0, "The span has 3 fires; nothing was entered.\n"), "{said:?}");
    let said = backfill(&server, &["--max-runs", "7", "--concurrency", "2"]);
    assert!(said.out.starts_with("b1\n3 fires, 1 entered") && said.out.contains("--backfill b1"), "{said:?}");
    let asked = server.with(|state| state.backfilled.clone());
    assert!(asked[0].validate_only && !asked[1].validate_only);
    assert_eq!((asked[1].max_runs, asked[1].concurrency), (Some(7), Some(2)));
    assert_eq!(backfill(&server, &["--max-runs", "0"]).code, 2);
    assert_eq!(backfill(&server, &["--dry-run", "--wait"]).code, 2);
    assert_eq!(server.punctual(&["job", "history", "beat", "--backfill", "b1"]).code, 0);
    assert_eq!(server.with(|state| state.listed.last().unwrap().backfill_id.clone()), "b1");
}

#[test]
fn waiting_tells_how_it_went_and_a_failed_run_is_exit_code_1() {
    let server = server();
    let runs = |last: run::State| {
        server.with(|state| {
            let job = state.jobs[0].clone();
            state.runs = (1..=3).map(|n| run(&job, n)).collect();
            state.runs[2].state = last.into();
        });
    };
    runs(run::State::Succeeded);
    let said = backfill(&server, &["--wait"]);
    assert_eq!((said.code, said.out.as_str()), (0, "b1: 3 fires: 3 SUCCEEDED\n"), "{said:?}");
    assert_eq!(said.err, "3 fires: 3 SUCCEEDED\n");
    runs(run::State::Failed);
    let said = backfill(&server, &["--wait"]);
    assert_eq!((said.code, said.out.as_str()), (1, "b1: 3 fires: 2 SUCCEEDED, 1 FAILED\n"), "{said:?}");
    assert!(said.err.ends_with("error: 1 of 3 fires have no run that succeeded\n"), "{said:?}");
}
