//! `validate_only`: the answer that the write would get, and nothing written.

use serde_json::{Value as Json, json};

use crate::calls::{API, Outcome, pool};
use crate::ledger::dump;
use crate::node::Node;

#[test]
fn every_write_of_a_definition_can_be_tried_out() {
    let defines = |name: &str| {
        let is_written = ["Create", "Update", "Restore", "Backfill"].iter().any(|verb| name.starts_with(verb));
        is_written && (name.contains("Job") || name.contains("Calendar"))
    };
    for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let is_there = method.input().get_field_by_name("validate_only").is_some();
        assert!(is_there || !defines(method.name()), "{}", method.full_name());
    }
}

fn job(id: &str, description: &str) -> Json {
    json!({"jobId": id, "task": {"type": "noop"}, "schedule": {"cron": ["0 2 * * *"]}, "description": description})
}

/// What a dry run and the write both say: all but what only a write makes.
fn said(mut answer: Json) -> Json {
    let made = ["uid", "etag", "revision", "createTime", "updateTime", "backfillId", "entered"];
    if let Some(fields) = answer.as_object_mut() {
        made.iter().for_each(|field| drop(fields.shift_remove(*field)));
    }
    answer
}

#[tokio::test]
async fn a_dry_run_is_answered_as_the_write_and_writes_nothing() {
    let node = Node::start().await;
    let rest = async |verb: &str, path: &str, body: &Json| node.rest(verb, &format!("{API}{path}"), Some(body)).await;
    rest("POST", "/jobs", &job("old", "first")).await.ok();
    rest("PATCH", "/jobs/old", &json!({"description": "second"})).await.ok();
    let holidays = json!({"calendarId": "holidays", "dates": ["2099-12-25"]});
    let span = json!({"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-03T00:00:00Z"});
    let writes = [
        ("POST", "/jobs", job("new", "new")),
        ("PATCH", "/jobs/old", json!({"description": "third"})),
        ("PUT", "/jobs/old", job("old", "fourth")),
        ("PUT", "/jobs/other?allowMissing=true", job("other", "made by a PUT")),
        ("POST", "/jobs/old/revisions/1/restore", json!({})),
        ("POST", "/calendars", holidays.clone()),
        ("PATCH", "/calendars/holidays", json!({"description": "days off"})),
        ("PUT", "/calendars/others?allowMissing=true", json!({"dates": ["2099-12-26"]})),
        ("POST", "/jobs/old/backfill", span),
        ("POST", "/runs/purge", json!({"endedBefore": "2026-01-01T00:00:00Z"})),
    ];
    for (verb, path, body) in writes {
        let in_body = path.ends_with("backfill") || path.ends_with("purge") || path.ends_with("restore");
        let (dry_path, dry_body) = if in_body {
            let mut body = body.clone();
            body["validateOnly"] = true.into();
            (path.to_owned(), body)
        } else {
            let sign = if path.contains('?') { '&' } else { '?' };
            (format!("{path}{sign}validateOnly=true"), body.clone())
        };
        let before = dump(&node);
        let dry = rest(verb, &dry_path, &dry_body).await.ok();
        assert_eq!(dump(&node), before, "{verb} {path} wrote something");
        let real = rest(verb, path, &body).await.ok();
        assert_eq!(said(dry), said(real), "{verb} {path}");
        if path != "/runs/purge" {
            assert_ne!(dump(&node), before, "{verb} {path}: the write itself does");
        }
    }
    node.end().await;
}

#[tokio::test]
async fn a_dry_run_is_refused_as_the_write_would_be() {
    let node = Node::start().await;
    let rest = async |verb: &str, path: &str, body: &Json| node.rest(verb, &format!("{API}{path}"), Some(body)).await;
    let refused = |code: &str, reason: &str, fields: &[&str]| Outcome {
        code: code.to_owned(),
        reason: reason.to_owned(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    rest("POST", "/jobs", &job("old", "first")).await.ok();
    let mut missing = job("new", "");
    missing["schedule"]["excludeCalendars"] = json!(["nowhere"]);
    let cases = [
        ("POST", "/jobs?validateOnly=true", job("old", ""), refused("ALREADY_EXISTS", "JOB_ALREADY_EXISTS", &[])),
        (
            "POST",
            "/jobs?validateOnly=true",
            missing,
            refused("INVALID_ARGUMENT", "INVALID_FIELDS", &["schedule.excludeCalendars[0]"]),
        ),
        (
            "PATCH",
            "/jobs/old?validateOnly=true",
            json!({"etag": "stale", "priority": 1}),
            refused("ABORTED", "ETAG_MISMATCH", &[]),
        ),
        ("PATCH", "/jobs/none?validateOnly=true", json!({"priority": 1}), refused("NOT_FOUND", "JOB_NOT_FOUND", &[])),
        (
            "POST",
            "/jobs/old/revisions/9/restore",
            json!({"validateOnly": true}),
            refused("NOT_FOUND", "JOB_REVISION_NOT_FOUND", &[]),
        ),
        (
            "POST",
            "/jobs/old/revisions/1/restore",
            json!({"validateOnly": true, "etag": "stale"}),
            refused("ABORTED", "ETAG_MISMATCH", &[]),
        ),
    ];
    let before = dump(&node);
    for (verb, path, body, expected) in cases {
        assert_eq!(rest(verb, path, &body).await.outcome(), expected, "{verb} {path}");
    }
    assert_eq!(dump(&node), before);
    node.end().await;
}
