//! Jobs as people write them down: YAML or JSON, one job or many, in the shape of the API's canonical JSON.
//!
//! Reading is strict, because what is dropped or rounded here the server never sees. Then the jobs are judged by
//! the rules that the server has too, so that a file with a fault is refused before any of it is created.

mod document;
mod strict;

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use job_spec::Rules;
use prost_reflect::{DeserializeOptions, DynamicMessage};
use prost_types::Struct;
use punctual_proto::v1::Job;
use scheduler_core::Violations;
use scheduler_core::time::Timestamp;
use serde_json::Value;

use crate::failure::Failure;
use crate::view::json::{Described, descriptor};

/// The jobs of a file; `-` is standard input.
pub(crate) fn read(path: &Path, now: Timestamp) -> Result<Vec<Job>, Failure> {
    let named = |reason: String| Failure::File { path: path.display().to_string(), reason };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| named(error.to_string()))?;
    let documents = document::parse(&text).map_err(named)?;
    let found = parse(documents).and_then(|found| judged(found, now));
    found.map_err(|violations| Failure::Input { what: path.display().to_string(), violations })
}

/// A job made of flags, if it is valid.
pub(crate) fn checked(job: Job, now: Timestamp) -> Result<Job, Failure> {
    let what = format!("job {}", job.job_id);
    match job_spec::definition(&job, &Rules::new(now)) {
        Ok(_) => Ok(job),
        Err(violations) => Err(Failure::Input { what, violations }),
    }
}

/// All of the jobs, if all are valid.
fn judged(found: Vec<(String, Job)>, now: Timestamp) -> Result<Vec<Job>, Violations> {
    let shape = descriptor::<Job>();
    let mut violations = Violations::default();
    for (prefix, job) in &found {
        if let Err(wrong) = job_spec::definition(job, &Rules::new(now)) {
            for violation in wrong.0 {
                violations
                    .add(strict::join(prefix, &strict::as_written(&violation.field, &shape)), violation.description);
            }
        }
    }
    violations.or(found.into_iter().map(|(_, job)| job).collect())
}

/// The payload of a flag.
pub(crate) fn payload(text: &str) -> Result<Struct, String> {
    let documents = document::parse(text)?;
    let [payload @ Value::Object(_)] = documents.as_slice() else {
        return Err("write a JSON object: {\"key\": \"value\"}".to_owned());
    };
    message("", payload).map_err(|violations| violations.to_string())
}

/// The jobs of all documents, each of which is a job, a list of jobs, or what `job list` prints; each with the
/// path at which it stands.
fn parse(documents: Vec<Value>) -> Result<Vec<(String, Job)>, Violations> {
    let mut found = Vec::new();
    let several = documents.len() > 1;
    for (at, document) in documents.into_iter().enumerate() {
        let prefix = if several { format!("document[{at}]") } else { String::new() };
        match document {
            Value::Array(jobs) => found.extend(numbered(&prefix, jobs)),
            Value::Object(mut object) if object.contains_key("jobs") => match object.remove("jobs") {
                Some(Value::Array(jobs)) => found.extend(numbered(&strict::join(&prefix, "jobs"), jobs)),
                _ => return Err(violation(strict::join(&prefix, "jobs"), "must be a list of jobs")),
            },
            job => found.push((prefix, job)),
        }
    }
    if found.is_empty() {
        return Err(violation("jobs", "there is no job in it"));
    }
    let mut jobs = Vec::new();
    let mut violations = Violations::default();
    for (prefix, job) in found {
        match message(&prefix, &job) {
            Ok(job) => jobs.push((prefix, job)),
            Err(wrong) => violations.0.extend(wrong.0),
        }
    }
    violations.or(jobs)
}

fn numbered(prefix: &str, jobs: Vec<Value>) -> impl Iterator<Item = (String, Value)> + use<> {
    let prefix = prefix.to_owned();
    jobs.into_iter().enumerate().map(move |(at, job)| (format!("{prefix}[{at}]"), job))
}

fn message<M: Described + Default>(prefix: &str, value: &Value) -> Result<M, Violations> {
    let shape = descriptor::<M>();
    let mut violations = Violations::default();
    strict::check(prefix, value, &shape, &mut violations);
    violations.or(())?;

    let mut track = serde_path_to_error::Track::new();
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = serde_path_to_error::Deserializer::new(value, &mut track);
    match DynamicMessage::deserialize_with_options(shape, read, &options) {
        Ok(message) => Ok(message.transcode_to().expect("it was made from the descriptor of the same message")),
        Err(error) => {
            let path = track.path().to_string();
            Err(violation(strict::join(prefix, path.trim_matches('.')), &error.to_string()))
        }
    }
}

