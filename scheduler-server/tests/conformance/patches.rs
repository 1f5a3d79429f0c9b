//! A PATCH of each field changes that field and no other.

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde_json::{Value as Json, json};

use crate::calls::{API, message, method, read};
use crate::node::Node;
use crate::random::Random;

/// What says which job is meant, in which state, and what only the server says.
const NO_DEFINITION: [&str; 14] = [
    "namespace",
    "job_id",
    "etag",
    "uid",
    "state",
    "pause",
    "next_fire_time",
    "schedule_text",
    "last_run",
    "revision",
    "create_time",
    "update_time",
    "delete_time",
    "expire_time",
];

/// Two random jobs may not go together in one field; so many pairs are tried.
const PAIRS: usize = 200;

type Path = Vec<FieldDescriptor>;

/// Every field that can be changed by itself, down to what is replaced as a whole.
fn leaves(descriptor: &MessageDescriptor, above: &[FieldDescriptor], found: &mut Vec<Path>) {
    for field in descriptor.fields().filter(|field| !above.is_empty() || !NO_DEFINITION.contains(&field.name())) {
        let path: Path = above.iter().cloned().chain([field.clone()]).collect();
        let kind = field.kind();
        let inner = kind.as_message().filter(|inner| inner.package_name() == "punctual.v1");
        match inner.filter(|_| !field.is_list() && !field.is_map()) {
            Some(inner) => leaves(inner, &path, found),
            None => found.push(path),
        }
    }
}

fn pointer(path: &Path) -> String {
    path.iter().map(|field| format!("/{}", field.json_name())).collect()
}

/// A body with this field only.
fn alone(path: &Path, value: &Json) -> Json {
    path.iter().rev().fold(value.clone(), |inner, field| json!({field.json_name(): inner}))
}

fn definition(job: &Json) -> Json {
    let mut job = job.clone();
    let fields = job.as_object_mut().unwrap();
    for field in message("Job").fields().filter(|field| NO_DEFINITION.contains(&field.name())) {
        fields.shift_remove(field.json_name());
    }
    job
}

/// The definition with the value in the place.
fn with(definition: &Json, path: &Path, value: &Json) -> Json {
    let mut changed = definition.clone();
    let (leaf, above) = path.split_last().unwrap();
    let inner = above.iter().fold(&mut changed, |inner, field| &mut inner[field.json_name()]);
    inner[leaf.json_name()] = value.clone();
    changed
}

/// Both in full, as the server shows them; the donor is not created.
async fn pair(node: &Node, random: &mut Random, number: usize) -> (Json, Json) {
    let id = format!("job-{number}");
    let create = format!("{API}/jobs");
    let base = node.rest("POST", &create, Some(&random.job(&id))).await.ok();
    let donor = random.job(&format!("donor-{number}"));
    let donor = node.rest("POST", &format!("{create}?validateOnly=true"), Some(&donor)).await.ok();
    (base, donor)
}

#[tokio::test]
async fn a_patch_of_each_field_changes_that_field_only_over_rest_and_grpc() {
    let node = Node::start().await;
    node.rest("POST", &format!("{API}/calendars"), Some(&json!({"calendarId": "holidays"}))).await.ok();
    let mut random = Random::seeded();
    let mut left = Vec::new();
    leaves(&message("Job"), &[], &mut left);
    assert!(left.len() >= 35, "{} fields", left.len());
    for number in 0..PAIRS {
        let (mut base, donor) = pair(&node, &mut random, number).await;
        let mut waiting = Vec::new();
        for path in left {
            match patched(&node, &base, &donor, &path).await {
                Some(job) => base = job,
                None => waiting.push(path),
            }
        }
        left = waiting;
        if left.is_empty() {
            break;
        }
    }
    let left: Vec<String> = left.iter().map(pointer).collect();
    assert_eq!(left, Vec::<String>::new(), "no pair of jobs could show these");
    node.end().await;
}

/// The job afterwards; none if the two have the same value there, or cannot be mixed.
async fn patched(node: &Node, base: &Json, donor: &Json, path: &Path) -> Option<Json> {
    let value = donor.pointer(&pointer(path))?;
    if base.pointer(&pointer(path)) == Some(value) {
        return None;
    }
    let url = format!("{API}/jobs/{}", base["jobId"].as_str().unwrap());
    let answer = node.rest("PATCH", &url, Some(&alone(path, value))).await;
    if answer.status == 400 {
        let outcome = answer.outcome();
        assert_eq!(outcome.reason, "INVALID_FIELDS");
        return None;
    }
    let before = definition(base);
    let expected = with(&before, path, value);
    let job = answer.ok();
    assert_eq!(definition(&job), expected, "{}", pointer(path));
    assert_ne!(job["etag"], base["etag"], "{}", pointer(path));

    // Back again over gRPC: the whole job that was, and a mask that names the field.
    let mask = path.iter().map(FieldDescriptor::json_name).collect::<Vec<_>>().join(".");
    let update = method("UpdateJob");
    let mut given = with(&definition(donor), path, base.pointer(&pointer(path)).unwrap_or(&Json::Null));
    given["jobId"] = base["jobId"].clone();
    let request = read(update.input(), &json!({"job": given, "updateMask": mask}));
    node.grpc(&update, &request).await.unwrap();
    let back = node.rest("GET", &url, None).await.ok();
    assert_eq!(definition(&back), before, "{}", pointer(path));
    Some(back)
}
