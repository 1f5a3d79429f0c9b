//! What a client was told holds, also for the server that comes after a `kill -9` (promises 2, 5 and 9).

use std::sync::Barrier;
use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Heard, Rest, Run, Server, Witness, folder, job, noop, now, shell, until};
use serde_json::{Value, json};

const ROUNDS: usize = 12;

/// Asks from two sides at once; `meanwhile` happens while both are under way.
fn ask_twice(rest: &Rest, request_id: &str, meanwhile: impl FnOnce()) -> [Heard; 2] {
    let barrier = Barrier::new(3);
    let body = json!({ "requestId": request_id, "labels": { "request": request_id } });
    let ask = || {
        barrier.wait();
        rest.ask("POST", "/jobs/manual/trigger", &body)
    };
    thread::scope(|scope| {
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        barrier.wait();
        meanwhile();
        asking.map(|asking| asking.join().expect("because it does not panic"))
    })
}

fn run_id(heard: &Heard) -> Option<&str> {
    match heard {
        Heard::Done(run) => run["runId"].as_str(),
        Heard::NotDone | Heard::Nothing => None,
    }
}

#[test]
fn two_parallel_triggers_of_a_request_id_and_a_third_after_a_kill_are_one_run() {
    let folder = folder();
    let mut server = Server::bare(folder.path(), &[]);
    server.rest.create(&job("manual", noop(), json!({})));
    let rest = server.rest.clone();
    for round in 0..ROUNDS {
        let id = format!("request-{round}");
        // The server dies after both answers in one round, and before or between them in the next.
        let dies_early = round % 2 == 1;
        let two = ask_twice(&rest, &id, || {
            if dies_early {
                server.kill();
            }
        });
        if dies_early {
            server.start();
        } else {
            assert!(two.iter().all(|heard| run_id(heard).is_some()), "{two:?}");
            server.kill_and_start();
        }
        let body = json!({ "requestId": id, "labels": { "request": id } });
        let third = rest.ask("POST", "/jobs/manual/trigger", &body);
        let third = run_id(&third).expect("because nobody kills this one");
        for heard in two.iter().filter_map(run_id) {
            assert_eq!(heard, third, "{id} in round {round}");
        }
    }
    let mut requests: Vec<_> = server.rest.history("manual").iter().map(|run| run.labels["request"].clone()).collect();
    let mut expected: Vec<_> = (0..ROUNDS).map(|round| format!("request-{round}")).collect();
    requests.sort();
    expected.sort();
    assert_eq!(requests, expected, "one run for each");
}

/// Acknowledges a change that lets `job` fire no more, and answers when that was.
type Change = fn(&Rest) -> DateTime<Utc>;

fn pause(rest: &Rest) -> DateTime<Utc> {
    rest.act("changed", "pause");
    rest.act("slow", "pause");
    now()
}

fn exclude_today(rest: &Rest) -> DateTime<Utc> {
    let day = |days| (now() + TimeDelta::days(days)).date_naive().to_string();
    let ranges = json!([{ "startDate": day(-1), "endDate": day(2) }]);
    rest.call("PATCH", "/calendars/holidays", Some(&json!({ "ranges": ranges }))).ok();
    now()
}

fn disable(rest: &Rest) -> DateTime<Utc> {
    for id in ["changed", "slow"] {
        rest.call("PATCH", &format!("/jobs/{id}"), Some(&json!({ "enabled": false }))).ok();
    }
    now()
}

fn edit(rest: &Rest) -> DateTime<Utc> {
    for id in ["changed", "slow"] {
        rest.call("PATCH", &format!("/jobs/{id}"), Some(&json!({ "schedule": { "every": ["3600s"] } }))).ok();
    }
    now()
}

fn delete(rest: &Rest) -> DateTime<Utc> {
    for id in ["changed", "slow"] {
        rest.call("DELETE", &format!("/jobs/{id}"), None).ok();
    }
    now()
}

fn lines_of(witness: &Witness, job_id: &str) -> Vec<Vec<String>> {
    witness.lines().into_iter().filter(|line| line[0] == job_id).collect()
}