fn violation(field: impl Into<String>, description: &str) -> Violations {
    let mut violations = Violations::default();
    let field = field.into();
    violations.add(if field.is_empty() { "job".to_owned() } else { field }, description);
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(text: &str) -> Result<Vec<Job>, String> {
        let found = parse(document::parse(text)?).map_err(|violations| violations.to_string())?;
        Ok(found.into_iter().map(|(_, job)| job).collect())
    }

    fn refusal(text: &str) -> String {
        jobs(text).unwrap_err()
    }

    #[test]
    fn yaml_and_json_make_the_same_job() {
        let yaml = "jobId: a\nschedule:\n  every: [90s]\ntask: {type: noop, payload: {n: 5}}\nmaxInstances: 2\n";
        let json =
            r#"{"jobId":"a","schedule":{"every":["90s"]},"task":{"type":"noop","payload":{"n":5}},"maxInstances":2}"#;
        let job = jobs(yaml).unwrap().remove(0);
        assert_eq!(job, jobs(json).unwrap().remove(0));
        assert_eq!(job.schedule.unwrap().every[0].seconds, 90);
        assert_eq!(job.max_instances, Some(2));
    }

    #[test]
    fn a_file_may_hold_many_jobs_in_each_way() {
        for many in
            ["jobId: a\n---\njobId: b\n", "- jobId: a\n- jobId: b\n", r#"{"jobs":[{"jobId":"a"},{"jobId":"b"}]}"#]
        {
            let ids: Vec<String> = jobs(many).unwrap().into_iter().map(|job| job.job_id).collect();
            assert_eq!(ids, ["a", "b"], "{many}");
        }
    }

    #[test]
    fn what_the_server_would_not_see_is_refused_with_its_path() {
        assert_eq!(refusal("schedule: {evry: [5s]}"), "schedule.evry: is not a field; did you mean `every`?");
        assert!(refusal("jobId: a\njobId: b\n").contains("duplicate"), "a repeated key");
        assert_eq!(refusal("jobId: a\njob_id: b\n"), "job_id: is the same field as `jobId`");
        assert_eq!(
            refusal("- jobId: a\n- task: {payload: {a: [1, 9007199254740993]}}\n"),
            "[1].task.payload.a[1]: 9007199254740993 is beyond 2^53, more than a JSON number carries; write a string"
        );
    }

    #[test]
    fn a_duration_in_words_is_told_its_seconds() {
        assert_eq!(refusal("timeout: 5m"), "timeout: write \"300s\": durations are in seconds");
        assert!(refusal("timeout: soon").starts_with("timeout: write "));
    }

    #[test]
    fn a_wrong_type_or_enum_value_has_its_path() {
        assert!(refusal("retry: {maxAttempts: many}").starts_with("retry.maxAttempts: "));
        assert!(refusal("overlapPolicy: SKIPP").starts_with("overlapPolicy: "));
        assert!(refusal("schedule: {at: [yesterday]}").starts_with("schedule.at[0]: "));
        assert!(refusal("just words").starts_with("job: "));
    }

    #[test]
    fn a_file_without_a_job_is_refused() {
        assert_eq!(refusal(""), "jobs: there is no job in it");
        assert_eq!(refusal("jobs: []"), "jobs: there is no job in it");
    }

    #[test]
    fn the_rules_of_the_server_hold_for_each_job_of_a_file() {
        let text = "- {jobId: a, task: {type: noop}}\n- {jobId: b, maxInstances: 0, retry: {maxAttempts: 0}, task: {type: noop}}\n";
        let found = parse(document::parse(text).unwrap()).unwrap();
        let wrong = judged(found, Timestamp::default()).unwrap_err();
        let fields: Vec<&str> = wrong.0.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["[1].maxInstances", "[1].retry.maxAttempts"]);
    }

    #[test]
    fn a_payload_is_an_object() {
        assert_eq!(payload(r#"{"a": 1}"#).unwrap().fields.len(), 1);
        assert!(payload("[1]").unwrap_err().contains("object"));
        assert!(payload(r#"{"a": 1"#).is_err());
    }
}
