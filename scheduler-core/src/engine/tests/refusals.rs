//! What the ledger refuses for its data, and what it cannot read (rules 3 and 9): it costs no more than itself.

use std::collections::BTreeMap;

use crate::agent::{
    Finished, FromAgent, Hello, Inventory, LogChunk, LogSource, Outcome, ReportEvent, StreamId, ToAgent,
};
use crate::engine::{Alert, Answer, Command, Input, Refusal};
use crate::ids::AttemptId;
use crate::job::Definition;
use crate::run::{Reason, Run, RunState};
use crate::schedule::Schedule;
use crate::time::Timestamp;
use crate::txn::{Failure, Transaction, Unreadable, UnreadableRow};

use super::world::{World, every, finished, hello, job, key, seconds, trigger};

/// A ledger that takes no row of a run of which `is_bad`.
fn refuse(world: &mut World, is_bad: impl Fn(&Run) -> bool + 'static) {
    refuse_all(world, move |transaction| {
        let mut runs = transaction.entered.iter().chain(&transaction.updated);
        runs.any(&is_bad).then(|| Failure::Refused("bad bytes".into()))
    });
}

fn refuse_all(world: &mut World, refuses: impl Fn(&Transaction) -> Option<Failure> + 'static) {
    world.ledger.refuses = Some(Box::new(refuses));
}

fn of(run: &Run, job_id: &str) -> bool {
    run.job_key.job_id == job_id
}

fn labelled(job_id: &str, label: &str) -> Command {
    let labels = BTreeMap::from([("is".to_owned(), label.to_owned())]);
    Command::TriggerJob { job: key(job_id), payload: None, labels, not_before: None }
}

fn with_result(result: &str) -> ReportEvent {
    ReportEvent::Finished(Finished { result: Some(result.into()), ..finished(Outcome::Succeeded) })
}

fn rows_of(world: &World, job_id: &str) -> Vec<Run> {
    world.ledger.runs.values().filter(|run| of(run, job_id)).cloned().collect()
}

fn take_overs(world: &World) -> u64 {
    world.engine.stats().take_overs
}

#[test]
fn a_refused_request_answers_its_client_and_no_other() {
    let mut world = World::leading();
    for job_id in ["a", "b", "c", "d"] {
        world.create(job_id, job());
    }
    refuse(&mut world, |run| run.labels.contains_key("is"));
    world.ledger_works = false;
    world.input(Input::Wake);
    let first: Vec<_> = ["a", "b", "d"].map(|id| world.begin(None, trigger(id))).into();
    let second: Vec<_> = ["b", "d"].map(|id| world.begin(None, trigger(id))).into();
    let bad = world.begin(Some("one"), labelled("c", "bad"));
    let after = world.begin(None, trigger("c"));
    world.ledger_catches_up();
    for good in first.into_iter().chain(second).chain([after]) {
        assert!(matches!(world.answers[&good], Ok(Answer::Run(_))), "{:?}", world.answers[&good]);
    }
    assert!(matches!(&world.answers[&bad], Err(Refusal::RefusedByLedger(why)) if why.contains("bad bytes")));
    assert_eq!(take_overs(&world), 1, "the leader goes on");
    // Nothing was done under its number: the same request is no repetition.
    world.ledger.refuses = None;
    let again = world.begin(Some("one"), labelled("c", "bad"));
    assert!(matches!(world.answers[&again], Ok(Answer::Run(_))));
}

#[test]
fn a_job_that_the_ledger_refuses_is_not_created() {
    let mut world = World::leading();
    refuse_all(&mut world, |transaction| {
        let is_bad = transaction.jobs.iter().any(|write| write.job.key.job_id == "bad");
        is_bad.then(|| Failure::Refused("bad bytes".into()))
    });
    let create = Command::CreateJob { job: key("bad"), definition: Box::new(every(1)), validate_only: false };
    assert!(matches!(world.request(create.clone()), Err(Refusal::RefusedByLedger(_))));
    assert_eq!(world.request(trigger("bad")), Err(Refusal::JobNotFound(key("bad"))));
    world.ledger.refuses = None;
    assert!(matches!(world.request(create), Ok(Answer::Job(_))));
}

