//! Against real servers on loopback.

mod calls;
mod ends;
mod reflection;
mod server;

use std::collections::BTreeSet;

use rustls::RootCertStore;
use serde_json::json;

use super::Grpc;
use super::payload::Payload;
use crate::handler::Secrets;
use crate::handler::trial::{cases, keys_of};

fn grpc() -> Grpc {
    Grpc::trusting(RootCertStore::empty(), Secrets::default())
}

#[test]
fn the_handler_and_the_server_agree_on_what_can_be_called() {
    let folder = tempfile::tempdir().expect("a folder");
    for (json, is_valid) in cases("grpc") {
        let secrets = Secrets { variables: BTreeSet::new(), folder: Some(folder.path().to_owned()) };
        let mut filling = secrets.filling();
        let read = Payload::parse(&json).and_then(|payload| {
            payload.request(&mut filling)?;
            payload.metadata(&mut filling)
        });
        let text = String::from_utf8_lossy(&json);
        match read {
            Ok(_) => assert!(is_valid, "{text}"),
            Err(failure) if failure.code == "SECRET_UNAVAILABLE" => assert!(is_valid, "{text}"),
            Err(failure) => {
                assert!(!is_valid, "{text}: {failure:?}");
                assert_eq!((failure.code.as_str(), failure.retryable), ("PAYLOAD_INVALID", false), "{text}");
            }
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let all = json!({"target": "a:1", "method": "a.B/C", "request": {}, "metadata": {}});
    assert_eq!(
        keys_of(punctual_proto::payloads::schema("grpc").expect("it is built in")),
        all.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
    );
    Payload::parse(all.to_string().as_bytes()).expect("all of them are read");
}
