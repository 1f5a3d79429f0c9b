//! Promise 8: bad input changes nothing, and gets a clear error that names the field as the caller spelled it.

use axum::body::Bytes;
use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::calls::{API, Outcome, method, read};
use crate::ledger::dump;
use crate::node::Node;

/// A wrong request and what becomes of it.
struct Case {
    verb: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
    http: u16,
    code: &'static str,
    reason: &'static str,
    fields: &'static [&'static str],
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// With wrong fields, which is what most are.
fn wrong(verb: &'static str, path: &'static str, body: impl Into<Bytes>, fields: &'static [&'static str]) -> Case {
    let (http, code, reason) = (400, "INVALID_ARGUMENT", "INVALID_FIELDS");
    Case { verb, path, headers: vec![JSON], body: body.into(), http, code, reason, fields }
}

fn refused(
    verb: &'static str,
    path: &'static str,
    body: impl Into<Bytes>,
    (http, code, reason): (u16, &'static str, &'static str),
) -> Case {
    Case { http, code, reason, ..wrong(verb, path, body, &[]) }
}

fn with_header(case: Case, name: &'static str, value: &'static str) -> Case {
    let headers = case.headers.into_iter().filter(|(known, _)| *known != name).chain([(name, value)]).collect();
    Case { headers, ..case }
}

/// A job that is right but for these fields.
fn job(over: Json) -> String {
    let mut job = json!({"jobId": "new", "task": {"type": "noop"}});
    job.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    job.to_string()
}

fn jobs(over: Json, fields: &'static [&'static str]) -> Case {
    wrong("POST", "/jobs", job(over), fields)
}

const MALFORMED: (u16, &str, &str) = (400, "INVALID_ARGUMENT", "MALFORMED_REQUEST");
const TOO_LARGE: (u16, &str, &str) = (413, "RESOURCE_EXHAUSTED", "TOO_LARGE");
const STALE: (u16, &str, &str) = (409, "ABORTED", "ETAG_MISMATCH");

