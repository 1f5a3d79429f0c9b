//! Canonical proto3 JSON of an answer, zeros and empty lists included, from the descriptor set: what is added to
//! the protos is printed without a change here.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use punctual_proto::v1;
use serde_json::{Number, Value};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).expect("because the build compiled the descriptor set")
});

/// A generated message and its name in the descriptor set.
pub(crate) trait Described: Message {
    const NAME: &'static str;
}

macro_rules! described {
    ($($message:ty => $name:literal,)*) => {
        $(impl Described for $message { const NAME: &'static str = $name; })*

        #[cfg(test)]
        const NAMES: &[&str] = &[$($name),*];
    };
}

described! {
    v1::Token => "punctual.v1.Token",
    v1::ListTokensResponse => "punctual.v1.ListTokensResponse",
    v1::AuditEvent => "punctual.v1.AuditEvent",
    v1::ListAuditEventsResponse => "punctual.v1.ListAuditEventsResponse",
    v1::Agent => "punctual.v1.Agent",
    v1::ListAgentsResponse => "punctual.v1.ListAgentsResponse",
    v1::Calendar => "punctual.v1.Calendar",
    v1::ListCalendarsResponse => "punctual.v1.ListCalendarsResponse",
    v1::ListLocksResponse => "punctual.v1.ListLocksResponse",
    v1::ListTaskTypesResponse => "punctual.v1.ListTaskTypesResponse",
    v1::StepDownResponse => "punctual.v1.StepDownResponse",
    v1::TaskType => "punctual.v1.TaskType",
    v1::BackfillJobResponse => "punctual.v1.BackfillJobResponse",
    v1::ExplainFireResponse => "punctual.v1.ExplainFireResponse",
    prost_types::Struct => "google.protobuf.Struct",
    prost_types::Value => "google.protobuf.Value",
    v1::Job => "punctual.v1.Job",
    v1::ListJobsResponse => "punctual.v1.ListJobsResponse",
    v1::PreviewScheduleResponse => "punctual.v1.PreviewScheduleResponse",
    v1::Run => "punctual.v1.Run",
    v1::RunLogChunk => "punctual.v1.RunLogChunk",
    v1::ListRunsResponse => "punctual.v1.ListRunsResponse",
    v1::JobRevision => "punctual.v1.JobRevision",
    v1::ListJobRevisionsResponse => "punctual.v1.ListJobRevisionsResponse",
    v1::ListNamespacesResponse => "punctual.v1.ListNamespacesResponse",
    v1::ListUpcomingFiresResponse => "punctual.v1.ListUpcomingFiresResponse",
    v1::PurgeRunsResponse => "punctual.v1.PurgeRunsResponse",
    v1::GetStatusResponse => "punctual.v1.GetStatusResponse",
}

pub(crate) fn descriptor<M: Described>() -> MessageDescriptor {
    POOL.get_message_by_name(M::NAME).expect("because a test looks all names up")
}

pub(crate) fn of<M: Described>(message: &M) -> Value {
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).expect("because code and descriptor come from the same protos");
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut value = dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("because the server sends no number or time that JSON cannot hold");
    whole_numbers(&mut value);
    value
}

/// Doubles without a fraction are printed as integers: `5`, not `5.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0);
            if let (true, Some(double)) = (number.is_f64(), whole) {
                *number = Number::from(double as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(object) => object.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost_types::value::Kind;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_is_in_the_descriptor_set() {
        for name in NAMES {
            assert!(POOL.get_message_by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn zeros_are_printed_and_absent_fields_are_not() {
        let page = of(&v1::ListJobsResponse { jobs: vec![v1::Job::default()], next_page_token: String::new() });
        assert_eq!(page["nextPageToken"], "");
        let job = &page["jobs"][0];
        assert_eq!((&job["priority"], &job["labels"], &job["jobId"]), (&json!(0), &json!({}), &json!("")));
        assert_eq!(job["overlapPolicy"], "OVERLAP_POLICY_UNSPECIFIED");
        assert!(job.get("maxInstances").is_none() && job.get("timeout").is_none());
    }

    #[test]
    fn long_integers_are_strings_and_whole_doubles_integers() {
        let number = |number| prost_types::Value { kind: Some(Kind::NumberValue(number)) };
        let fields = BTreeMap::from([("half".to_owned(), number(0.5)), ("five".to_owned(), number(5.0))]);
        let result = prost_types::Value { kind: Some(Kind::StructValue(prost_types::Struct { fields })) };
        let run = of(&v1::Run { fencing_token: 1 << 60, result: Some(result), ..v1::Run::default() });
        assert_eq!(run["fencingToken"], "1152921504606846976");
        assert_eq!(run["result"].to_string(), r#"{"five":5,"half":0.5}"#);
    }
}
