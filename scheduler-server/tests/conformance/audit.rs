//! What the audit tells over the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scheduler_core::access::Role;
use scheduler_core::time::Now;
use scheduler_server::access::{Gate, Keeping, Rate, Refusals, SignIn, keep};
use scheduler_server::clock;
use serde_json::{Value as Json, json};

use crate::calls::API;
use crate::node::Node;

/// Its audit is kept for an hour, by a clock that is ahead by so many seconds.
#[expect(clippy::disallowed_methods, reason = "the task ends with the node's gate")]
async fn node(ahead: &Arc<AtomicU64>) -> Node {
    let ahead = Arc::clone(ahead);
    Node::with(|tokens, ledger| {
        let clocks: scheduler_server::access::Clocks = Arc::new(clock::now);
        let (refusals, refused) = Refusals::new(Arc::clone(&clocks));
        let keeping = Keeping { every: Duration::from_millis(20), ..Keeping::of(Duration::from_secs(3_600)) };
        let later: scheduler_server::access::Clocks = Arc::new(move || {
            let now = clock::now();
            Now { wall: now.wall.saturating_add(Duration::from_secs(ahead.load(Ordering::SeqCst))), ..now }
        });
        tokio::spawn(keep(ledger, later, keeping, refused));
        Gate::new(Some(SignIn::new(tokens, clocks, Rate::ANY)), refusals)
    })
    .await
}

async fn events(node: &Node, query: &str) -> Vec<Json> {
    let page = node.rest("GET", &format!("{API}/audit-events?{query}"), None).await.ok();
    page["events"].as_array().unwrap().clone()
}

fn methods(events: &[Json]) -> Vec<&str> {
    events.iter().map(|event| event["method"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn changes_are_told_with_who_what_before_and_after_and_no_value_of_a_payload() {
    let node = node(&Arc::default()).await;
    let (admin, scoped) = (node.token(Role::Admin, &[]).await, node.token(Role::Admin, &["team-a"]).await);
    node.sign_in(Some(&admin.text));
    let job = json!({"jobId": "j", "task": {"type": "custom", "payload": {"key": "hunter2", "n": [1]}}});
    node.rest("POST", &format!("{API}/jobs?requestId=r1"), Some(&job)).await.ok();
    let patch = json!({"priority": 7, "task": {"type": "custom", "payload": {"key": "hunter3", "n": [1]}}});
    node.rest("PATCH", &format!("{API}/jobs/j"), Some(&patch)).await.ok();
    node.rest("POST", &format!("{API}/jobs/j/trigger"), Some(&json!({}))).await.ok();
    let purge = json!({"endedBefore": "2020-01-01T00:00:00Z"});
    node.rest("POST", &format!("{API}/runs/purge"), Some(&purge)).await.ok();
    let elsewhere = json!({"namespace": "team-a", "calendarId": "days", "dates": ["2026-12-25"]});
    node.rest("POST", &format!("{API}/calendars"), Some(&elsewhere)).await.ok();

    let told = events(&node, "namespace=-").await;
    let expected = [
        "CalendarService/CreateCalendar",
        "RunService/PurgeRuns",
        "JobService/TriggerJob",
        "JobService/UpdateJob",
        "JobService/CreateJob",
    ];
    assert_eq!(methods(&told)[..5], expected);
    let (updated, created) = (&told[3], &told[4]);
    assert_eq!((&created["principal"], &created["requestId"]), (&json!("the ADMIN"), &json!("r1")));
    assert_eq!(created["tokenId"], json!(admin.token.id.to_string()));
    assert_eq!((&updated["resource"], &updated["namespace"]), (&json!("jobs/j"), &json!("default")));
    assert_eq!((&updated["before"]["priority"], &updated["after"]["priority"]), (&json!(0), &json!(7)));
    let payload = &updated["after"]["task"]["payload"];
    assert_eq!(*payload, json!({"key": "*** (changed)", "n": ["***"]}));
    assert!(!json!(told).to_string().contains("hunter"));
    assert_eq!(methods(&events(&node, "namespace=-&query=calendars/").await), ["CalendarService/CreateCalendar"]);
    assert_eq!(events(&node, "namespace=-&principal=nobody").await, [] as [Json; 0]);

    node.sign_in(Some(&scoped.text));
    assert_eq!(methods(&events(&node, "namespace=-").await), ["CalendarService/CreateCalendar"], "no other namespaces");
    node.end().await;
}

#[tokio::test]
async fn refused_attempts_are_told_once_with_why() {
    let node = node(&Arc::default()).await;
    let (admin, viewer) = (node.token(Role::Admin, &[]).await, node.token(Role::Viewer, &["default"]).await);
    node.sign_in(Some(&viewer.text));
    for _ in 0..20 {
        assert_eq!(node.rest("DELETE", &format!("{API}/jobs/j"), None).await.status, 403);
        assert_eq!(node.rest("GET", &format!("{API}/jobs/j?namespace=other"), None).await.status, 403);
    }
    node.sign_in(Some(&admin.text));
    let refused = loop {
        let told = events(&node, "namespace=-&principal=the%20VIEWER").await;
        if told.len() >= 2 {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(methods(&refused), ["JobService/GetJob", "JobService/DeleteJob"]);
    assert_eq!(refused[0]["namespace"], "other");
    assert!(refused[1]["refusal"].as_str().unwrap().contains("needs the role ADMIN"));
    node.end().await;
}

#[tokio::test]
async fn a_page_of_the_audit_ends_before_it_is_too_large_and_the_next_one_goes_on() {
    let node = node(&Arc::default()).await;
    let admin = node.token(Role::Admin, &[]).await;
    node.sign_in(Some(&admin.text));
    // Names of fields stay in the audit, values do not.
    let large = "x".repeat(60_000);
    for n in 0..12 {
        let job = json!({"jobId": format!("j{n}"), "task": {"type": "custom", "payload": {&large: 1}}});
        node.rest("POST", &format!("{API}/jobs"), Some(&job)).await.ok();
        node.rest("POST", &format!("{API}/jobs/j{n}/pause"), Some(&json!({}))).await.ok();
    }
    let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("{API}/audit-events?pageSize=1000&pageToken={token}");
        let page = node.rest("GET", &path, None).await.ok();
        assert!(page.to_string().len() < 2 << 20, "{} bytes", page.to_string().len());
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["eventId"].to_string()));
        pages += 1;
        token = page["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    let sorted = seen.windows(2).all(|two| two[0] > two[1]);
    assert!(pages > 1 && sorted && seen.len() >= 24, "{pages} pages of {} events", seen.len());
    node.end().await;
}

#[tokio::test]
async fn events_go_when_they_are_older_than_they_are_kept() {
    let ahead = Arc::new(AtomicU64::new(0));
    let node = node(&ahead).await;
    let admin = node.token(Role::Admin, &[]).await;
    node.sign_in(Some(&admin.text));
    let job = json!({"jobId": "j", "task": {"type": "noop"}});
    node.rest("POST", &format!("{API}/jobs"), Some(&job)).await.ok();
    assert_eq!(methods(&events(&node, "").await), ["JobService/CreateJob"]);
    ahead.store(2 * 3_600, Ordering::SeqCst);
    while !events(&node, "").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.end().await;
}
