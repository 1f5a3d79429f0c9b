//! Attempts: what is started, stopped and reported.

use std::time::Duration;

use bytes::Bytes;
use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::log_chunk::Stream;
use punctual_proto::v1::rejected::Reason;
use punctual_proto::v1::report::Event;
use punctual_proto::v1::report::finished::Outcome;
use punctual_proto::v1::server_message::Message as ToAgent;
use punctual_proto::v1::{Acks, Assign, Cancel, LogAck, Report, Revoke};

use super::rig::{Rig, TTL, assign, inventory, key, kinds, reports, sent, started};
use crate::session::{Effect, Input, TaskEvent};
use crate::time::Wall;

fn refusal(effects: &[Effect]) -> Option<Reason> {
    sent(effects).into_iter().find_map(|message| match message {
        FromAgent::Rejected(rejected) => Some(rejected.reason()),
        _ => None,
    })
}

fn outcome(report: &Report) -> Option<Outcome> {
    match &report.event {
        Some(Event::Finished(finished)) => Some(finished.outcome()),
        _ => None,
    }
}

#[test]
fn what_must_not_run_is_refused_with_its_reason() {
    let cases = [
        (Assign { epoch: 4, ..assign(1) }, Reason::EpochStale),
        (Assign { instance: key(1).run.to_string(), ..assign(1) }, Reason::OtherInstance),
        (Assign { task_type: "http".to_owned(), ..assign(1) }, Reason::UnknownTaskType),
        (Assign { run_id: "no".to_owned(), ..assign(1) }, Reason::Malformed),
        (Assign { attempt: 0, ..assign(1) }, Reason::Malformed),
    ];
    for (assign, reason) in cases {
        let (mut rig, stream) = Rig::ready();
        let effects = rig.assign(stream, assign.clone());
        assert_eq!(refusal(&effects), Some(reason), "{assign:?}");
        assert!(started(&effects).is_empty());
    }
}

#[test]
fn no_more_is_started_than_there_are_slots() {
    let (mut rig, stream) = Rig::ready();
    for run in 1..=4 {
        assert_eq!(started(&rig.assign(stream, assign(run))).len(), 1);
    }
    assert_eq!(refusal(&rig.assign(stream, assign(5))), Some(Reason::NoFreeSlot));
    rig.finish(1);
    assert_eq!(started(&rig.assign(stream, assign(6))).len(), 1, "an ended attempt frees its slot");
}

#[test]
fn an_attempt_is_started_once_however_often_it_is_assigned() {
    let (mut rig, stream) = Rig::ready();
    assert_eq!(started(&rig.assign(stream, assign(1))).len(), 1);
    assert!(kinds(&rig.assign(stream, assign(1))).is_empty(), "it is held");
    let report = reports(&rig.finish(1)).remove(0);
    rig.ack(stream, &report);
    assert_eq!(refusal(&rig.assign(stream, assign(1))), Some(Reason::AlreadySeen));
    let refused = Assign { task_type: "http".to_owned(), ..assign(2) };
    rig.assign(stream, refused);
    assert_eq!(refusal(&rig.assign(stream, assign(2))), Some(Reason::AlreadySeen), "refused is refused for ever");
}

#[test]
fn without_a_confirmed_heartbeat_nothing_is_started() {
    let mut rig = Rig::new(super::rig::config(&["s1"]));
    let stream = rig.open();
    rig.welcome(stream, Some(5));
    assert_eq!(refusal(&rig.assign(stream, assign(1))), Some(Reason::NoRightToRun));
    rig.confirm(stream);
    assert_eq!(started(&rig.assign(stream, assign(2))).len(), 1);
}

#[test]
fn a_task_ahead_of_its_instant_waits_for_it_by_the_servers_clock() {
    let (mut rig, stream) = Rig::ready();
    let start_at = Wall(rig.now.wall.0 + 250_000);
    let effects = rig.assign(stream, Assign { start_at: Some(start_at.into()), ..assign(1) });
    assert!(started(&effects).is_empty());
    assert!(started(&rig.pass(Duration::from_millis(249))).is_empty());
    assert_eq!(started(&rig.pass(Duration::from_millis(1))), [key(1)]);
}

