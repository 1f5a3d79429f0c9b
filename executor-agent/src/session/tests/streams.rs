//! Streams: who is followed, and what is said first.

use std::time::Duration;

use punctual_proto::v1::Redirect;
use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::server_message::Message as ToAgent;

use super::rig::{Rig, TTL, assign, config, inventory, kinds, started};
use crate::session::{Closed, Effect, Input, Notice};

#[test]
fn hello_comes_first_then_inventory_then_heartbeats() {
    let mut rig = Rig::new(config(&["s1"]));
    let stream = rig.open();
    assert_eq!(kinds(&rig.welcome(stream, Some(5))), ["inventory", "heartbeat"]);
    assert_eq!(kinds(&rig.pass(Duration::from_millis(2_500))), ["heartbeat", "heartbeat"]);
}

#[test]
fn a_node_without_an_epoch_gets_heartbeats_and_nothing_else() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    rig.finish(1);
    rig.close(stream);
    let stream = rig.open();
    assert_eq!(kinds(&rig.welcome(stream, None)), ["heartbeat"]);
    assert_eq!(kinds(&rig.confirm(stream)), ["run until"], "its confirmation counts");
    assert!(started(&rig.assign(stream, assign(2))).is_empty(), "nothing is taken before the Inventory");
    let effects = rig.welcome(stream, Some(6));
    assert_eq!(kinds(&effects), ["inventory", "heartbeat"]);
    assert_eq!(inventory(&effects).expect("sent").reports.len(), 1);
}

#[test]
fn a_lower_epoch_is_never_followed() {
    let (mut rig, stream) = Rig::ready();
    rig.close(stream);
    let stream = rig.open();
    let effects = rig.welcome(stream, Some(4));
    assert_eq!(kinds(&effects), ["close"]);
    assert_eq!(rig.session.highest_epoch().0, 5);
}

#[test]
fn what_an_older_stream_still_brings_is_dropped() {
    let mut rig = Rig::new(config(&["s1", "s2"]));
    let old = rig.taken_on(5);
    rig.pass(Duration::from_secs(4));
    let new = rig.open();
    assert!(kinds(&rig.welcome(new, Some(6))).starts_with(&["close", "inventory"]));
    rig.confirm(new);
    assert!(kinds(&rig.assign(old, assign(1))).is_empty());
    assert!(kinds(&rig.welcome(old, Some(9))).is_empty());
}

#[test]
fn a_silent_leader_makes_the_agent_try_the_others_without_leaving_it() {
    let mut rig = Rig::new(config(&["s1", "s2", "s3"]));
    let stream = rig.taken_on(5);
    let early = rig.pass(Duration::from_millis(3_300));
    assert!(!kinds(&early).contains(&"connect"));
    let effects = rig.pass(Duration::from_millis(100));
    assert_eq!(kinds(&effects).iter().filter(|kind| **kind == "connect").count(), 2);
    assert!(!kinds(&effects).contains(&"close"));
    rig.confirm(stream);
    assert_eq!(started(&rig.assign(stream, assign(1))).len(), 1, "it is still the leader");
}

/// The next server tells the leader, who gives way when most agents say so.
#[test]
fn an_agent_tells_of_a_leader_that_it_could_not_connect_to_until_it_is_led_elsewhere() {
    let (mut rig, stream) = Rig::ready();
    let redirect = Redirect { leader_address: "s9".to_owned(), node_id: "node-9".to_owned() };
    let redirect = ToAgent::Redirect(redirect);
    rig.message(stream, redirect.clone());
    let stream = rig.connecting();
    rig.give(Input::Closed { stream, why: Closed::Lost("refused".to_owned()) });
    let told = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Send { message, .. } => match &**message {
                FromAgent::Hello(hello) => Some(hello.unreached_leader.clone()),
                _ => None,
            },
            _ => None,
        })
    };
    let stream = rig.connecting();
    assert_eq!(told(&rig.give(Input::Connected { stream })).as_deref(), Some("node-9"));
    rig.message(stream, redirect);
    let stream = rig.connecting();
    assert_eq!(told(&rig.give(Input::Connected { stream })).as_deref(), Some(""), "it is reached this time");
}

#[test]
fn a_leader_that_fell_silent_is_told_of_while_it_is_tried_again() {
    let mut rig = Rig::new(config(&["s1", "s2"]));
    rig.taken_on(5);
    rig.pass(Duration::from_millis(3_400));
    let (stream, hello) = rig.greeted();
    assert_eq!(hello.unreached_leader, "", "it may be that nobody knows it for the leader any more");
    let redirect = Redirect { leader_address: "s1".to_owned(), node_id: "node-1".to_owned() };
    rig.message(stream, ToAgent::Redirect(redirect));
    let _never_made = rig.connecting();
    let (_, hello) = rig.greeted();
    assert_eq!(hello.unreached_leader, "node-1");
}

#[test]
fn a_redirect_closes_the_stream_and_leads_on() {
    let (mut rig, stream) = Rig::ready();
    let redirect = Redirect { leader_address: "s9".to_owned(), node_id: String::new() };
    let effects = rig.message(stream, ToAgent::Redirect(redirect));
    let Some(Effect::Connect { server, .. }) = effects.iter().find(|effect| matches!(effect, Effect::Connect { .. }))
    else {
        panic!("{effects:?}")
    };
    assert_eq!(server, "s9");
}

#[test]
fn a_rival_of_the_same_id_is_named_once_and_the_agent_goes_on_trying() {
    let mut rig = Rig::new(config(&["s1"]));
    let mut said = 0;
    for _ in 0..5 {
        let stream = rig.open();
        let why = Closed::AlreadyExists("instance x is alive".to_owned());
        let effects = rig.give(Input::Closed { stream, why });
        said += effects.iter().filter(|effect| matches!(effect, Effect::Say(Notice::AlreadyExists { .. }))).count();
    }
    assert_eq!(said, 1);
}

/// A leader may die with them, before the loss of what those instances ran is in the ledger.
#[test]
fn proofs_that_instances_are_gone_are_given_until_a_leader_has_led_for_a_ttl() {
    let gone = uuid::Uuid::from_u128(3);
    let mut config = config(&["s1"]);
    config.instances_proved_gone = vec![gone];
    let mut rig = Rig::new(config);
    for epoch in 5..7 {
        let (stream, hello) = rig.greeted();
        assert_eq!(hello.instances_proved_gone, [gone.to_string()]);
        rig.welcome(stream, Some(epoch));
        assert!(!kinds(&rig.pass(TTL / 2)).contains(&"proofs taken"));
        rig.close(stream);
    }
    let stream = rig.open();
    rig.welcome(stream, Some(7));
    assert!(!kinds(&rig.pass(TTL / 2)).contains(&"proofs taken"));
    rig.confirm(stream);
    assert!(kinds(&rig.pass(TTL / 2)).contains(&"proofs taken"));
    rig.close(stream);
    let (_, hello) = rig.greeted();
    assert!(hello.instances_proved_gone.is_empty());
}

#[test]
fn a_stream_that_is_dead_is_given_up_and_opened_anew() {
    let (mut rig, _) = Rig::ready();
    let effects = rig.pass(Duration::from_secs(13));
    let kinds = kinds(&effects);
    assert!(kinds.contains(&"close") && kinds.contains(&"connect"), "{kinds:?}");
}
