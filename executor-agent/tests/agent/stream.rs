//! What the stream promises.

use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::rejected::Reason;
use punctual_proto::v1::report::Event;
use punctual_proto::v1::report::finished::Outcome;
use punctual_proto::v1::server_message::Message as ToAgent;
use punctual_proto::v1::{Drain, Redirect};
use rustix::process::Signal;
use serde_json::json;

use crate::fake::Fake;
use crate::machine::{Agent, command};

#[tokio::test]
async fn an_assigned_no_op_is_executed_and_reported_once() {
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, &["--slots", "3", "--queue", "a,b", "--label", "zone=x"]);
    let (mut peer, hello) = fake.greeted().await;
    assert_eq!((hello.agent_id.as_str(), hello.slots, hello.highest_epoch_seen), ("tested", 3, 0));
    assert_eq!(hello.queues, ["a", "b"]);
    assert_eq!(hello.labels.get("zone").map(String::as_str), Some("x"));
    let types: Vec<_> = hello.task_types.iter().map(|offered| offered.name.as_str()).collect();
    assert_eq!(types, ["grpc", "http", "noop", "process"]);
    peer.welcome(Some(5)).await;
    let FromAgent::Inventory(inventory) = peer.next().await else { panic!("Inventory comes first") };
    assert!(inventory.held.is_empty() && inventory.reports.is_empty() && !inventory.more);
    drop(peer);

    let (mut peer, _) = fake.welcomed(5).await;
    let assign = peer.assign("noop", &json!({"result": {"answer": 42}}));
    peer.give(&assign).await;
    let report = peer.report().await;
    assert_eq!((report.run_id.as_str(), report.sequence, report.fencing_token), (assign.run_id.as_str(), 1, 7));
    let Some(Event::Finished(finished)) = report.event.clone() else { panic!("{report:?}") };
    assert_eq!(finished.outcome(), Outcome::Succeeded);
    assert_eq!(&finished.result[..], br#"{"answer":42}"#);
    assert!(finished.start_time.is_some(), "started travels with it");
    peer.ack(&report).await;
    peer.give(&assign).await;
    let FromAgent::Rejected(rejected) = peer.next().await else { panic!("a repeated Assign starts nothing") };
    assert_eq!(rejected.reason(), Reason::AlreadySeen);
}

#[tokio::test]
async fn a_report_that_was_not_acknowledged_comes_again_with_the_next_inventory() {
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    let assign = peer.assign("noop", &json!({}));
    peer.give(&assign).await;
    let report = peer.report().await;
    drop(peer);
    let (peer, inventory) = fake.welcomed(2).await;
    assert_eq!(inventory.reports, std::slice::from_ref(&report));
    peer.ack(&report).await;
    drop(peer);
    let (_, inventory) = fake.welcomed(3).await;
    assert!(inventory.reports.is_empty(), "acknowledged is forgotten");
}

#[tokio::test]
async fn what_the_agent_may_not_run_is_refused() {
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, &["--slots", "1"]);
    let (mut peer, _) = fake.welcomed(5).await;
    let long = peer.assign("noop", &json!({"duration": "30s"}));
    let stale = punctual_proto::v1::Assign { epoch: 4, ..peer.assign("noop", &json!({})) };
    let other = punctual_proto::v1::Assign {
        instance: "00000000-0000-0000-0000-000000000000".to_owned(),
        ..peer.assign("noop", &json!({}))
    };
    let unknown = peer.assign("nothing", &json!({}));
    let malformed = punctual_proto::v1::Assign { run_id: "x".to_owned(), ..peer.assign("noop", &json!({})) };
    let full = peer.assign("noop", &json!({}));
    peer.give(&long).await;
    let cases = [
        (stale, Reason::EpochStale),
        (other, Reason::OtherInstance),
        (unknown, Reason::UnknownTaskType),
        (malformed, Reason::Malformed),
        (full, Reason::NoFreeSlot),
    ];
    for (assign, reason) in cases {
        peer.give(&assign).await;
        let rejected = loop {
            match peer.next().await {
                FromAgent::Rejected(rejected) => break rejected,
                FromAgent::Reports(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((rejected.run_id.as_str(), rejected.reason()), (assign.run_id.as_str(), reason));
    }
}

#[tokio::test]
async fn a_server_of_a_lower_epoch_is_left() {
    let mut fake = Fake::start().await;
    let _agent = Agent::start(&fake, &[]);
    drop(fake.welcomed(7).await);
    let (mut peer, hello) = fake.greeted().await;
    assert_eq!(hello.highest_epoch_seen, 7);
    peer.welcome(Some(6)).await;
    let (_, hello) = fake.greeted().await;
    assert_eq!(hello.highest_epoch_seen, 7);
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let mut fake = Fake::start().await;
    let mut leader = Fake::start().await;
    let _agent = Agent::start(&fake, &[]);
    let (peer, _) = fake.greeted().await;
    peer.send(ToAgent::Redirect(Redirect { leader_address: leader.url.clone(), node_id: String::new() })).await;
    leader.welcomed(1).await;
}

#[tokio::test]
async fn a_drained_agent_finishes_waits_for_its_acknowledgement_and_leaves() {
    let mut fake = Fake::start().await;
    let mut agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    peer.give(&peer.assign("noop", &json!({"duration": "0.5s"}))).await;
    peer.started().await;
    peer.send(ToAgent::Drain(Drain {})).await;
    assert!(matches!(peer.next().await, FromAgent::Draining(_)));
    peer.give(&peer.assign("noop", &json!({}))).await;
    let FromAgent::Rejected(rejected) = peer.next().await else { panic!("no new work") };
    assert_eq!(rejected.reason(), Reason::Draining);
    assert_eq!(peer.finished().await.outcome(), Outcome::Succeeded);
    assert_eq!(agent.left().await, Some(0));
}

#[tokio::test]
async fn the_second_signal_kills_what_runs() {
    let mut fake = Fake::start().await;
    let mut agent = Agent::start(&fake, &[]);
    let (mut peer, _) = fake.welcomed(1).await;
    peer.give(&peer.assign("noop", &json!({"duration": "60s"}))).await;
    peer.started().await;
    agent.signal(Signal::TERM);
    assert!(matches!(peer.next().await, FromAgent::Draining(_)));
    agent.signal(Signal::TERM);
    assert_eq!(peer.finished().await.outcome(), Outcome::Lost);
    assert_eq!(agent.left().await, Some(0));
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_folder_names_the_first() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake, &[]);
    fake.greeted().await;
    let output = command(agent.folder.path(), &fake.url).output().expect("the program runs");
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains("is in use by the agent with process id"), "{error}");
}
