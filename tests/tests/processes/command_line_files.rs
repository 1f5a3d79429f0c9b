//! `punctual` with files of jobs: apply, update, validate.

use std::path::Path;

use punctual_tests::{Cli, Server, folder};
use serde_json::{Value, json};

fn write(folder: &Path, jobs: &Value) {
    std::fs::write(folder.join("jobs.json"), jobs.to_string()).expect("because the folder is the test's");
}

fn job(id: &str, more: Value) -> Value {
    punctual_tests::job(id, punctual_tests::noop(), more)
}

#[test]
fn a_file_is_applied_and_what_that_changes_is_said() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    let apply = |more: &[&str]| cli.call(&[&["job", "apply", "-f", "jobs.json"], more].concat());
    let team = json!({ "team": "a" });
    write(folder.path(), &json!([job("a", json!({ "labels": team })), job("b", json!({ "labels": team }))]));
    assert!(apply(&["--dry-run"]).ok().contains("would create default/a"));
    assert_eq!(server.rest.get("/jobs")["jobs"], json!([]), "a dry run does nothing");
    let said = apply(&[]).ok();
    assert!(said.ends_with("created: 2, changed: 0, deleted: 0; unchanged: 0\n"), "{said}");
    assert_eq!(apply(&[]).ok(), "created: 0, changed: 0, deleted: 0; unchanged: 2\n");

    server.rest.create(&job("not-ours", json!({})));
    let changed = job("a", json!({ "labels": team, "priority": 7, "schedule": { "every": ["90s"] } }));
    write(folder.path(), &json!({ "jobs": [changed, job("c", json!({ "labels": team }))] }));
    let prune = ["--prune", "--label", "team=a"];
    let said = apply(&prune).ok();
    for line in ["change default/a", "  priority: 0 → 7", "create default/c", "delete default/b"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(said.contains("created: 1, changed: 1, deleted: 1; unchanged: 0"), "{said}");
    let listed = server.rest.get("/jobs")["jobs"].as_array().expect("a list").clone();
    let ids: Vec<_> = listed.iter().map(|job| job["jobId"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["a", "c", "not-ours"]);

    // One that the server refuses does not keep the others away.
    let past = json!({ "schedule": { "at": ["2020-01-01T00:00:00Z"] } });
    write(folder.path(), &json!([job("past", past), job("d", json!({}))]));
    let said = apply(&["--output", "json"]);
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &told["created"], &told["refused"][0]["jobId"]), (Some(1), &json!(1), &json!("past")));
    assert!(said.err.contains("schedule.at[0]"), "{}", said.err);
    assert_eq!(cli.call(&["job", "apply", "-f", "jobs.json", "--prune"]).code, Some(2), "prune what?");
}

#[test]
fn an_edit_that_comes_between_is_not_undone_unseen() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    let created = server.rest.create(&job("a", json!({})));
    server.rest.call("PATCH", "/jobs/a", Some(&json!({ "priority": 3 }))).ok();
    write(folder.path(), &json!([job("a", json!({ "priority": 5, "etag": created["etag"] }))]));
    let said = cli.call(&["job", "apply", "-f", "jobs.json"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("etag"), "{}", said.err);
    assert_eq!(server.rest.get("/jobs/a")["priority"], 3);
}

#[test]
fn fields_are_updated_and_cleared_by_flags() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let cli = Cli::new(folder.path(), &server.url());
    server.rest.create(&job("a", json!({ "description": "old", "schedule": { "every": ["90s"] } })));
    let said = cli.ok(&["job", "update", "a", "--cron", "@daily", "--clear", "schedule.every", "--priority", "-3"]);
    assert!(said.starts_with("updated default/a to revision 2, next fire in"), "{said}");
    let updated = server.rest.get("/jobs/a");
    let schedule = (&updated["schedule"]["cron"], &updated["schedule"]["every"]);
    assert_eq!((schedule, &updated["priority"]), ((&json!(["@daily"]), &json!([])), &json!(-3)));
    assert_eq!(updated["description"], "old", "what is not named stays");
    let stale = cli.call(&["job", "update", "a", "--priority", "1", "--etag", "stale"]);
    assert!(stale.code == Some(1) && stale.err.contains("etag"), "{stale:?}");
    assert_eq!(cli.call(&["job", "update", "a"]).code, Some(2));
    write(folder.path(), &json!(job("a", json!({}))));
    cli.ok(&["job", "update", "-f", "jobs.json"]);
    assert_eq!(server.rest.get("/jobs/a")["description"], "", "a file replaces all");
}

#[test]
fn a_file_is_validated_without_a_server() {
    let folder = folder();
    let cli = Cli::new(folder.path(), "http://127.0.0.1:1");
    write(folder.path(), &json!([job("a", json!({})), job("b", json!({ "schedule": { "cron": ["0 0 31 2 *"] } }))]));
    let said = cli.call(&["job", "validate", "-f", "jobs.json"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("[1].schedule.cron[0]"), "{}", said.err);
    write(folder.path(), &json!([job("a", json!({})), job("b", json!({}))]));
    assert_eq!(cli.ok(&["job", "validate", "-f", "jobs.json"]), "2 of 2 jobs are valid\n");
}