#[test]
fn a_change_that_the_ledger_refuses_leaves_the_job_as_it_was() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(1));
    refuse_all(&mut world, |transaction| {
        let is_bad = transaction.jobs.iter().any(|write| write.job.pause.is_some());
        is_bad.then(|| Failure::Refused("bad bytes".into()))
    });
    let pause = Command::PauseJob { job: key("tick"), note: String::new() };
    assert!(matches!(world.request(pause), Err(Refusal::RefusedByLedger(_))));
    for _ in 0..5 {
        world.pass_beating(1, &[1]);
        world.execute_all();
    }
    assert_eq!(world.rows(RunState::Succeeded).len(), 5);
}

#[test]
fn a_report_that_the_ledger_refuses_fails_its_run_and_no_other() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    for job_id in ["a", "b", "c"] {
        world.create(job_id, job());
        world.trigger(job_id);
    }
    let assigned = world.assigned();
    refuse(&mut world, |run| run.result.as_deref() == Some("bad"));
    world.ledger_works = false;
    for (n, (_, assign)) in assigned.iter().enumerate() {
        world.report(1, assign.attempt, 1, with_result(if n == 1 { "bad" } else { "good" }));
    }
    world.ledger_catches_up();
    let failed = world.rows(RunState::Failed);
    assert_eq!((failed.len(), failed[0].reason), (1, Some(Reason::RefusedByLedger)));
    assert!(failed[0].reason_message.contains("bad bytes"));
    assert_eq!(world.rows(RunState::Succeeded).len(), 2);
    let acked = |id: AttemptId| {
        let is = |ack: &crate::agent::Ack| ack.attempt == id && !ack.refused;
        world.sent.iter().any(|(_, message)| matches!(message, ToAgent::Ack(acks) if acks.iter().any(is)))
    };
    assert!(assigned.iter().all(|(_, assign)| acked(assign.attempt)), "no agent keeps it for ever");
    assert_eq!(take_overs(&world), 1);
    // The job goes on.
    let again = world.trigger("b").id;
    let attempt = world.assigned()[0].1.attempt;
    assert_eq!(attempt.run, again);
    world.finish(1, attempt, Outcome::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).len(), 3);
}

#[test]
fn a_run_that_can_be_written_no_more_is_left_to_the_next_leader_and_its_agent() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("work", job());
    let stuck = world.trigger("work").id;
    let attempt = world.assigned()[0].1.attempt;
    refuse(&mut world, move |run| run.id == stuck);
    world.finish(1, attempt, Outcome::Succeeded);
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::RefusedByLedger { .. })));
    world.trigger("work");
    assert_eq!(world.assigned().len(), 1, "its slot is free: it has ended");
    // The agent was not told to forget its report, and gives it to who can write it.
    world.ledger.refuses = None;
    world.crash();
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    let report = crate::agent::Report { attempt, sequence: 2, time: world.now.wall, event: with_result("kept") };
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![], reports: vec![report] }));
    assert_eq!(world.ledger.runs[&stuck].state, RunState::Succeeded);
}

#[test]
fn a_fire_that_the_ledger_refuses_takes_its_job_out_of_service_and_all_others_go_on() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    world.create("good", every(1));
    world.create("bad", every(1));
    refuse(&mut world, |run| of(run, "bad") && run.state != RunState::Missed);
    for _ in 0..10 {
        world.pass_beating(1, &[1]);
        world.execute_all();
    }
    assert_eq!(rows_of(&world, "good").iter().filter(|run| run.state == RunState::Succeeded).count(), 10);
    let bad = rows_of(&world, "bad");
    assert_eq!((bad.len(), bad[0].state, bad[0].reason), (1, RunState::Missed, Some(Reason::Internal)));
    let stored = world.ledger.jobs.values().find(|job| job.key == key("bad")).unwrap();
    assert!(stored.pause.as_ref().unwrap().note.contains("bad bytes"), "it says why, for all to see");
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::JobOutOfService { job, .. } if *job == key("bad"))));
    assert!(world.now.wall.since(world.ledger.watermark) < seconds(6), "W passes it");
    assert_eq!(take_overs(&world), 1);
    // What is mended is resumed, and what passed meanwhile made up if that is asked for.
    world.ledger.refuses = None;
    world.request(Command::ResumeJob { job: key("bad"), catch_up: true, note: String::new() }).unwrap();
    let covered: u64 = rows_of(&world, "bad").iter().map(|run| run.coalesced_count).sum();
    assert_eq!(covered, 10);
}

