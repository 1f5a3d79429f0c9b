//! Fields that this version does not know: what a newer client or node asks for with them would not be done, and nobody would be
//! told (PROTOCOL.md, rule 1). Protobuf drops them silently; JSON's are refused in [`super::super::rest`].
//!
//! It is asked where the call is served. A node that passes a call on to a newer leader does not mind.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::MessageDescriptor;
use tonic::Status;
use tonic_types::FieldViolation;

use super::super::rest::{errors, routes};
use super::admission::{BODY_TIMEOUT, HEAD, LARGEST, message, whole};

/// More are not told.
const MOST: usize = 10;
/// Messages within each other, as many as can be read.
const DEPTH: u32 = 100;

pub(super) async fn refuse(request: Request, next: Next) -> Response {
    let Some(input) = input(request.uri().path()) else { return next.run(request).await };
    let (request, body) = match whole(request, LARGEST + HEAD, BODY_TIMEOUT).await {
        Ok(whole) => whole,
        Err(status) => return status.into_http(),
    };
    let unknown = message(&body).map(|message| unknown(message, &input, DEPTH)).unwrap_or_default();
    if unknown.is_empty() {
        return next.run(request).await;
    }
    let violations = unknown.into_iter().map(|field| {
        FieldViolation::new(
            field,
            "this server does not know the field of this number; it may be older than its client",
        )
    });
    Status::into_http(errors::invalid_fields(violations.collect()))
}

/// What a method of one request takes; `None`: it is none of ours, or goes on sending.
fn input(path: &str) -> Option<MessageDescriptor> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let service = routes::pool().get_service_by_name(service)?;
    let method = service.methods().find(|known| known.name() == method)?;
    (!method.is_client_streaming()).then(|| method.input())
}

/// The paths of fields that are only numbers to us: `job.schedule.2000`. What cannot be read is its service's to refuse.
fn unknown(mut message: &[u8], of: &MessageDescriptor, depth: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeMap::<u32, usize>::new();
    while let Ok((number, wire)) = decode_key(&mut message) {
        let field = of.get_field(number);
        let inner = field.as_ref().and_then(|field| Some((field, field.kind().as_message()?.clone())));
        match inner {
            Some((field, inner)) if wire == WireType::LengthDelimited && depth > 0 => {
                let Some(inside) = decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok())
                else {
                    break;
                };
                let Some((inside, rest)) = message.split_at_checked(inside) else { break };
                message = rest;
                let at = seen.entry(number).or_default();
                let deeper = unknown(inside, &inner, depth - 1);
                let name = field.name();
                found.extend(deeper.into_iter().map(|path| match field.is_list() || field.is_map() {
                    true => format!("{name}[{at}].{path}"),
                    false => format!("{name}.{path}"),
                }));
                *at += 1;
            }
            _ => {
                if field.is_none() {
                    found.push(number.to_string());
                }
                if skip_field(wire, number, &mut message, DecodeContext::default()).is_err() {
                    break;
                }
            }
        }
        if found.len() >= MOST {
            break;
        }
    }
    found.truncate(MOST);
    found
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use prost::Message;
    use prost::encoding::{WireType, encode_key, encode_varint};
    use punctual_proto::v1::{CreateJobRequest, Job, Schedule};

    use super::*;

    /// The bytes, and behind them a field of that number.
    fn with_field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut whole = BytesMut::from(bytes);
        encode_key(number, WireType::Varint, &mut whole);
        encode_varint(1, &mut whole);
        whole.to_vec()
    }

    /// A message within another.
    fn inside(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut whole = BytesMut::new();
        encode_key(number, WireType::LengthDelimited, &mut whole);
        encode_varint(bytes.len() as u64, &mut whole);
        whole.put_slice(bytes);
        whole.to_vec()
    }

    fn found(bytes: &[u8]) -> Vec<String> {
        let input = input("/punctual.v1.JobService/CreateJob").unwrap();
        unknown(bytes, &input, DEPTH)
    }

    #[test]
    fn a_field_without_a_name_is_found_wherever_it_is() {
        let schedule = Schedule { cron: vec!["@daily".to_owned()], ..Schedule::default() };
        let job = Job { job_id: "a".to_owned(), schedule: Some(schedule), ..Job::default() };
        let request = CreateJobRequest { job: Some(job), request_id: "r".to_owned(), ..CreateJobRequest::default() };
        let bytes = request.encode_to_vec();
        assert_eq!(found(&bytes), Vec::<String>::new());
        assert_eq!(found(&with_field(2_000, &bytes)), ["2000"]);

        let descriptor = request_descriptor();
        let job = descriptor.get_field_by_name("job").unwrap();
        let job_type = job.kind().as_message().unwrap().clone();
        let schedule = job_type.get_field_by_name("schedule").unwrap();
        let deep = inside(job.number(), &inside(schedule.number(), &with_field(2_001, &[])));
        assert_eq!(found(&deep), ["job.schedule.2001"]);
        let labels = job_type.get_field_by_name("labels").unwrap();
        let entries = [inside(labels.number(), &[]), inside(labels.number(), &with_field(2_002, &[]))].concat();
        assert_eq!(found(&inside(job.number(), &entries)), ["job.labels[1].2002"]);
        let many: Vec<u8> = (0..100).flat_map(|n| with_field(3_000 + n, &[])).collect();
        assert_eq!(found(&many).len(), MOST);
    }

    fn request_descriptor() -> MessageDescriptor {
        input("/punctual.v1.JobService/CreateJob").unwrap()
    }

    #[test]
    fn streams_and_what_is_not_ours_are_left_alone() {
        assert!(input("/punctual.v1.ExecutorService/Connect").is_none());
        assert!(input("/grpc.health.v1.Health/Check").is_none());
        assert!(input("/").is_none());
    }
}
