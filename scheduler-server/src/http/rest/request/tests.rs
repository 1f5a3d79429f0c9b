use axum::http::{HeaderValue, Method};
use punctual_proto::v1;

use super::super::json::parse;
use super::super::routes::{Found, Table};
use super::super::template::segments;
use super::*;

/// The request that a call makes, or its faults.
fn read<M: prost::Message + Default>(verb: Method, target: &str, body: &str) -> Result<M, Vec<String>> {
    with_etag(verb, target, body, None)
}

fn with_etag<M>(verb: Method, target: &str, body: &str, if_match: Option<&'static str>) -> Result<M, Vec<String>>
where
    M: prost::Message + Default,
{
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = segments(&format!("/api/v1/scheduler{path}")).unwrap();
    let table = Table::new();
    let Found::Route(route, values) = table.find(&verb, &path) else { panic!("no route for {target}") };
    let parameters = query.split('&').filter(|pair| !pair.is_empty());
    let parameters = parameters.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let parameters = parameters.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let mut headers = HeaderMap::new();
    if let Some(etag) = if_match {
        headers.insert("if-match", HeaderValue::from_static(etag));
    }
    let body = (!body.is_empty()).then(|| parse(body.as_bytes()).unwrap());
    let message = Parts { route, values, parameters, headers: &headers, body }.message();
    message.map(|message| message.transcode_to().unwrap()).map_err(|refused| faults(&refused))
}

fn faults(refused: &Status) -> Vec<String> {
    let json = errors::json(refused);
    let Some(violations) = json["error"]["details"][1]["fieldViolations"].as_array() else {
        return vec![refused.message().to_owned()];
    };
    let text = |violation: &serde_json::Value| {
        format!("{}: {}", violation["field"].as_str().unwrap(), violation["description"].as_str().unwrap())
    };
    violations.iter().map(text).collect()
}

fn mask(verb: Method, target: &str, body: &str) -> Result<Vec<String>, Vec<String>> {
    let update: v1::UpdateJobRequest = read(verb, target, body)?;
    Ok(update.update_mask.expect("every update over REST has a mask").paths)
}

#[test]
fn a_created_job_is_the_body_and_the_rest_is_in_the_url() {
    let target = "/jobs?requestId=r-1&validate_only=true&namespace=team";
    let request: v1::CreateJobRequest = read(Method::POST, target, r#"{"jobId": "a"}"#).unwrap();
    assert_eq!((request.request_id.as_str(), request.validate_only), ("r-1", true));
    let job = request.job.unwrap();
    assert_eq!((job.job_id.as_str(), job.namespace.as_str()), ("a", "team"));
}

#[test]
fn without_a_body_a_request_is_empty() {
    let request: v1::CreateJobRequest = read(Method::POST, "/jobs", "").unwrap();
    assert_eq!(request.job, Some(v1::Job::default()));
    let request: v1::PauseJobRequest = read(Method::POST, "/jobs/a/pause?namespace=team", "").unwrap();
    assert_eq!((request.job_id.as_str(), request.namespace.as_str()), ("a", "team"));
}

#[test]
fn parameters_are_read_by_the_kinds_of_their_fields() {
    let target = "/runs?namespace=-&job_id=a&states=FAILED&states=TIMED_OUT&labels=team=x&labels.a.b=c=d\
                  &scheduledAfter=2026-01-01T00:00:00Z&pageSize=7&pageToken=t";
    let request: v1::ListRunsRequest = read(Method::GET, target, "").unwrap();
    assert_eq!((request.namespace.as_str(), request.job_id.as_str()), ("-", "a"));
    assert_eq!(request.states, [v1::run::State::Failed as i32, v1::run::State::TimedOut as i32]);
    let labels: Vec<_> = request.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("a.b", "c=d"), ("team", "x")]);
    assert_eq!(request.scheduled_after.unwrap().seconds, 1_767_225_600);
    assert_eq!((request.page_size, request.page_token.as_str()), (7, "t"));
}

#[test]
fn wrong_parameters_are_named() {
    let integer = "must be an integer from -2147483648 to 2147483647";
    let cases = [
        ("/jobs?nope=1", "nope: there is no such parameter".to_owned()),
        ("/jobs?pageSize=many", format!("pageSize: {integer}, not \"many\"")),
        ("/jobs?pageSize=", format!("pageSize: {integer}, not \"\"")),
        ("/jobs?pageSize=1&page_size=2", "page_size: is given twice".to_owned()),
        ("/jobs?showDeleted", "showDeleted: must be true or false, not \"\"".to_owned()),
        ("/jobs?labels=team", "labels: must be key=value".to_owned()),
        ("/jobs?labels=a=1&labels.a=2", "labels.a: the key \"a\" is given twice".to_owned()),
        ("/jobs/a?jobId=b", "jobId: the URL says otherwise".to_owned()),
    ];
    for (target, expected) in cases {
        assert_eq!(read::<v1::GetJobRequest>(Method::GET, target, ""), Err(vec![expected]), "{target}");
    }
    let no_enum = read::<v1::ListJobsRequest>(Method::GET, "/jobs?states=GONE", "").unwrap_err();
    assert_eq!(no_enum, ["states: must be one of ACTIVE, PAUSED, DISABLED, COMPLETED, DELETED, not \"GONE\""]);
    let in_body = read::<v1::CreateJobRequest>(Method::POST, "/jobs?job.jobId=a", "").unwrap_err();
    assert_eq!(in_body, ["job.jobId: there is no such parameter"]);
    let payload = read::<v1::TriggerJobRequest>(Method::POST, "/jobs/a/trigger?payload=1", "").unwrap_err();
    assert_eq!(payload, ["payload: cannot be given in the URL"]);
    let revision = read::<v1::RestoreJobRevisionRequest>(Method::POST, "/jobs/a/revisions/x/restore", "").unwrap_err();
    assert_eq!(revision, [format!("revision: {integer}, not \"x\"")]);
}

