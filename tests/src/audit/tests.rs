//! The checker finds what it is for.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::accounts::account;
use super::forgotten::Forgotten;
use super::terms::Terms;
use super::told::Told;
use super::verdict::Wrongs;
use super::{compare, triggered};
use crate::load::{Asked, Job, Pause, Trigger};
use crate::{Run, Witness, folder};

const BEGAN: i64 = 1_796_000_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(BEGAN + seconds, 0).unwrap()
}

/// Of every second, from 1 on.
fn job() -> Job {
    Job {
        id: "tick".to_owned(),
        uid: String::new(),
        every: Some(TimeDelta::seconds(1)),
        created: at(0),
        max_instances: 1,
        max_starts: 1,
        is_witnessed: true,
    }
}

/// One attempt in slot 0, whose token and epoch follow from its instant.
fn run(seconds: i64) -> Run {
    let token = (((BEGAN + seconds) * 1_000) << 20).to_string();
    Run::read(json!({
        "runId": format!("run-{seconds}"), "jobId": "tick", "trigger": "SCHEDULE", "state": "SUCCEEDED", "reason": "",
        "attempt": 1, "agentId": "a", "fencingToken": token, "scheduledTime": at(seconds), "coalescedCount": 1,
        "attempts": [{
            "number": 1, "state": "SUCCEEDED", "agentId": "a", "slot": 0, "fencingToken": token,
            "createTime": at(seconds), "notStarted": false,
        }],
    }))
}

fn start(seconds: i64) -> String {
    let run = run(seconds);
    format!("start tick run-{seconds} 1 {} {} 0 0\n", at(seconds).to_rfc3339(), run.fencing_token())
}

fn end(seconds: i64) -> String {
    format!("end tick run-{seconds} 1\n")
}

/// What is found when these runs are in the ledger, and these lines in the witness's file.
fn found(history: &[Run], lines: &[String]) -> Wrongs {
    let folder = folder();
    let witness = Witness::new(folder.path());
    std::fs::write(witness.path(), lines.concat()).unwrap();
    let mut wrong = Wrongs::default();
    let mut told = Told::read(&witness, &[], &mut wrong);
    compare(&job(), history, &mut told, &[], &mut wrong);
    wrong.extend(told.starts.keys().map(|key| format!("not in the ledger: {key:?}")));
    wrong
}

#[track_caller]
fn assert_finds(wrong: &Wrongs, what: &str) {
    assert!(wrong.any(|found| found.contains(what)), "{what}: {wrong:?}");
}

fn accounted(history: &[Run], pauses: &[Pause]) -> Wrongs {
    let mut wrong = Wrongs::default();
    account(&job(), history, pauses, at(3), &mut wrong);
    wrong
}

#[test]
fn what_is_right_is_found_right() {
    let history = [run(1), run(2), run(3)];
    assert!(!accounted(&history, &[]).any(|_| true));
    let wrong = found(&history, &[start(1), end(1), start(2), end(2), start(3), end(3)]);
    assert!(!wrong.any(|_| true), "{wrong:?}");
}

#[test]
fn fires_that_are_lost_doubled_or_of_a_paused_job_are_found() {
    assert_finds(&accounted(&[run(1), run(3)], &[]), "nothing says what became of");
    assert_finds(&accounted(&[run(1), run(2), run(2), run(3)], &[]), "is there twice");
    let asked = |from, to| Asked { since: at(from), answered: at(to) };
    let pause = Pause { pause: asked(0, 1), resume: asked(3, 4), catch_up: false };
    assert_finds(&accounted(&[run(1), run(2), run(3)], &[pause]), "was paused at");
}

#[test]
fn executions_that_are_twice_or_unknown_or_missing_are_found() {
    assert_finds(&found(&[run(1)], &[start(1), end(1), start(1)]), "started twice");
    assert_finds(&found(&[run(1)], &[start(1)]), "has not come to its end");
    assert_finds(&found(&[run(1)], &[]), "never started");
    assert_finds(&found(&[], &[start(1), end(1)]), "not in the ledger");
    assert_finds(&found(&[run(1), run(2)], &[start(2), end(2), start(1), end(1)]), "tokens do not grow");
    let other = format!("start tick run-9 1 {} {} 0 0\n", at(1).to_rfc3339(), run(5).fencing_token());
    assert_finds(&found(&[run(1)], &[start(1), end(1), other]), "executed as two runs");
    let mut again = run(1);
    let mut second = again.attempts[0].clone();
    second.number = 2;
    again.attempts.push(second);
    assert_finds(&found(&[again], &[start(1), end(1)]), "tried again although it had not failed");
}

/// By a ledger that has lost the first of two executions of a fire.
#[test]
fn a_fire_that_is_executed_again_is_found_unless_nobody_knew_of_the_first_time() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let first = format!("start tick run-9 1 {} {} 0 0\n", at(1).to_rfc3339(), run(0).fencing_token());
    std::fs::write(witness.path(), [first, start(1)].concat()).unwrap();
    let finds = |may_run_again| {
        let mut wrong = Wrongs::default();
        let forgotten = Forgotten { after: 0, before: run(1).fencing_token(), may_run_again };
        Told::read(&witness, &[forgotten], &mut wrong);
        wrong
    };
    assert_finds(&finds(false), "executed as two runs");
    assert!(!finds(true).any(|_| true));
}

#[test]
fn what_a_deposed_leader_hands_out_is_found() {
    let (mut late, next) = (run(1), run(2));
    late.attempts[0].create_time = at(3);
    let mut terms = Terms::default();
    let mut wrong = Wrongs::default();
    terms.add(&run(1));
    terms.add(&next);
    terms.follow_each_other(&mut wrong);
    assert!(!wrong.any(|_| true), "{wrong:?}");
    terms.add(&late);
    terms.follow_each_other(&mut wrong);
    assert_finds(&wrong, "has handed out run-1");
}

#[test]
fn triggers_that_are_lost_doubled_or_done_though_refused_are_found() {
    let mut entered = run(1);
    entered.labels.insert("request".to_owned(), "r".to_owned());
    let finds = |history: &[Run], runs: &[&str], may_exist| {
        let runs = runs.iter().map(|run| (*run).to_owned()).collect();
        let mut wrong = Wrongs::default();
        triggered(history, &[Trigger { request_id: "r".to_owned(), runs, may_exist }], &mut wrong);
        wrong
    };
    assert!(!finds(&[entered.clone()], &["run-1"], false).any(|_| true));
    assert!(!finds(&[entered.clone()], &[], true).any(|_| true));
    assert_finds(&finds(&[], &["run-1"], false), "acknowledged");
    assert_finds(&finds(&[entered.clone()], &[], false), "said not to be done");
    assert_finds(&finds(&[entered.clone(), entered], &["run-1"], false), "more than one run");
}
