//! Sequences 20 and 22 to 26.

use scheduler_core::job::{Definition, OnLost, Retry};
use scheduler_core::run::{AttemptState, Reason, RunState};
use simulation::Fault;
use simulation::script::Script;

use super::{every, manual, millis, secs};

fn retrying() -> Definition {
    Definition { retry: Retry { max_attempts: 3, ..Retry::default() }, on_lost: OnLost::Retry, ..manual() }
}

/// Sequence 20. The witness sees to it that no attempt runs on the order of a deposed leader, and no run twice at once.
#[test]
fn a_run_that_a_deposed_leader_still_has_to_send_is_started_by_nobody_on_its_order() {
    let mut script = Script::begin(2, 2);
    script.create(0, retrying());
    script.strike(Fault::LeaderLeftBehind);
    script.trigger(0);
    script.until("an agent comes back to the deposed leader", |script| script.met("left behind", "met again") == 1);
    script.run_for(secs(60));
    let runs = script.runs(0);
    script.check(runs.len() == 1 && runs[0].state == RunState::Succeeded, "the run succeeds");
    script.check(script.starts(&runs[0]) == 1, "it was started once");
    script.end();
}

/// Sequence 22: with the proof that the old instance is gone at once, and without it after its right has ended.
#[test]
fn tasks_of_an_earlier_start_are_given_up_when_they_are_proved_dead_or_their_right_has_ended() {
    for proves in [true, false] {
        let mut script = Script::begin(1, 1);
        script.set_tasks_last(secs(30));
        script.create(0, retrying());
        script.trigger(0);
        script.until("it runs", |script| script.running(0) == 1);
        script.run_for(secs(1));
        script.kill_agent(0);
        if !proves {
            script.forget_state(0);
        }
        script.run_for(millis(500));
        script.start_agent(0);
        let killed = script.now();
        let is_lost = |script: &Script| {
            let first = script.runs(0)[0].first_attempt.clone();
            first.is_some_and(|attempt| attempt.state == AttemptState::Lost)
        };
        script.until("the first attempt is LOST", is_lost);
        let waited = script.now().since(killed);
        let ttl = secs(10);
        script
            .check(if proves { waited < secs(3) } else { waited > ttl - secs(3) && waited < ttl + secs(2) }, "in time");
        script.until("the second succeeds", |script| script.runs(0)[0].state == RunState::Succeeded);
        script.end();
    }
}

/// Sequence 22: two machines of one id.
#[test]
fn a_second_machine_under_a_living_agents_id_is_turned_away() {
    let mut script = Script::begin(1, 1);
    script.set_tasks_last(secs(5));
    script.create(0, retrying());
    script.trigger(0);
    script.until("it runs", |script| script.running(0) == 1);
    script.strike(Fault::TwinAgent);
    script.until("the second hears of the first", |script| script.met("agent says", "AlreadyExists") > 0);
    script.run_for(secs(6));
    let runs = script.runs(0);
    script.check(runs[0].state == RunState::Succeeded && runs[0].attempt == 1, "the first goes on undisturbed");
    script.end();
}

/// Sequence 23.
#[test]
fn an_attempt_that_is_in_the_ledger_and_has_no_lock_is_never_sent() {
    let mut script = Script::begin(1, 1);
    script.create(0, manual());
    script.end_agents_lease(0);
    script.trigger(0);
    script.until("the run succeeds", |script| script.runs(0).iter().any(|run| run.state == RunState::Succeeded));
    let runs = script.runs(0);
    let first = runs[0].first_attempt.as_ref().and_then(|attempt| attempt.reason);
    script.check(first == Some(Reason::LockNotTaken), "the first attempt got no lock");
    script.check(runs[0].attempt == 2 && script.starts(&runs[0]) == 1, "the second was started, and no other");
    script.end();
}

/// Sequence 24: kept over an outage of the ledger, and taken by the next leader.
#[test]
fn a_report_that_was_kept_over_an_outage_and_a_take_over_counts_once() {
    let mut script = Script::begin(2, 1);
    script.set_tasks_last(secs(2));
    script.create(0, retrying());
    script.trigger(0);
    script.until("it runs", |script| script.running(0) == 1);
    let leader = script.leader().expect("a leader");
    for server in 0..2 {
        script.cut_from_ledger(server);
    }
    script.until("it is over", |script| script.running(0) == 0);
    script.run_for(secs(1));
    script.check(!script.runs(0)[0].state.is_ended(), "the ledger does not know yet");
    script.kill_server(leader);
    script.join_ledger(1 - leader);
    script.until("the run ends", |script| script.runs(0)[0].state.is_ended());
    let runs = script.runs(0);
    script.check(runs[0].state == RunState::Succeeded && runs[0].attempt == 1, "as its only attempt did");
    script.end();
}

/// Sequence 25.
#[test]
fn a_shrunk_max_instances_holds_while_higher_slots_are_held() {
    let mut script = Script::begin(2, 2);
    script.set_tasks_last(secs(20));
    script.create(0, Definition { max_instances: 5, ..manual() });
    for _ in 0..5 {
        script.trigger(0);
    }
    script.until("five run", |script| script.running(0) == 5);
    script.check(script.locks().len() == 5, "in a slot each");
    script.set_tasks_last(secs(3));
    script.update(0, Definition { max_instances: 2, ..manual() });
    for _ in 0..4 {
        script.trigger(0);
    }
    script.run_for(secs(5));
    script.kill_leader();
    script.until("another leads", |script| script.leader().is_some());
    script.until("the five are over", |script| script.running(0) < 5);
    // The witness counts attempts against the limit at every hand-out.
    script.until("all are over", |script| {
        let runs = script.runs(0);
        runs.len() == 9 && runs.iter().all(|run| run.state == RunState::Succeeded)
    });
    script.end();
}

/// Sequence 26.
#[test]
fn an_assign_that_comes_after_the_right_to_run_has_ended_starts_nothing() {
    let mut script = Script::begin(1, 2);
    script.create(0, Definition { start_deadline: None, ..retrying() });
    script.create(1, every(secs(3_600)));
    script.trigger(0);
    script.until("it is handed out", |script| script.runs(0).first().is_some_and(|run| run.attempt == 1));
    let agent = script.runs(0)[0].first_attempt.as_ref().map(|attempt| attempt.agent_id.0.clone());
    let agent = usize::from(agent.as_deref() == Some("agent1"));
    script.cut(agent, 0);
    script.run_for(secs(15));
    script.join(agent, 0);
    script.until("the run succeeds", |script| script.runs(0)[0].state == RunState::Succeeded);
    let runs = script.runs(0);
    script.check(script.starts(&runs[0]) == 1, "it was started once, by the other agent");
    script.end();
}
