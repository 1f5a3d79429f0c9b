use futures::future::join_all;
use serde_json::{Value as Json, json};

use crate::calls::{API, method, read};
use crate::node::Node;
use crate::random::Random;

const JOBS: usize = 1_000;
/// At a time: the ledger's commits are shared.
const TOGETHER: usize = 50;

/// The fields that a job can be given, and that not all jobs have.
const SETTABLE: [&str; 21] = [
    "displayName",
    "description",
    "labels",
    "schedule",
    "queue",
    "agentSelector",
    "priority",
    "maxInstances",
    "misfireGraceTime",
    "coalesce",
    "overlapPolicy",
    "maxQueued",
    "retry",
    "timeout",
    "killGrace",
    "startDeadline",
    "onLost",
    "pauseAfterFailures",
    "deleteAfterCompletion",
    "retention",
    "enabled",
];

async fn create(node: &Node, job: &Json) -> Json {
    node.rest("POST", &format!("{API}/jobs"), Some(job)).await.ok()
}

#[tokio::test]
async fn what_a_get_answers_can_be_put_back_a_thousand_times_and_nothing_changes() {
    let node = Node::start().await;
    node.rest("POST", &format!("{API}/calendars"), Some(&json!({"calendarId": "holidays"}))).await.ok();
    let mut random = Random::seeded();
    let jobs: Vec<Json> = (0..JOBS).map(|number| random.job(&format!("job-{number}"))).collect();
    for field in SETTABLE {
        assert!(jobs.iter().any(|job| job.get(field).is_some()), "no job has a {field}");
    }
    for jobs in jobs.chunks(TOGETHER) {
        join_all(jobs.iter().map(|job| round(&node, job))).await;
        updated(&node, &jobs[0]).await;
    }
    node.end().await;
}

async fn round(node: &Node, job: &Json) {
    create(node, job).await;
    let path = format!("{API}/jobs/{}", job["jobId"].as_str().unwrap());
    let got = node.rest("GET", &path, None).await.ok();
    let put = node.rest("PUT", &path, Some(&got)).await.ok();
    assert_eq!(put["etag"], got["etag"], "{job}");
    for field in SETTABLE {
        assert_eq!(put[field], got[field], "{field} of {job}");
    }
}

/// A PATCH of everything, and the same over gRPC.
async fn updated(node: &Node, job: &Json) {
    let path = format!("{API}/jobs/{}", job["jobId"].as_str().unwrap());
    let got = node.rest("GET", &path, None).await.ok();
    let patched = node.rest("PATCH", &path, Some(&got)).await.ok();
    assert_eq!(patched["etag"], got["etag"], "{job}");

    let update = method("UpdateJob");
    let request = read(update.input(), &json!({"job": got, "updateMask": "*"}));
    let updated = node.grpc(&update, &request).await.unwrap();
    assert_eq!(updated.get_field_by_name("etag").unwrap().as_str(), got["etag"].as_str(), "{job}");
}
