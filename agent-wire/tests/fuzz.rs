//! The check of the fuzz target `agent_message`, on a stable compiler: real messages, hostile ones, and what becomes of
//! them when bytes are changed.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use proptest::prelude::*;
use prost::Message as _;
use punctual_proto::v1::agent_message::Message;
use punctual_proto::v1::report::{Event, Finished, Started};
use punctual_proto::v1::{
    AgentMessage, Draining, Heartbeat, Hello, Inventory, LogChunk, LogChunks, Progress, Rejected, Report, Reports,
    Revoked, TaskError, hello, inventory,
};

#[path = "../../fuzz/src/agent_message.rs"]
mod agent_message;
#[path = "../../fuzz/src/mutate.rs"]
mod mutate;

const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn report(sequence: i64, event: Event) -> Report {
    let time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 });
    Report { run_id: RUN.to_owned(), attempt: 1, sequence, time, event: Some(event), ..Report::default() }
}

fn finished(result: &str, message: &str) -> Event {
    let error = Some(TaskError { code: "EXIT_1".to_owned(), message: message.to_owned() });
    Event::Finished(Finished { outcome: 1, result: result.to_owned().into(), error, ..Finished::default() })
}

fn progress(percent: f64, message: &str) -> Event {
    Event::Progress(Progress { percent, message: message.to_owned() })
}

fn seeds() -> Vec<Vec<u8>> {
    let long = "é".repeat(20_000);
    let events = [
        Event::Started(Started {}),
        progress(50.0, "half"),
        finished(r#"{"rows":5}"#, ""),
        progress(f64::NAN, "\0"),
        progress(f64::NEG_INFINITY, &long),
        finished("{", &long),
        finished(r#"["\u0000"]"#, "a\0b"),
    ];
    let reports: Vec<_> = (1..).zip(events).map(|(sequence, event)| report(sequence, event)).collect();
    let held = inventory::HeldAttempt { run_id: RUN.to_owned(), attempt: 2, ..Default::default() };
    let rejected =
        |message: &str| Rejected { run_id: RUN.to_owned(), attempt: 1, reason: 3, message: message.to_owned() };
    let chunk = LogChunk { run_id: RUN.to_owned(), attempt: 1, data: vec![0, 255].into(), ..LogChunk::default() };
    let offered = hello::OfferedTaskType { name: "noop".to_owned(), payload_schema: None };
    let hello = Hello {
        protocol_version: 1,
        agent_id: "a\0".to_owned(),
        instance: RUN.to_owned(),
        queues: vec!["default".to_owned()],
        task_types: vec![offered],
        slots: 4,
        instances_proved_gone: vec![RUN.to_owned()],
        ..Hello::default()
    };
    let messages = [
        Message::Hello(hello),
        Message::Inventory(Inventory { held: vec![held], reports: reports.clone(), more: false }),
        Message::Heartbeat(Heartbeat { n: 7, sent_time: None }),
        Message::Reports(Reports { reports }),
        Message::LogChunks(LogChunks { chunks: vec![chunk] }),
        Message::Rejected(rejected("full")),
        Message::Rejected(rejected(&format!("\0{long}"))),
        Message::Revoked(Revoked { run_id: RUN.to_owned(), attempt: 1, not_started: true }),
        Message::Draining(Draining {}),
    ];
    messages.into_iter().map(|message| AgentMessage { message: Some(message) }.encode_to_vec()).collect()
}

#[test]
fn hostile_messages_are_answered() {
    for seed in seeds() {
        agent_message::check(&seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_of_an_agent_are_answered(data in prop::collection::vec(any::<u8>(), 0..200)) {
        agent_message::check(&data);
    }

    #[test]
    fn anything_like_an_agents_message_is_answered(data in mutate::mutated(seeds())) {
        agent_message::check(&data);
    }
}