#[test]
fn a_job_of_which_nothing_can_be_written_stops_nobody_else() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    world.create("good", every(1));
    let bad = world.create("bad", every(1)).uid;
    refuse_all(&mut world, move |transaction| {
        let runs = transaction.entered.iter().chain(&transaction.updated).any(|run| run.job_uid == bad);
        let job = transaction.jobs.iter().any(|write| write.job.uid == bad);
        (runs || job).then(|| Failure::Refused("bad bytes".into()))
    });
    for _ in 0..10 {
        world.pass_beating(1, &[1]);
        world.execute_all();
    }
    assert_eq!(rows_of(&world, "good").iter().filter(|run| run.state == RunState::Succeeded).count(), 10);
    assert!(rows_of(&world, "bad").is_empty());
    assert!(world.now.wall.since(world.ledger.watermark) < seconds(6), "W passes it");
    assert!(world.engine.stats().transactions < 60, "it is not tried for ever");
}

#[test]
fn a_hand_out_that_the_ledger_refuses_fails_its_run() {
    let mut world = World::leading();
    world.create("work", job());
    let run = world.trigger("work").id;
    refuse(&mut world, |run| run.first_attempt.as_ref().is_some_and(|attempt| !attempt.state.is_ended()));
    world.join(1, hello("a", 1, 1));
    world.pass_beating(2, &[1]);
    let stored = &world.ledger.runs[&run];
    assert_eq!((stored.state, stored.reason), (RunState::Failed, Some(Reason::RefusedByLedger)));
    assert!(world.assigned().is_empty());
}

#[test]
fn the_next_run_after_one_that_ended_is_refused_and_the_end_is_not() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let schedule = Schedule { after_completion: Some(seconds(5)), ..Schedule::default() };
    world.create("chain", Definition { schedule, ..job() });
    let attempt = world.assigned()[0].1.attempt;
    let first = attempt.run;
    refuse(&mut world, move |run| run.id != first);
    world.finish(1, attempt, Outcome::Succeeded);
    world.pass_beating(10, &[1]);
    assert!(world.ledger.runs[&first].state.is_ended());
    let job = world.ledger.jobs.values().next().unwrap();
    assert!(job.pause.is_some(), "out of service");
}

#[test]
fn a_conflict_that_loading_everything_does_not_mend_takes_the_job_out_of_service() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    world.create("good", every(1));
    let bad = world.create("bad", Definition { coalesce: false, ..every(1) }).uid;
    let taken = world.now.wall.saturating_add(seconds(3));
    refuse_all(&mut world, move |transaction| {
        let conflict = transaction.entered.iter().any(|run| run.job_uid == bad && run.scheduled_time == taken);
        conflict.then_some(Failure::Conflict { job_uid: bad, scheduled_time: taken })
    });
    for n in 0..10 {
        world.pass_beating(1, &[1]);
        world.execute_all();
        if world.closed.contains(&StreamId(1)) && n == 3 {
            world.join(1, Hello { ..hello("a", 1, 4) });
        }
    }
    assert_eq!(take_overs(&world), 2, "everything was loaded once");
    let stored = &world.ledger.jobs[&bad];
    assert!(stored.pause.is_some(), "then the job is out of service");
    assert!(world.now.wall.since(world.ledger.watermark) < seconds(6), "W passes it");
    assert!(world.engine.is_leading());
    let good: u64 = rows_of(&world, "good").iter().map(|run| run.coalesced_count).sum();
    assert_eq!(good, 10);
}

