//! Against real servers on loopback.

mod answers;
mod doors;
mod redirects;
mod requests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use super::payload::Payload;
use super::{Http, Request};
use crate::handler::Secrets;
use crate::handler::trial::{cases, keys_of, trial};

fn http() -> Http {
    Http::trusting(rustls::RootCertStore::empty(), Secrets::default())
}

/// With the variable `PATH`, which every test has, as a secret.
fn with_secret() -> (Http, String) {
    let secrets = Secrets { variables: BTreeSet::from(["PATH".to_owned()]), folder: None::<PathBuf> };
    let path = std::env::var("PATH").expect("a test has a PATH");
    (Http::trusting(rustls::RootCertStore::empty(), secrets), path)
}

#[test]
fn the_handler_and_the_server_agree_on_what_can_be_sent() {
    // What references stand for is another matter.
    let folder = tempfile::tempdir().expect("a folder");
    for (json, is_valid) in cases("http") {
        let secrets = Secrets { variables: BTreeSet::new(), folder: Some(folder.path().to_owned()) };
        let mut filling = secrets.filling();
        let task = trial(&json!({})).task;
        let sent = Payload::parse(&json).and_then(|payload| Request::of(&payload, &task, &mut filling));
        let text = String::from_utf8_lossy(&json);
        match sent {
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
    let keys = keys_of(punctual_proto::payloads::schema("http").expect("it is built in"));
    assert_eq!(keys, ["method", "url", "headers", "body", "success_statuses", "max_response_bytes"]);
    let all = json!({"method": "GET", "url": "http://a", "headers": {}, "body": 1, "success_statuses": [200], "max_response_bytes": 1});
    assert_eq!(all.as_object().expect("an object").keys().collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    Payload::parse(all.to_string().as_bytes()).expect("all of them are read");
}