#[test]
fn a_method_without_body_refuses_one() {
    let refused = read::<v1::GetJobRequest>(Method::GET, "/jobs/a", "{}").unwrap_err();
    assert_eq!(refused, ["this method takes no body"]);
}

#[test]
fn path_url_and_body_must_agree() {
    let same: v1::UpdateJobRequest =
        read(Method::PUT, "/jobs/a?namespace=n", r#"{"jobId": "a", "namespace": "n"}"#).unwrap();
    assert_eq!(same.job.unwrap().job_id, "a");
    let other =
        read::<v1::UpdateJobRequest>(Method::PUT, "/jobs/a?namespace=n", r#"{"job_id": "b", "namespace": "m"}"#);
    assert_eq!(other.unwrap_err(), ["jobId: the path says otherwise", "namespace: the URL says otherwise"]);
}

#[test]
fn a_patch_changes_the_keys_in_its_body() {
    let cases: [(&str, &[&str]); 9] = [
        ("{}", &[]),
        ("", &[]),
        (r#"{"displayName": "x", "coalesce": false}"#, &["display_name", "coalesce"]),
        (r#"{"schedule": {"timeZone": "UTC", "dst": {"gap": "SKIP"}}}"#, &["schedule.time_zone", "schedule.dst.gap"]),
        (r#"{"schedule": {"cron": [], "every": ["5s"]}}"#, &["schedule.cron", "schedule.every"]),
        (r#"{"labels": {"a": "b"}, "task": {"payload": {"a": {"b": 1}}}}"#, &["labels", "task.payload"]),
        (r#"{"timeout": null, "schedule": null}"#, &["timeout", "schedule"]),
        (r#"{"schedule": {}}"#, &[]),
        (r#"{"jobId": "a", "namespace": "n", "etag": "e", "priority": 1}"#, &["priority"]),
    ];
    for (body, expected) in cases {
        let expected = expected.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        assert_eq!(mask(Method::PATCH, "/jobs/a", body), Ok(expected), "{body}");
    }
}

#[test]
fn a_mask_in_the_url_is_taken_in_either_spelling() {
    let masked = |text: &str| mask(Method::PATCH, &format!("/jobs/a?updateMask={text}"), "{}");
    let expected = ["display_name", "schedule.time_zone", "labels.myTeam"].map(str::to_owned).to_vec();
    assert_eq!(masked("displayName,schedule.timeZone,labels.myTeam"), Ok(expected.clone()));
    assert_eq!(masked("display_name,schedule.time_zone,labels.myTeam"), Ok(expected));
    assert_eq!(masked("*"), Ok(vec!["*".to_owned()]));
    assert_eq!(masked("nope"), Err(vec!["updateMask: there is no field nope".to_owned()]));
}

#[test]
fn a_put_replaces_everything() {
    assert_eq!(mask(Method::PUT, "/jobs/a", r#"{"displayName": "x"}"#), Ok(vec!["*".to_owned()]));
    let refused = mask(Method::PUT, "/jobs/a?updateMask=displayName", "{}").unwrap_err();
    assert_eq!(refused, ["updateMask: PUT replaces the whole resource: leave it out, or use PATCH"]);
    let calendar: v1::UpdateCalendarRequest = read(Method::PUT, "/calendars/c", "{}").unwrap();
    assert_eq!(calendar.update_mask.unwrap().paths, ["*"]);
}

#[test]
fn if_match_is_the_etag_of_the_request() {
    let update = |body, if_match| with_etag::<v1::UpdateJobRequest>(Method::PATCH, "/jobs/a", body, if_match);
    let etag = |update: v1::UpdateJobRequest| update.job.unwrap().etag;
    assert_eq!(update("{}", Some("\"e1\"")).map(etag), Ok("e1".to_owned()));
    assert_eq!(update("{}", Some("W/\"e1\"")).map(etag), Ok("e1".to_owned()));
    assert_eq!(update(r#"{"etag": "e1"}"#, Some("e1")).map(etag), Ok("e1".to_owned()));
    assert_eq!(update("{}", Some("*")).map(etag), Ok(String::new()));
    let refused = update(r#"{"etag": "e2"}"#, Some("\"e1\"")).unwrap_err();
    assert_eq!(refused, ["etag: If-Match says otherwise"]);
    let delete: v1::DeleteJobRequest = with_etag(Method::DELETE, "/jobs/a", "", Some("\"e1\"")).unwrap();
    assert_eq!(delete.etag, "e1");
}
