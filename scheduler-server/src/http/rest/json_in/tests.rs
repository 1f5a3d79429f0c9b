use punctual_proto::v1;

use super::super::json::parse;
use super::super::routes::pool;
use super::*;

fn read<M: prost::Message + Default>(name: &str, text: &str) -> (M, Vec<String>) {
    let mut reader = Reader::default();
    let descriptor = pool().get_message_by_name(name).unwrap();
    let message = reader.message(&descriptor, &parse(text.as_bytes()).unwrap());
    let shown = |violation: FieldViolation| format!("{}: {}", violation.field, violation.description);
    (message.transcode_to().unwrap(), reader.violations().into_iter().map(shown).collect())
}

fn job(text: &str) -> (v1::Job, Vec<String>) {
    read("punctual.v1.Job", text)
}

fn faults(text: &str) -> Vec<String> {
    job(text).1
}

#[test]
fn a_whole_job_is_read() {
    let (job, faults) = job(r#"{
        "jobId": "nightly-report",
        "schedule": {"cron": ["0 2 * * *"], "every": ["90s"], "at": ["2099-01-01T00:00:00Z"],
                     "timeZone": "Europe/Paris", "dst": {"gap": "NEXT_VALID", "overlap": "FIRST"}},
        "task": {"type": "process", "payload": {"command": ["/usr/bin/env", "true"], "env": {"A": "b"}}},
        "labels": {"team.name": "x"},
        "maxInstances": 1, "misfireGraceTime": "60s", "coalesce": true, "overlapPolicy": "SKIP", "priority": 5,
        "retry": {"maxAttempts": 3, "initialBackoff": "1s", "backoffMultiplier": 2, "maxBackoff": "60s"},
        "timeout": "3600.5s", "enabled": null}"#);
    assert_eq!(faults, Vec::<String>::new());
    let schedule = job.schedule.clone().unwrap();
    assert_eq!(schedule.cron, ["0 2 * * *"]);
    assert_eq!(schedule.every[0].seconds, 90);
    assert_eq!(schedule.at[0].seconds, 4_070_908_800);
    assert_eq!(schedule.dst.unwrap().gap(), v1::schedule::dst::Gap::NextValid);
    assert_eq!(job.labels["team.name"], "x");
    assert_eq!((job.max_instances, job.coalesce, job.priority), (Some(1), Some(true), 5));
    assert_eq!(job.overlap_policy(), v1::job::OverlapPolicy::Skip);
    assert_eq!(job.retry.clone().unwrap().backoff_multiplier, Some(2.0));
    assert_eq!(job.timeout, Some(prost_types::Duration { seconds: 3600, nanos: 500_000_000 }));
    assert_eq!(job.enabled, None);
    let payload = job.task.unwrap().payload.unwrap();
    assert!(matches!(payload.fields["command"].kind, Some(Payload::ListValue(_))));
}