#[test]
fn what_has_not_started_can_be_revoked_and_what_has_cannot() {
    let (mut rig, stream) = Rig::ready();
    let later = Wall(rig.now.wall.0 + 1_000_000);
    rig.assign(stream, Assign { start_at: Some(later.into()), ..assign(1) });
    rig.assign(stream, assign(2));
    for (run, not_started) in [(1, true), (2, false), (3, true)] {
        let revoke = Revoke { run_id: key(run).run.to_string(), attempt: 1 };
        let messages = sent(&rig.message(stream, ToAgent::Revoke(revoke)));
        let [FromAgent::Revoked(revoked)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(revoked.not_started, not_started, "run {run}");
    }
    assert!(started(&rig.pass(Duration::from_secs(2))).is_empty());
    assert_eq!(refusal(&rig.assign(stream, assign(3))), Some(Reason::AlreadySeen), "given back before it came");
}

#[test]
fn a_task_past_its_deadline_is_asked_to_end_then_killed_and_timed_out() {
    let (mut rig, stream) = Rig::ready();
    let short = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    rig.assign(stream, Assign { timeout: short, ..assign(1) });
    let effects = rig.pass(Duration::from_secs(1));
    assert!(kinds(&effects).contains(&"cancel") && !kinds(&effects).contains(&"kill"));
    assert!(kinds(&rig.pass(Duration::from_secs(1))).contains(&"kill"));
    let report = reports(&rig.finish(1)).remove(0);
    let Some(Event::Finished(finished)) = &report.event else { panic!("{report:?}") };
    assert_eq!(finished.outcome(), Outcome::TimedOut, "even if the task calls it a success");
    assert_eq!(finished.error.as_ref().map(|error| error.code.as_str()), Some("TIMEOUT"));
}

#[test]
fn a_task_in_this_process_that_cannot_be_killed_ends_the_process() {
    let (mut rig, stream) = Rig::ready();
    let short = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    rig.assign(stream, Assign { timeout: short, task_type: "noop".to_owned(), ..assign(1) });
    for _ in 0..6 {
        rig.confirm(stream);
        assert!(!kinds(&rig.pass(Duration::from_secs(1))).contains(&"abort"));
    }
    assert!(kinds(&rig.pass(Duration::from_secs(1))).contains(&"abort"));
}

#[test]
fn a_task_that_was_killed_and_stays_ends_the_process_before_the_right_to_run_does() {
    let (mut rig, stream) = Rig::ready();
    let short = Some(prost_types::Duration { seconds: 7, nanos: 0 });
    rig.assign(stream, Assign { timeout: short, task_type: "noop".to_owned(), ..assign(1) });
    assert!(kinds(&rig.pass(Duration::from_secs(8))).contains(&"kill"), "its deadline and its grace are over");
    assert!(kinds(&rig.pass(Duration::from_secs(2))).contains(&"abort"), "no heartbeat was confirmed for a TTL");
}

#[test]
fn a_cancelled_attempt_is_reported_so_whether_it_ran_or_not() {
    let (mut rig, stream) = Rig::ready();
    let later = Wall(rig.now.wall.0 + 1_000_000);
    rig.assign(stream, Assign { start_at: Some(later.into()), ..assign(1) });
    rig.assign(stream, assign(2));
    let cancel = |run| ToAgent::Cancel(Cancel { run_id: key(run).run.to_string(), attempt: 1, reason: 1 });
    let effects = rig.message(stream, cancel(1));
    assert_eq!(reports(&effects).iter().map(outcome).collect::<Vec<_>>(), [Some(Outcome::Cancelled)]);
    assert!(kinds(&rig.message(stream, cancel(2))).contains(&"cancel"));
    assert_eq!(outcome(&reports(&rig.finish(2))[0]), Some(Outcome::Cancelled));
    assert!(kinds(&rig.message(stream, cancel(3))).is_empty(), "one that it does not have");
}

#[test]
fn an_agent_that_nobody_confirms_kills_its_tasks_before_its_right_ends() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    let later = Wall(rig.now.wall.0 + 9_500_000);
    rig.assign(stream, Assign { start_at: Some(later.into()), ..assign(2) });
    let start = rig.now.boot;
    let mut killed = None;
    while killed.is_none() && rig.now.boot < start + TTL * 2 {
        if kinds(&rig.pass(Duration::from_millis(10))).contains(&"kill") {
            killed = Some(rig.now.boot);
        }
    }
    assert!(killed.is_some_and(|at| at < start + TTL), "{killed:?}");
    rig.finish(1);
    assert!(started(&rig.pass(Duration::from_secs(5))).is_empty(), "an attempt was started without right");
    let stream = rig.open();
    let effects = rig.welcome(stream, Some(6));
    let inventory = inventory(&effects).expect("sent");
    assert_eq!(inventory.reports.iter().map(outcome).collect::<Vec<_>>(), [Some(Outcome::Lost)]);
    assert!(inventory.held.is_empty(), "the other never started, which its absence says");
}