/// Ten more fires of a job that was not changed: what was to happen to the others has happened.
#[track_caller]
fn let_time_pass(witness: &Witness) {
    let before = lines_of(witness, "control").len();
    until("ten fires of another job", 30, || (lines_of(witness, "control").len() >= before + 10).then_some(()));
}

#[track_caller]
fn assert_holds_from_its_answer_on(change: Change) {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let mut server = Server::with_agent(folder.path());
    let record = format!("echo $PUNCTUAL_JOB_ID $PUNCTUAL_RUN_ID $PUNCTUAL_SCHEDULED_TIME >> {}", witness.path());
    let calendar = json!({ "calendarId": "holidays", "dates": ["2001-01-01"] });
    server.rest.call("POST", "/calendars", Some(&calendar)).ok();
    let every = |every: &str, calendars: Value| json!({ "schedule": { "every": [every], "excludeCalendars": calendars }, "maxInstances": 4, "coalesce": false });
    server.rest.create(&job("control", shell(&record), every("0.1s", json!([]))));
    server.rest.create(&job("changed", shell(&record), every("0.1s", json!(["holidays"]))));
    let gate = folder.path().join("gate");
    let script = format!("{record}; until [ -e {} ]; do sleep 0.05; done", gate.display());
    server.rest.create(&job("slow", shell(&script), every("0.2s", json!(["holidays"]))));
    until("fires of all", 30, || {
        (lines_of(&witness, "changed").len() >= 5 && lines_of(&witness, "slow").len() >= 2).then_some(())
    });

    let answered = change(&server.rest);
    let_time_pass(&witness);
    server.kill_and_start();
    let_time_pass(&witness);

    for id in ["changed", "slow"] {
        for line in lines_of(&witness, id) {
            let scheduled: DateTime<Utc> = line[2].parse().expect("RFC 3339");
            let run = server.rest.run(&line[1]);
            let first = run.attempts.first().expect("because it has started");
            assert!(scheduled <= answered && first.create_time <= answered, "after {answered}: {run:?}");
        }
        for run in server.rest.history(id).iter().filter(|run| run.trigger == "SCHEDULE") {
            assert!(run.scheduled_time <= answered, "after {answered}: {run:?}");
        }
    }
    std::fs::write(&gate, "").expect("because the folder is the test's");
    until("all that had begun to end", 30, || {
        let ended = |id| server.rest.history(id).iter().all(Run::ended);
        (ended("changed") && ended("slow")).then_some(())
    });
}

#[test]
fn nothing_is_handed_out_after_the_answer_to_a_pause() {
    assert_holds_from_its_answer_on(pause);
}

#[test]
fn nothing_is_handed_out_after_the_answer_to_a_disable() {
    assert_holds_from_its_answer_on(disable);
}

#[test]
fn nothing_is_handed_out_after_the_answer_to_an_edit_of_the_schedule() {
    assert_holds_from_its_answer_on(edit);
}

#[test]
fn nothing_is_handed_out_after_the_answer_to_a_delete() {
    assert_holds_from_its_answer_on(delete);
}

#[test]
fn nothing_is_handed_out_on_a_day_after_the_answer_to_the_calendar_that_excludes_it() {
    assert_holds_from_its_answer_on(exclude_today);
}

#[test]
fn what_was_handed_out_before_a_pause_goes_on() {
    let folder = folder();
    let witness = Witness::new(folder.path());
    let server = Server::with_agent(folder.path());
    let gate = folder.path().join("gate");
    let script =
        format!("echo $PUNCTUAL_RUN_ID >> {}; until [ -e {} ]; do sleep 0.05; done", witness.path(), gate.display());
    server.rest.create(&job("slow", shell(&script), json!({ "schedule": { "every": ["0.2s"] } })));
    let run_id = until("a run to begin", 20, || Some(witness.lines().first()?[0].clone()));
    server.rest.act("slow", "pause");
    std::fs::write(&gate, "").expect("because the folder is the test's");
    let ended = until("its end", 20, || Some(server.rest.run(&run_id)).filter(Run::ended));
    assert!(ended.succeeded() && ended.attempt == 1, "{ended:?}");
    assert_eq!(witness.lines().len(), 1, "the pause let nothing follow it");
}