#[test]
fn output_that_the_ledger_refuses_is_dropped_and_holds_nothing_back() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("work", job());
    world.trigger("work");
    let attempt = world.assigned()[0].1.attempt;
    refuse_all(&mut world, |transaction| (!transaction.logs.is_empty()).then(|| Failure::Refused("bad bytes".into())));
    let (source, time) = (LogSource::Stdout, world.now.wall);
    let chunk = LogChunk { attempt, sequence: 1, source, time, data: b"x".to_vec(), cut_bytes: 0 };
    world.heard(1, FromAgent::Logs(vec![chunk]));
    world.finish(1, attempt, Outcome::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    let acked = |message: &ToAgent| matches!(message, ToAgent::LogAck(acks) if acks[0].sequence == 1);
    assert!(world.sent.iter().any(|(_, message)| acked(message)));
}

#[test]
fn a_ledger_that_fails_while_a_job_is_read_anew_is_asked_again() {
    let mut world = World::leading();
    world.create("work", job());
    refuse(&mut world, |run| run.labels.contains_key("is"));
    world.ledger_works = false;
    let bad = world.begin(None, labelled("work", "bad"));
    let good = world.begin(None, trigger("work"));
    let (commit, call) = world.calls.remove(0);
    let refused = world.ledger.call(&call, world.now.wall);
    world.answer_call(commit, refused);
    let (load, _) = world.calls.remove(0);
    world.answer_call(load, Err(Failure::Unavailable("no connection".into())));
    world.pass(seconds(1));
    world.ledger_catches_up();
    assert!(matches!(world.answers[&bad], Err(Refusal::RefusedByLedger(_))));
    assert!(matches!(world.answers[&good], Ok(Answer::Run(_))));
}

#[test]
fn a_run_that_cannot_be_read_keeps_its_slot_and_nobody_from_leading() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    let uid = world.create("work", Definition { max_instances: 2, ..job() }).uid;
    let run = world.trigger("work").id;
    let attempt = world.assigned()[0].1.attempt;
    let row = UnreadableRow::Run { run: Some(run), job: Some(uid) };
    world.ledger.unreadable = vec![Unreadable { row, why: "labels".into() }];
    world.ledger.runs.remove(&run);
    world.crash();
    assert!(matches!(&world.alerts[0], Alert::Unreadable { row, .. } if *row == format!("run {run}")));
    world.input(Input::Hello(StreamId(2), hello("a", 1, 4)));
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![attempt], reports: vec![] }));
    world.heard(2, FromAgent::Heartbeat { n: 1, sent_time: None });
    let cancels = |message: &ToAgent| matches!(message, ToAgent::Cancel { .. });
    assert!(!world.sent.iter().any(|(_, message)| cancels(message)), "its task goes on");
    world.trigger("work");
    world.trigger("work");
    assert_eq!(world.assigned().len(), 1, "one slot is left");
}

#[test]
fn runs_of_a_job_that_cannot_be_read_go_on_and_their_agents_keep_what_they_say() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    let uid = world.create("work", job()).uid;
    world.trigger("work");
    let attempt = world.assigned()[0].1.attempt;
    let stored = world.ledger.jobs.remove(&uid).unwrap();
    let row = UnreadableRow::Job("default/work".into());
    world.ledger.unreadable = vec![Unreadable { row, why: "definition".into() }];
    world.crash();
    world.input(Input::Hello(StreamId(2), hello("a", 1, 4)));
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![attempt], reports: vec![] }));
    world.finish(2, attempt, Outcome::Succeeded);
    let told = |message: &ToAgent| matches!(message, ToAgent::Cancel { .. } | ToAgent::Ack(_));
    assert!(!world.sent.iter().any(|(_, message)| told(message)));
    // Mended, and loaded again.
    world.ledger.unreadable.clear();
    world.ledger.jobs.insert(uid, stored);
    world.crash();
    world.input(Input::Hello(StreamId(3), hello("a", 1, 4)));
    let report = crate::agent::Report { attempt, sequence: 2, time: Timestamp::from_secs(1), event: with_result("x") };
    world.heard(3, FromAgent::Inventory(Inventory { held: vec![], reports: vec![report] }));
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
}