fn values() -> Vec<Case> {
    vec![
        jobs(json!({"maxInstances": 0, "priority": 1001, "maxQueued": -1}), &["priority", "maxInstances", "maxQueued"]),
        jobs(
            json!({"retry": {"maxAttempts": 101, "backoffMultiplier": 0.5}}),
            &["retry.backoffMultiplier", "retry.maxAttempts"],
        ),
        jobs(json!({"retention": {"maxRuns": 0, "maxAge": "0s"}}), &["retention.maxRuns", "retention.maxAge"]),
        jobs(json!({"schedule": {"cron": ["0 2 * * *"], "timeZone": "Europe/Atlantis"}}), &["schedule.timeZone"]),
        jobs(json!({"schedule": {"cron": ["0 2 * * *", "61 * * * *"]}}), &["schedule.cron[1]"]),
        jobs(json!({"schedule": {"every": ["1s", "0.01s"]}}), &["schedule.every[1]"]),
        jobs(json!({"schedule": {"at": ["2001-01-01T00:00:00Z"]}}), &["schedule.at[0]"]),
        jobs(json!({"schedule": {"at": ["tomorrow"]}}), &["schedule.at[0]"]),
        jobs(
            json!({"schedule": {"excludeCalendars": ["nowhere"], "cron": ["@daily"]}}),
            &["schedule.excludeCalendars[0]"],
        ),
        jobs(json!({"timeout": "-1s"}), &["timeout"]),
        jobs(json!({"misfireGraceTime": "-0.5s"}), &["misfireGraceTime"]),
        jobs(json!({"timeout": "5m"}), &["timeout"]),
        jobs(json!({"overlapPolicy": "SOMETIMES"}), &["overlapPolicy"]),
        jobs(json!({"overlapPolicy": 99}), &["overlapPolicy"]),
        jobs(json!({"schedule": {"dst": {"gap": "JUMP"}}}), &["schedule.dst.gap"]),
        jobs(json!({"maxInstances": 2147483648_u64}), &["maxInstances"]),
        jobs(json!({"maxInstances": 1.5}), &["maxInstances"]),
        jobs(
            json!({"task": {"type": "noop", "payload": {"result": [1, 9007199254740993_u64]}}}),
            &["task.payload.result[1]"],
        ),
        jobs(
            json!({"task": {"type": "custom", "payload": {"a": {"b": -9007199254740993_i64}}}}),
            &["task.payload.a.b"],
        ),
        jobs(json!({"task": {"type": "process", "payload": {"command": "ls"}}}), &["task.payload.command"]),
        jobs(json!({"task": {"type": "process", "payload": {}}}), &["task.payload.command"]),
        jobs(json!({"task": {}}), &["task.type"]),
        jobs(json!({"labels": {"a=b": "c"}}), &["labels.a=b"]),
        jobs(json!({"jobId": "Not An Id"}), &["jobId"]),
        jobs(json!({"namespace": "-"}), &["namespace"]),
        wrong("POST", "/jobs", "{}", &["jobId", "task"]),
        wrong(
            "POST",
            "/calendars",
            r#"{"calendarId": "c", "ranges": [{"startDate": "2026-02-30", "endDate": "x"}]}"#,
            &["ranges[0].startDate", "ranges[0].endDate"],
        ),
        wrong("POST", "/calendars", r#"{"calendarId": "c", "timeZone": "Mars/Base"}"#, &["timeZone"]),
        wrong("POST", "/runs/purge", r#"{"states": ["PENDING"]}"#, &["states[0]", "endedBefore"]),
        wrong(
            "POST",
            "/jobs/old/backfill",
            r#"{"startTime": "2026-01-02T00:00:00Z", "maxRuns": 0}"#,
            &["endTime", "maxRuns"],
        ),
        wrong("POST", "/jobs/old/explain", "{}", &["time"]),
        wrong("POST", "/jobs/old/revisions/0/restore", "{}", &["revision"]),
        wrong(
            "POST",
            "/preview",
            r#"{"schedule": {"timeZone": "Nowhere", "cron": ["@daily"]}, "count": 0}"#,
            &["count"],
        ),
        wrong("POST", "/jobs/old/trigger", r#"{"requestId": "0123456789012345678901234567890123456"}"#, &["requestId"]),
        wrong("POST", "/jobs/old/trigger", "{\"requestId\": \"\u{fc}\"}", &["requestId"]),
        wrong("POST", "/jobs/old/action", r#"{"action": "explode"}"#, &["action"]),
    ]
}

fn shapes() -> Vec<Case> {
    let deep = format!("{{\"jobId\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!("{}1{}", r#"{"a":"#.repeat(31), "}".repeat(31));
    let nested = format!(r#"{{"jobId": "new", "task": {{"type": "custom", "payload": {nested}}}}}"#);
    vec![
        jobs(json!({"labels": []}), &["labels"]),
        jobs(json!({"labels": {"a": 1}}), &["labels.a"]),
        jobs(
            json!({"coalesce": "yes", "maxInstances": "many", "timeout": 5, "schedule": []}),
            &["coalesce", "maxInstances", "timeout", "schedule"],
        ),
        jobs(json!({"schedule": {"cron": "0 2 * * *"}}), &["schedule.cron"]),
        jobs(json!({"schedule": {"crons": []}, "colour": "red"}), &["schedule.crons", "colour"]),
        wrong("POST", "/jobs", r#"{"jobId": "new", "jobId": "new", "task": {"type": "noop"}}"#, &["jobId"]),
        wrong("POST", "/jobs", r#"{"jobId": "new", "job_id": "new", "task": {"type": "noop"}}"#, &["job_id"]),
        wrong(
            "POST",
            "/jobs",
            r#"{"jobId": "new", "task": {"type": "noop", "payload": {"result": {"a": 1, "a": 1}}}}"#,
            &["task.payload.result.a"],
        ),
        wrong("POST", "/jobs", "[]", &[""]),
        wrong("POST", "/jobs", nested, &["task.payload.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"]),
        refused("POST", "/jobs", deep, MALFORMED),
        refused("POST", "/jobs", "{\"jobId\": ", MALFORMED),
        refused("POST", "/jobs", "{} {}", MALFORMED),
        refused("POST", "/jobs", &b"{\"jobId\": \"\xff\"}"[..], MALFORMED),
        refused("GET", "/jobs", "{}", MALFORMED),
        refused("POST", "/jobs", "x".repeat(10 << 20), TOO_LARGE),
        Case {
            fields: &["task.payload"],
            ..refused(
                "POST",
                "/jobs",
                job(json!({"task": {"type": "custom", "payload": {"a": "x".repeat(300 << 10)}}})),
                TOO_LARGE,
            )
        },
        with_header(
            refused("POST", "/jobs", job(json!({})), (415, "INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED")),
            "content-type",
            "text/plain",
        ),
        with_header(
            refused("POST", "/jobs", job(json!({})), (403, "PERMISSION_DENIED", "ORIGIN_NOT_ALLOWED")),
            "origin",
            "http://example.org",
        ),
        refused("POST", "/jobs/old/explode", "{}", (404, "NOT_FOUND", "PATH_NOT_FOUND")),
        refused("POST", "/jobs/old", "{}", (405, "UNIMPLEMENTED", "NOT_IMPLEMENTED")),
    ]
}

fn parameters() -> Vec<Case> {
    let token = |path| Case { reason: "PAGE_TOKEN_INVALID", ..wrong("GET", path, "", &["pageToken"]) };
    vec![
        token("/jobs?pageToken=nonsense"),
        token("/runs?pageToken=AAAA"),
        wrong("GET", "/jobs?pageSize=-1", "", &["pageSize"]),
        wrong("GET", "/jobs?pageSize=x", "", &["pageSize"]),
        wrong("GET", "/jobs?pageSize=1&pageSize=2", "", &["pageSize"]),
        wrong("GET", "/jobs?states=NOPE", "", &["states"]),
        wrong("GET", "/jobs?labels=nothing", "", &["labels"]),
        wrong("GET", "/jobs?colour=red", "", &["colour"]),
        wrong("GET", "/jobs?orderBy=colour", "", &["orderBy"]),
        wrong("GET", "/jobs?namespace=No%20Id", "", &["namespace"]),
        wrong("GET", "/runs?scheduledAfter=yesterday", "", &["scheduledAfter"]),
        wrong("GET", "/runs/not-a-uuid", "", &["runId"]),
        wrong("GET", "/runs/stats?bucket=-5s", "", &["bucket"]),
        wrong("POST", "/jobs?validateOnly=perhaps", job(json!({})), &["validateOnly"]),
        wrong("PATCH", "/jobs/old?updateMask=colour", "{}", &["updateMask"]),
        wrong("PUT", "/jobs/old", job(json!({})), &["jobId"]),
        wrong("PATCH", "/jobs/old?namespace=a", r#"{"namespace": "b"}"#, &["namespace"]),
        refused("PATCH", "/jobs/old", r#"{"etag": "stale", "priority": 1}"#, STALE),
        with_header(refused("PUT", "/jobs/old", r#"{"task": {"type": "noop"}}"#, STALE), "if-match", "\"stale\""),
        with_header(refused("DELETE", "/jobs/old", "", STALE), "if-match", "\"stale\""),
        refused("PATCH", "/jobs/none", r#"{"priority": 1}"#, (404, "NOT_FOUND", "JOB_NOT_FOUND")),
        refused(
            "POST",
            "/jobs",
            r#"{"jobId": "old", "task": {"type": "noop"}}"#,
            (409, "ALREADY_EXISTS", "JOB_ALREADY_EXISTS"),
        ),
        refused("DELETE", "/calendars/none", "", (404, "NOT_FOUND", "CALENDAR_NOT_FOUND")),
    ]
}

async fn with_a_job() -> Node {
    let node = Node::start().await;
    let old = json!({"jobId": "old", "task": {"type": "noop"}, "schedule": {"cron": ["0 2 1 1 *"]}});
    node.rest("POST", &format!("{API}/jobs"), Some(&old)).await.ok();
    node
}

#[tokio::test]
async fn bad_input_over_rest_names_the_field_and_changes_nothing() {
    let node = with_a_job().await;
    let before = dump(&node);
    for case in values().into_iter().chain(shapes()).chain(parameters()) {
        let path = format!("{API}{}", case.path);
        let answer = node.rest_bytes(case.verb, &path, &case.headers, case.body.clone()).await;
        let said = String::from_utf8_lossy(&case.body[..case.body.len().min(200)]).into_owned();
        let asked = format!("{} {path} {said}: {}", case.verb, answer.json);
        assert_eq!(answer.status.as_u16(), case.http, "{asked}");
        let fields = case.fields.iter().map(|field| (*field).to_owned()).collect();
        let expected = Outcome { code: case.code.to_owned(), reason: case.reason.to_owned(), fields };
        assert_eq!(answer.outcome(), expected, "{asked}");
    }
    assert_eq!(dump(&node), before);
    node.end().await;
}

/// A method, a request in JSON, the code and the reason, and the fields as gRPC spells them.
type Call = (&'static str, Json, &'static str, &'static str, &'static [&'static str]);

fn calls() -> Vec<Call> {
    let job = |over: Json| {
        let mut job = json!({"jobId": "new", "task": {"type": "noop"}});
        job.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        json!({"job": job})
    };
    let fields = |name: &'static str, request: Json, fields: &'static [&'static str]| {
        (name, request, "INVALID_ARGUMENT", "INVALID_FIELDS", fields)
    };
    let create = |over: Json, named: &'static [&'static str]| fields("CreateJob", job(over), named);
    vec![
        fields("CreateJob", json!({}), &["job"]),
        fields("CreateJob", json!({"job": {}}), &["job.job_id", "job.task"]),
        create(json!({"maxInstances": 0, "priority": -1001}), &["job.priority", "job.max_instances"]),
        create(json!({"timeout": "-1s"}), &["job.timeout"]),
        create(json!({"retry": {"maxAttempts": 101}}), &["job.retry.max_attempts"]),
        create(json!({"schedule": {"timeZone": "Europe/Atlantis", "cron": ["@daily"]}}), &["job.schedule.time_zone"]),
        create(json!({"schedule": {"dst": {"gap": 77}}}), &["job.schedule.dst.gap"]),
        create(json!({"overlapPolicy": 99}), &["job.overlap_policy"]),
        create(json!({"task": {"type": "custom", "payload": {"a": [1e300]}}}), &["job.task.payload.a[0]"]),
        create(json!({"task": {"type": "process", "payload": {"command": [1]}}}), &["job.task.payload.command[0]"]),
        fields("ListJobs", json!({"pageSize": -1}), &["page_size"]),
        fields("ListJobs", json!({"states": [99]}), &["states[0]"]),
        ("ListRuns", json!({"pageToken": "nonsense"}), "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", &["page_token"]),
        fields("GetRun", json!({"runId": "no"}), &["run_id"]),
        fields("UpdateJob", json!({"job": {"jobId": "old"}, "updateMask": "colour"}), &["update_mask"]),
        fields(
            "TriggerJob",
            json!({"jobId": "old", "notBefore": "2026-01-01T00:00:00Z", "requestId": "é"}),
            &["request_id"],
        ),
        (
            "UpdateJob",
            json!({"job": {"jobId": "old", "etag": "stale", "priority": 1}}),
            "ABORTED",
            "ETAG_MISMATCH",
            &[],
        ),
        ("DeleteJob", json!({"jobId": "old", "etag": "stale"}), "ABORTED", "ETAG_MISMATCH", &[]),
        ("GetJob", json!({"jobId": "none"}), "NOT_FOUND", "JOB_NOT_FOUND", &[]),
        (
            "CreateJob",
            job(json!({"task": {"type": "custom", "payload": {"a": "x".repeat(300 << 10)}}})),
            "RESOURCE_EXHAUSTED",
            "TOO_LARGE",
            &["job.task.payload"],
        ),
    ]
}

#[tokio::test]
async fn bad_input_over_grpc_names_the_field_and_changes_nothing() {
    let node = with_a_job().await;
    let before = dump(&node);
    for (name, request, code, reason, fields) in calls() {
        let method = method(name);
        let message = read(method.input(), &request);
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let expected = Outcome { code: code.to_owned(), reason: reason.to_owned(), fields };
        assert_eq!(Outcome::of(&node.grpc(&method, &message).await), expected, "{name}");
        let web = node.grpc_web(&method, &message).await;
        assert_eq!(Outcome::of(&web), expected, "{name} over gRPC-Web");
    }
    assert_eq!(dump(&node), before);
    node.end().await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_as_the_callers_fault() {
    let node = with_a_job().await;
    let before = dump(&node);
    let create = method("CreateJob");
    let mut deep = vec![];
    for _ in 0..200 {
        // A list in a list in a list: `google.protobuf.Value.list_value.values`.
        deep = [&[0x32][..], &length(deep.len() + 1 + length(deep.len()).len()), &[0x0a], &length(deep.len()), &deep]
            .concat();
    }
    let cases: [(&str, Vec<u8>, &str, &str); 4] = [
        ("CreateJob", b"\xff\xff\xff\xff".to_vec(), "INVALID_ARGUMENT", "MALFORMED_REQUEST"),
        // A job id that is not UTF-8.
        ("GetJob", b"\x12\x02\xff\xfe".to_vec(), "INVALID_ARGUMENT", "MALFORMED_REQUEST"),
        (
            "TriggerJob",
            [
                b"\x12\x03old\x1a".as_slice(),
                &length(deep.len() + 6),
                b"\x0a",
                &length(deep.len() + 4),
                b"\x0a\x00\x12",
                &length(deep.len()),
                &deep,
            ]
            .concat(),
            "INVALID_ARGUMENT",
            "MALFORMED_REQUEST",
        ),
        ("CreateJob", vec![0; 10 << 20], "RESOURCE_EXHAUSTED", "TOO_LARGE"),
    ];
    for (name, bytes, code, reason) in cases {
        for content_type in ["application/grpc", "application/grpc-web+proto"] {
            let outcome = Outcome::of(&node.framed(content_type, &method(name), &bytes).await);
            assert_eq!((outcome.code.as_str(), outcome.reason.as_str()), (code, reason), "{name} {content_type}");
        }
    }
    // A request that is right goes through the same door.
    let right = read(create.input(), &json!({"job": {"jobId": "new", "task": {"type": "noop"}}, "validateOnly": true}));
    node.framed("application/grpc", &create, &right.encode_to_vec()).await.unwrap();
    assert_eq!(dump(&node), before);
    node.end().await;
}

/// A length as protobuf writes it.
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
