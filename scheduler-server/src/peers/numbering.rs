//! A number for a write that came without one, so that it can be asked for again at the next leader.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use uuid::Uuid;

/// Whether it is compressed, and its length: what stands before every message of gRPC.
const FRAME: usize = 5;

/// The message with a `request_id`, if it can have one, and that. What cannot be read stays as it is: the leader says what
/// is wrong with it.
pub(super) fn numbered(framed: Bytes, input: &MessageDescriptor) -> (Bytes, Option<String>) {
    let Some(field) = input.get_field_by_name("request_id") else { return (framed, None) };
    let Some((&[0, a, b, c, d], message)) = framed.split_first_chunk::<FRAME>() else { return (framed, None) };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return (framed, None);
    }
    let Ok(read) = DynamicMessage::decode(input.clone(), message) else { return (framed, None) };
    if let Value::String(id) = read.get_field(&field).as_ref()
        && !id.is_empty()
    {
        return (framed, Some(id.clone()));
    }
    // In protobuf, a field that is written behind a message is a field of it.
    let id = Uuid::now_v7().to_string();
    let mut more = BytesMut::new();
    encode_key(field.number(), WireType::LengthDelimited, &mut more);
    encode_varint(id.len() as u64, &mut more);
    more.put_slice(id.as_bytes());
    let mut whole = BytesMut::with_capacity(framed.len() + more.len());
    whole.put_u8(0);
    whole.put_u32(u32::try_from(message.len() + more.len()).expect("because messages are limited to some MiB"));
    whole.put_slice(message);
    whole.put_slice(&more);
    (whole.freeze(), Some(id))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use punctual_proto::v1::{PauseJobRequest, TriggerJobRequest};

    use super::super::methods;
    use super::*;

    fn input(path: &str) -> MessageDescriptor {
        methods::of_leader(path).unwrap().descriptor.input()
    }

    fn framed(message: &impl Message) -> Bytes {
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(message.encoded_len() as u32);
        message.encode(&mut framed).unwrap();
        framed.freeze()
    }

    #[test]
    fn a_write_without_a_number_gets_one_and_is_otherwise_as_it_was() {
        let input = input("/punctual.v1.JobService/TriggerJob");
        let bare = TriggerJobRequest { namespace: "a".to_owned(), job_id: "b".to_owned(), ..Default::default() };
        let (given, id) = numbered(framed(&bare), &input);
        let length = u32::from_be_bytes(given[1..FRAME].try_into().unwrap()) as usize;
        assert_eq!(length, given.len() - FRAME);
        let read = TriggerJobRequest::decode(&given[FRAME..]).unwrap();
        assert_eq!((read.request_id.len(), id.as_ref()), (36, Some(&read.request_id)));
        assert_eq!(TriggerJobRequest { request_id: String::new(), ..read }, bare);
    }

    #[test]
    fn a_number_that_is_given_is_kept_and_what_has_none_or_cannot_be_read_stays_as_it_is() {
        let trigger = input("/punctual.v1.JobService/TriggerJob");
        let own = framed(&TriggerJobRequest { request_id: "mine".to_owned(), ..Default::default() });
        assert_eq!(numbered(own.clone(), &trigger), (own, Some("mine".to_owned())));
        let pause = framed(&PauseJobRequest { job_id: "b".to_owned(), ..Default::default() });
        assert_eq!(numbered(pause.clone(), &input("/punctual.v1.JobService/PauseJob")), (pause, None));
        for wrong in [&b""[..], b"\0\0\0", b"\0\0\0\0\x09ab", b"\x01\0\0\0\x02ab", b"\0\0\0\0\x02\xff\xff"] {
            let wrong = Bytes::from_static(wrong);
            assert_eq!(numbered(wrong.clone(), &trigger), (wrong, None));
        }
    }
}
