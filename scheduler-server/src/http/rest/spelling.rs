//! Turns the field names of a service's refusal, which are those of gRPC (`job.schedule.time_zone`), into the path in
//! the REST body (`schedule.timeZone`).

use prost::Message;
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use tonic::Status;
use tonic_types::pb;

use super::routes::Route;

const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// The same refusal for callers of REST.
pub(super) fn for_rest(status: Status, route: &Route) -> Status {
    let Ok(mut details) = pb::Status::decode(status.details()) else { return status };
    let mut message = status.message().to_owned();
    for any in details.details.iter_mut().filter(|any| any.type_url == BAD_REQUEST) {
        let Ok(mut bad) = pb::BadRequest::decode(&any.value[..]) else { continue };
        for violation in &mut bad.field_violations {
            let spelled = field(route, &violation.field);
            if !violation.field.is_empty() {
                message = message.replace(&violation.field, &spelled);
            }
            violation.field = spelled;
        }
        any.value = bad.encode_to_vec();
    }
    details.message.clone_from(&message);
    let details = details.encode_to_vec().into();
    Status::with_details_and_metadata(status.code(), message, details, status.metadata().clone())
}

/// A field as the caller of this route writes it.
fn field(route: &Route, path: &str) -> String {
    let input = route.method.input();
    let Some(body) = route.body_field() else { return camel(&input, path) };
    let kind = body.kind();
    match (path.strip_prefix(body.name()).and_then(|rest| rest.strip_prefix('.')), kind.as_message()) {
        (Some(inner), Some(resource)) => camel(resource, inner),
        _ => camel(&input, path),
    }
}

/// Walks the path by the descriptors. Keys of maps and payloads are the caller's own and stay as they are.
fn camel(message: &MessageDescriptor, path: &str) -> String {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    let Some(field) = message.get_field_by_name(name) else { return path.to_owned() };
    let index = if rest.starts_with('[') { rest.find(']').map_or(rest.len(), |end| end + 1) } else { 0 };
    let (index, rest) = rest.split_at(index);
    let rest = match (rest.strip_prefix('.'), parts(&field)) {
        (Some(inner), Some(message)) => format!(".{}", camel(&message, inner)),
        _ => rest.to_owned(),
    };
    format!("{}{index}{rest}", field.json_name())
}

fn parts(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = field.kind();
    let message = kind.as_message().filter(|message| message.package_name() != "google.protobuf")?;
    (!field.is_map()).then(|| message.clone())
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::super::errors;
    use super::super::routes::{Found, Table};
    use super::super::template::segments;
    use super::*;

    fn spelled(verb: Method, path: &str, names: &str) -> String {
        let table = Table::new();
        let path = segments(&format!("/api/v1/scheduler{path}")).unwrap();
        let Found::Route(route, _) = table.find(&verb, &path) else { panic!("no route") };
        field(route, names)
    }

    #[test]
    fn fields_are_named_by_their_path_in_the_body() {
        let cases = [
            (Method::POST, "/jobs", "job.schedule.cron[0]", "schedule.cron[0]"),
            (Method::POST, "/jobs", "job.max_instances", "maxInstances"),
            (Method::POST, "/jobs", "job.schedule.dst.gap", "schedule.dst.gap"),
            (Method::POST, "/jobs", "job.retry.max_attempts", "retry.maxAttempts"),
            (Method::POST, "/jobs", "job.labels.my_team", "labels.my_team"),
            (Method::POST, "/jobs", "job.agent_selector[\"a_b.c_d\"]", "agentSelector[\"a_b.c_d\"]"),
            (Method::POST, "/jobs", "job.task.payload.working_dir", "task.payload.working_dir"),
            (Method::POST, "/jobs", "job.task.payload.command[0]", "task.payload.command[0]"),
            (Method::POST, "/jobs", "request_id", "requestId"),
            (Method::POST, "/jobs", "job", "job"),
            (Method::PUT, "/jobs/a", "job.job_id", "jobId"),
            (Method::GET, "/jobs", "page_size", "pageSize"),
            (Method::GET, "/runs", "labels.my_team", "labels.my_team"),
            (Method::POST, "/preview", "schedule.time_zone", "schedule.timeZone"),
            (Method::POST, "/calendars", "calendar.ranges[2].start_date", "ranges[2].startDate"),
            (Method::POST, "/jobs/a/trigger", "payload.some_key[1].in_ner", "payload.some_key[1].in_ner"),
            (Method::GET, "/jobs", "no_such_field", "no_such_field"),
            (Method::GET, "/jobs", "", ""),
        ];
        for (verb, path, names, expected) in cases {
            assert_eq!(spelled(verb, path, names), expected, "{names}");
        }
    }

    #[test]
    fn a_refusal_is_respelled_with_its_message_and_nothing_is_lost() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_FIELDS", "punctual", []);
        details.add_bad_request_violation("job.max_instances", "0 is below 1");
        let status = Status::with_error_details(Code::InvalidArgument, "job.max_instances: 0 is below 1", details);
        let table = Table::new();
        let path = segments("/api/v1/scheduler/jobs").unwrap();
        let Found::Route(route, _) = table.find(&Method::POST, &path) else { panic!("no route") };
        let shown = errors::json(&for_rest(status, route));
        assert_eq!(shown["error"]["message"], "maxInstances: 0 is below 1");
        assert_eq!(shown["error"]["details"][0]["reason"], "INVALID_FIELDS");
        assert_eq!(shown["error"]["details"][1]["fieldViolations"][0]["field"], "maxInstances");
    }
}
