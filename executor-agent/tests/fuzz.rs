//! The check of the fuzz target `server_messages`, on a stable compiler: a server's real words, hostile ones, and what
//! becomes of them when bytes are changed.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use proptest::prelude::*;
use prost::Message as _;
use prost_types::{Duration, Timestamp};
use punctual_proto::v1::server_message::Message;
use punctual_proto::v1::{
    Ack, Acks, Assign, Assignments, Cancel, Drain, HeartbeatConfirmed, LogAck, Redirect, Revoke, ServerMessage,
    Welcome, welcome,
};

#[path = "../../fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../fuzz/src/server_messages.rs"]
mod server_messages;

fn run(number: u128) -> String {
    uuid::Uuid::from_u128(number).to_string()
}

/// Some time, then a message.
fn step(time: u8, message: Message) -> Vec<u8> {
    let mut bytes = vec![time];
    bytes.extend(ServerMessage { message: Some(message) }.encode_length_delimited_to_vec());
    bytes
}

fn welcome(epoch: Option<i64>, ttl_seconds: i64) -> Message {
    let whole = |seconds| Some(Duration { seconds, nanos: 0 });
    let server_time = Some(Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let limits = Some(welcome::Limits { report_credits: 2, log_credits: 1, ..welcome::Limits::default() });
    Message::Welcome(Welcome {
        epoch,
        agent_ttl: whole(ttl_seconds),
        heartbeat_interval: whole(ttl_seconds / 10),
        limits,
        server_time,
        ..Welcome::default()
    })
}

fn assign(number: u128, timeout: i64, start_at: i64) -> Message {
    let assign = Assign {
        epoch: 5,
        instance: server_messages::INSTANCE.to_string(),
        run_id: run(number),
        attempt: 1,
        fencing_token: 9,
        task_type: "noop".to_owned(),
        timeout: Some(Duration { seconds: timeout, nanos: 0 }),
        kill_grace: Some(Duration { seconds: timeout / 2, nanos: 0 }),
        start_at: Some(Timestamp { seconds: start_at, nanos: 0 }),
        ..Assign::default()
    };
    Message::Assignments(Assignments { assignments: vec![assign.clone(), assign] })
}

fn acks(number: u128, credits: i32) -> Message {
    let ack = |sequence| Ack { run_id: run(number), attempt: 1, sequence, refused: false };
    let log = LogAck { run_id: run(number), attempt: 1, sequence: 1 };
    let reports = vec![ack(1), ack(2), ack(i64::MAX)];
    Message::Acks(Acks { reports, logs: vec![log], report_credits: credits, log_credits: credits })
}

fn confirmed(server_seconds: i64) -> Message {
    let time = Some(Timestamp { seconds: server_seconds, nanos: -1 });
    Message::HeartbeatConfirmed(HeartbeatConfirmed { n: 1, received_time: time, sent_time: time })
}

/// What servers say, and what they had better not.
fn seeds() -> Vec<Vec<u8>> {
    let usual = [
        step(0, welcome(Some(5), 10)),
        step(1, confirmed(1_700_000_000)),
        step(0, assign(1, 3_600, 0)),
        step(5, assign(2, 1, 1_700_000_002)),
        step(0, Message::Cancel(Cancel { run_id: run(1), attempt: 1, reason: 1 })),
        step(60, acks(1, 1)),
        step(0, Message::Revoke(Revoke { run_id: run(2), attempt: 1 })),
        step(0, Message::Redirect(Redirect { leader_address: "b".to_owned(), node_id: String::new() })),
        step(0, welcome(Some(6), 10)),
        step(0, Message::Drain(Drain::default())),
    ];
    let hostile = [
        step(0, welcome(None, 0)),
        step(0, welcome(Some(5), i64::MAX)),
        step(1, confirmed(i64::MIN)),
        step(0, assign(1, i64::MAX, i64::MIN)),
        step(0, assign(2, i64::MIN, i64::MAX)),
        step(0, assign(3, 0, 0)),
        step(255, acks(1, i32::MIN)),
        step(0, acks(2, i32::MAX)),
        step(0, welcome(Some(i64::MIN), -1)),
        step(0, welcome(Some(i64::MAX), 1)),
        step(1, confirmed(i64::MAX)),
        step(0, assign(4, 1, 1)),
    ];
    vec![usual.concat(), hostile.concat(), usual.iter().chain(&hostile).flatten().copied().collect()]
}

#[test]
fn hostile_words_are_survived() {
    for seed in seeds() {
        server_messages::check(&seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_of_a_server_are_survived(data in prop::collection::vec(any::<u8>(), 0..200)) {
        server_messages::check(&data);
    }

    #[test]
    fn anything_like_a_servers_words_is_survived(data in mutate::mutated(seeds())) {
        server_messages::check(&data);
    }
}
