//! Finds the namespace in a request that nobody has decoded yet.
//!
//! It must find what the service will find: a field that comes again counts as it came last, and a message that comes
//! again is merged with what came before, as protobuf's decoders do.

use bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// It is no message that a service could decode.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl From<prost::DecodeError> for Unreadable {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

/// The text at a path of field numbers; empty when the request does not have it.
pub(super) fn text_at(message: &[u8], path: &[u32]) -> Result<String, Unreadable> {
    let mut found: &[u8] = &[];
    walk(message, path, &mut found)?;
    str::from_utf8(found).map(str::to_owned).map_err(|_| Unreadable)
}

fn walk<'m>(mut message: &'m [u8], path: &[u32], found: &mut &'m [u8]) -> Result<(), Unreadable> {
    let Some((wanted, deeper)) = path.split_first() else { return Ok(()) };
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message)?;
        if number != *wanted || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, number, &mut message, DecodeContext::default())?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut message)?).map_err(|_| Unreadable)?;
        let (value, rest) = message.split_at_checked(length).ok_or(Unreadable)?;
        message = rest;
        match deeper {
            [] => *found = value,
            deeper => walk(value, deeper, found)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use punctual_proto::v1;

    use super::*;

    fn create(namespace: &str) -> Vec<u8> {
        let job =
            v1::Job { namespace: namespace.to_owned(), job_id: "a".to_owned(), priority: 3, ..Default::default() };
        let request = v1::CreateJobRequest { job: Some(job), request_id: "r".to_owned(), validate_only: true };
        request.encode_to_vec()
    }

    fn number(message: &str, path: &str) -> Vec<u32> {
        super::super::gate::numbers(message, path)
    }

    #[test]
    fn the_namespace_is_the_one_that_the_service_will_decode() {
        let path = number("punctual.v1.CreateJobRequest", "job.namespace");
        let requests = [
            create("team-a"),
            create(""),
            Vec::new(),
            [create("team-a"), create("team-b")].concat(),
            [create("team-a"), create("")].concat(),
            [create(""), create("team-b"), create("")].concat(),
            v1::CreateJobRequest { validate_only: true, ..Default::default() }.encode_to_vec(),
        ];
        for bytes in requests {
            let decoded = v1::CreateJobRequest::decode(&bytes[..]).unwrap();
            let expected = decoded.job.map(|job| job.namespace).unwrap_or_default();
            assert_eq!(text_at(&bytes, &path).unwrap(), expected);
        }
    }

    #[test]
    fn whatever_comes_in_is_read_as_the_decoder_reads_it_or_refused() {
        let path = number("punctual.v1.CreateJobRequest", "job.namespace");
        let whole = [create("team-a"), create("team-b")].concat();
        for at in 0..whole.len() {
            for change in [0x01, 0x08, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                if let Ok(decoded) = v1::CreateJobRequest::decode(&bytes[..]) {
                    let expected = decoded.job.map(|job| job.namespace).unwrap_or_default();
                    assert_eq!(text_at(&bytes, &path).ok(), Some(expected), "byte {at}");
                }
                if let Ok(decoded) = v1::CreateJobRequest::decode(&whole[..at]) {
                    let expected = decoded.job.map(|job| job.namespace).unwrap_or_default();
                    assert_eq!(text_at(&whole[..at], &path).ok(), Some(expected), "cut at {at}");
                }
            }
        }
    }
}