#[test]
fn faults_are_named_by_the_callers_path() {
    let cases = [
        (r#"{"nope": 1}"#, "nope: there is no such field"),
        (r#"{"schedule": {"nope": 1}}"#, "schedule.nope: there is no such field"),
        (r#"{"jobId": "a", "jobId": "a"}"#, "jobId: is given twice"),
        (r#"{"jobId": "a", "job_id": "a"}"#, "job_id: is given twice"),
        (r#"{"labels": {"a": "1", "a": "2"}}"#, "labels.a: is given twice"),
        (r#"{"labels": {"a": 1}}"#, "labels.a: must be a string, not 1"),
        (r#"{"labels": {"a": null}}"#, "labels.a: must be a string, not null"),
        (r#"{"labels": []}"#, "labels: must be an object, not a list"),
        (r#"{"jobId": 5}"#, "jobId: must be a string, not 5"),
        (r#"{"schedule": "daily"}"#, "schedule: must be an object, not a string"),
        (r#"{"schedule": {"cron": "* * * * *"}}"#, "schedule.cron: must be a list, not a string"),
        (r#"{"schedule": {"cron": ["* * * * *", 7]}}"#, "schedule.cron[1]: must be a string, not 7"),
        (r#"{"schedule": {"cron": [null]}}"#, "schedule.cron[0]: must be a string, not null"),
        (r#"{"schedule": {"every": ["5m"]}}"#, "schedule.every[0]: durations are in seconds: write \"300s\""),
        (r#"{"timeout": 90}"#, "timeout: durations are in seconds: write \"90s\""),
        (r#"{"timeout": "soon"}"#, "timeout: must be a duration in seconds, such as \"300s\""),
        (r#"{"schedule": {"at": ["tomorrow"]}}"#, "schedule.at[0]: must be a time such as \"2099-01-01T00:00:00Z\""),
        (r#"{"schedule": {"at": ["2099-01-01"]}}"#, "schedule.at[0]: must be a time such as \"2099-01-01T00:00:00Z\""),
        (r#"{"coalesce": "true"}"#, "coalesce: must be true or false, not \"true\""),
        (
            r#"{"overlapPolicy": "PILE_UP"}"#,
            "overlapPolicy: must be one of SKIP, QUEUE, CANCEL_RUNNING, not \"PILE_UP\"",
        ),
        (r#"{"overlapPolicy": 9}"#, "overlapPolicy: must be one of SKIP, QUEUE, CANCEL_RUNNING, not 9"),
        (r#"{"maxInstances": 1.5}"#, "maxInstances: must be an integer from -2147483648 to 2147483647, not 1.5"),
        (
            r#"{"maxInstances": 3000000000}"#,
            "maxInstances: must be an integer from -2147483648 to 2147483647, not 3000000000",
        ),
        (r#"{"retry": {"backoffMultiplier": "much"}}"#, "retry.backoffMultiplier: must be a number, not \"much\""),
        (r#"{"task": {"payload": [1]}}"#, "task.payload: must be an object, not a list"),
        (r#"{"task": {"payload": {"a": {"b": 1, "b": 2}}}}"#, "task.payload.a.b: is given twice"),
        ("[]", ": must be an object, not a list"),
    ];
    for (text, expected) in cases {
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn all_faults_are_told_at_once_up_to_a_limit() {
    let faults = faults(r#"{"a": 1, "schedule": {"cron": [1, "x", 2]}, "priority": "high"}"#);
    let fields: Vec<&str> = faults.iter().filter_map(|fault| fault.split(": ").next()).collect();
    assert_eq!(fields, ["a", "schedule.cron[0]", "schedule.cron[2]", "priority"]);
    let many = format!("{{\"schedule\": {{\"cron\": [{}1]}}}}", "1,".repeat(1_000));
    assert_eq!(self::faults(&many).len(), VIOLATIONS);
}

#[test]
fn integers_that_a_payload_cannot_hold_are_refused() {
    let fault = |path: &str| {
        format!("{path}: integers beyond ±9007199254740992 lose digits in a payload: write it as a string")
    };
    let payload = |text: &str| faults(&format!(r#"{{"task": {{"payload": {{"a": [{text}]}}}}}}"#));
    for exact in ["9007199254740992", "-9007199254740992", "0", "1.5", "1e3", "-0.1"] {
        assert_eq!(payload(exact), Vec::<String>::new(), "{exact}");
    }
    for inexact in ["9007199254740993", "-9007199254740993", "18446744073709551615", "123456789012345678901234567890"] {
        assert_eq!(payload(inexact), [fault("task.payload.a[0]")], "{inexact}");
    }
}

#[test]
fn numbers_are_taken_in_every_spelling_that_json_has_for_them() {
    for text in ["7", "\"7\"", "7.0", "70e-1", "\"7.0\""] {
        let (job, faults) = job(&format!(r#"{{"priority": {text}}}"#));
        assert_eq!((job.priority, faults), (7, Vec::new()), "{text}");
    }
    let (chunk, faults): (v1::RunLogChunk, _) =
        read("punctual.v1.RunLogChunk", r#"{"sequence": "9223372036854775807", "data": "aGk=", "stream": 2}"#);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(
        (chunk.sequence, &chunk.data[..], chunk.stream()),
        (i64::MAX, &b"hi"[..], v1::run_log_chunk::Stream::Stderr)
    );
    let (_, faults): (v1::RunLogChunk, _) =
        read("punctual.v1.RunLogChunk", r#"{"sequence": 9223372036854775808, "data": "?"}"#);
    assert_eq!(faults.len(), 2, "{faults:?}");
}