#[test]
fn an_agent_that_wakes_from_a_freeze_kills_before_it_reads() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    rig.freeze(TTL);
    let effects = rig.assign(stream, assign(2));
    let kinds = kinds(&effects);
    assert_eq!(kinds.iter().filter(|kind| **kind == "start").count(), 0, "{kinds:?}");
    assert!(kinds.contains(&"kill"));
}

#[test]
fn reports_come_again_until_they_are_acknowledged() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    rig.say(1, TaskEvent::Started);
    let first = reports(&rig.pass(Duration::from_millis(20)));
    assert!(matches!(first[..], [Report { sequence: 1, event: Some(Event::Started(_)), .. }]));
    let last = reports(&rig.finish(1)).remove(0);
    rig.close(stream);
    let stream = rig.open();
    let effects = rig.welcome(stream, Some(5));
    let sequences: Vec<_> = inventory(&effects).expect("sent").reports.iter().map(|report| report.sequence).collect();
    assert_eq!(sequences, [1, 2]);
    rig.ack(stream, &last);
    rig.close(stream);
    let stream = rig.open();
    let effects = rig.welcome(stream, Some(5));
    assert!(inventory(&effects).expect("sent").reports.is_empty());
}

#[test]
fn the_end_follows_the_log_even_when_credits_lack() {
    let (mut rig, stream) = Rig::ready();
    rig.close(stream);
    let stream = rig.open();
    let limits = punctual_proto::v1::welcome::Limits { log_credits: 1, max_log_chunk_bytes: 2, ..Default::default() };
    let welcome = punctual_proto::v1::Welcome { epoch: Some(5), limits: Some(limits), ..Default::default() };
    rig.message(stream, ToAgent::Welcome(welcome));
    rig.confirm(stream);
    rig.assign(stream, assign(1));
    let log = |data: &'static [u8]| TaskEvent::Log { stream: Stream::Stdout, data: Bytes::from_static(data) };
    assert_eq!(kinds(&rig.say(1, log(b"abc"))), ["logs"]);
    assert!(kinds(&rig.finish(1)).is_empty(), "the rest of the log waits for a credit, and the end for it");
    let acks = |sequence| {
        let ack = LogAck { run_id: key(1).run.to_string(), attempt: 1, sequence };
        ToAgent::Acks(Acks { logs: vec![ack], log_credits: 1, ..Acks::default() })
    };
    assert_eq!(kinds(&rig.message(stream, acks(1))), ["logs", "reports"]);
}

#[test]
fn an_end_whose_log_is_not_sent_is_still_held_for_the_next_leader() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    rig.close(stream);
    rig.say(1, TaskEvent::Log { stream: Stream::Stdout, data: Bytes::from_static(b"abc") });
    rig.finish(1);
    let stream = rig.open();
    let effects = rig.welcome(stream, Some(6));
    let held = inventory(&effects).expect("sent");
    assert_eq!((held.held.len(), held.reports.len()), (1, 0), "{held:?}");
    assert_eq!(kinds(&effects), ["inventory", "heartbeat", "logs", "reports"]);
}

#[test]
fn a_draining_agent_takes_nothing_new_finishes_and_waits_for_acknowledgements() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    assert_eq!(kinds(&rig.give(Input::Drain)), ["draining"]);
    assert_eq!(refusal(&rig.assign(stream, assign(2))), Some(Reason::Draining));
    let report = reports(&rig.finish(1)).remove(0);
    rig.close(stream);
    let stream = rig.open();
    assert_eq!(kinds(&rig.welcome(stream, Some(5))), ["inventory", "draining", "heartbeat"]);
    assert_eq!(kinds(&rig.ack(stream, &report)), ["close", "exit"]);
}

#[test]
fn an_agent_that_is_stopped_kills_and_leaves_even_if_nobody_acknowledges() {
    let (mut rig, stream) = Rig::ready();
    rig.assign(stream, assign(1));
    assert_eq!(kinds(&rig.give(Input::Stop)), ["draining", "cancel", "kill"]);
    assert!(!kinds(&rig.pass(Duration::from_secs(3))).contains(&"exit"), "the task is not gone");
    assert!(kinds(&rig.finish(1)).contains(&"exit"));
}
