//! Sequences 13, 14 and 17.

use scheduler_core::run::RunState;
use simulation::script::{Script, pause, trigger};

use super::{every, manual, millis, secs};

/// Sequence 13.
#[test]
fn a_job_and_a_pause_that_were_acknowledged_outlive_the_leader_that_did_them() {
    let mut script = Script::begin(2, 1);
    script.create(0, every(secs(1)));
    let first = script.kill_leader();
    script.until("another leads", |script| script.leader().is_some());
    script.until("it fires", |script| script.scheduled(0).iter().any(|run| run.state == RunState::Succeeded));
    script.start_server(first);
    script.run_for(secs(2));
    script.done(pause(0));
    let started = script.met("task", "started");
    script.kill_leader();
    script.until("the first leads again", |script| script.leader() == Some(first));
    script.run_for(secs(5));
    script.check(script.met("task", "started") <= started + 1, "nothing fires but what was handed out before");
    script.end();
}

/// Sequence 14: whichever comes first, nothing is sent to an agent after the answer.
#[test]
fn a_fire_in_flight_is_not_sent_after_a_pause_is_answered() {
    for early in 0..40 {
        let mut script = Script::begin(1, 1);
        script.create(0, every(secs(2)));
        script.until("one has run", |script| script.scheduled(0).iter().any(|run| run.state == RunState::Succeeded));
        let next = script.scheduled(0)[0].scheduled_time.saturating_add(secs(2));
        // From two milliseconds before the fire to two after it.
        let when = next.saturating_sub(millis(2)).saturating_add(std::time::Duration::from_micros(early * 100));
        let wait = when.since(script.wall());
        script.run_for(wait);
        let answered = script.met("effect", "Answer");
        script.ask(pause(0));
        script.until("the pause is answered", |script| script.met("effect", "Answer") > answered);
        let assigned = script.met("server's message", "Assign");
        script.run_for(secs(5));
        script.check(script.met("server's message", "Assign") == assigned, "nothing is sent after the answer");
        script.end();
    }
}

/// Sequence 17.
#[test]
fn a_trigger_whose_outcome_nobody_heard_of_makes_one_run_for_one_number() {
    for leader_dies in [false, true] {
        for numbered in [false, true] {
            let mut script = Script::begin(2, 1);
            script.create(0, manual());
            let leader = script.leader().expect("a leader");
            script.lose_next_answer_to(leader);
            let asked = script.ask_of(leader, trigger(0), numbered);
            script.until("the run is in the ledger", |script| script.runs(0).len() == 1);
            if leader_dies {
                script.kill_server(leader);
            }
            script.run_for(secs(60));
            let answered = matches!(script.answer(asked), Some(Ok(_)));
            script
                .check(answered || (leader_dies && !numbered), "who asks again with the number hears that it is done");
            let runs = script.runs(0);
            script.check(runs.len() == 1 && script.starts(&runs[0]) == 1, "one run, which ran once");
            script.end();
        }
    }
}
