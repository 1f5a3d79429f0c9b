//! Sequences 27, 28, 30 and 31.

use scheduler_core::job::{Definition, OnLost, Retry};
use scheduler_core::run::{AttemptState, RunState};
use simulation::Profile;
use simulation::script::Script;

use super::{manual, secs};

fn retrying() -> Definition {
    Definition { retry: Retry { max_attempts: 3, ..Retry::default() }, on_lost: OnLost::Retry, ..manual() }
}

/// Sequences 27 and 28: the leader is cut off from the coordinator, and another is elected when its lease ends, or early.
#[test]
fn running_tasks_outlive_a_leader_that_is_cut_off_from_the_coordinator() {
    for early in [false, true] {
        let mut script = Script::begin(2, 1);
        script.set_tasks_last(secs(40));
        script.create(0, retrying());
        script.trigger(0);
        script.until("it runs", |script| script.running(0) == 1);
        let first = script.leader().expect("a leader");
        script.cut_from_coordinator(first);
        if early {
            script.end_leaders_lease();
        }
        script.until("another leads", |script| script.leader().is_some_and(|other| other != first));
        script.until("the run ends", |script| script.runs(0)[0].state.is_ended());
        let runs = script.runs(0);
        script.check(runs[0].state == RunState::Succeeded, "it succeeds");
        script.check(runs[0].attempt == 1 && script.starts(&runs[0]) == 1, "in its only attempt");
        script.end();
    }
}

/// Sequence 28: while the deposed leader knows nothing, cut off from the ledger too, it confirms nothing.
#[test]
fn a_leader_that_does_not_know_that_it_is_deposed_gives_nobody_a_right_to_run() {
    let mut script = Script::begin(2, 2);
    script.set_tasks_last(secs(60));
    script.create(0, retrying());
    script.trigger(0);
    script.until("it runs", |script| script.running(0) == 1);
    let first = script.leader().expect("a leader");
    script.cut_from_coordinator(first);
    script.cut_from_ledger(first);
    for agent in 0..2 {
        script.cut(agent, 1 - first);
    }
    script.end_leaders_lease();
    script.until("another leads", |script| script.leader().is_some_and(|other| other != first));
    let elected = script.now();
    script.until("the agent stops its task", |script| script.running(0) == 0);
    script.check(script.now().since(elected) < secs(10), "before the new leader may call it LOST");
    let is_lost = |script: &Script| {
        let first = script.runs(0)[0].first_attempt.clone();
        first.is_some_and(|attempt| attempt.state == AttemptState::Lost)
    };
    script.until("it is LOST", is_lost);
    script.check(script.now().since(elected) >= secs(10), "not before a whole TTL");
    script.end();
}

/// Sequence 30.
#[test]
fn a_task_outlives_its_agents_lease_and_its_slot_is_taken_again() {
    let mut script = Script::begin(2, 1);
    script.set_tasks_last(secs(30));
    script.create(0, retrying());
    script.trigger(0);
    script.until("it runs", |script| script.running(0) == 1);
    let before = script.locks();
    script.end_agents_lease(0);
    script.check(script.locks().is_empty(), "its lock is gone");
    script.until("it has its lock again", |script| script.locks() == before);
    script.kill_leader();
    script.until("the run ends", |script| script.runs(0)[0].state.is_ended());
    let runs = script.runs(0);
    script.check(runs[0].state == RunState::Succeeded && runs[0].attempt == 1, "it succeeds in its only attempt");
    script.end();
}

/// A new leader reads the locks, and an attempt that nobody has the lock of gets it again.
#[test]
fn the_next_leader_knows_the_locks_and_releases_what_nobody_needs() {
    let mut script = Script::begin(2, 1);
    script.set_tasks_last(secs(5));
    script.create(0, retrying());
    script.trigger(0);
    script.until("it runs", |script| script.running(0) == 1);
    let before = script.locks();
    script.check(before.len() == 1, "in its slot");
    script.kill_leader();
    script.until("another leads", |script| script.leader().is_some());
    script.run_for(secs(1));
    script.check(script.locks() == before, "the lock outlives the leader");
    script.until("the run ends", |script| script.runs(0)[0].state.is_ended());
    script.until("the lock is released", |script| script.locks().is_empty());
    script.end();
}

/// Sequence 31.
#[test]
fn an_agent_that_was_told_a_longer_ttl_is_given_up_no_earlier() {
    let long = secs(60);
    let mut script = Script::with(Profile { other_agent_ttl: Some(long), ..Profile::calm(2, 2) });
    if script.leader() == Some(1) {
        script.end_leaders_lease();
    }
    script.until("the node with the longer TTL leads", |script| script.leader() == Some(0));
    script.run_for(secs(5));
    script.set_tasks_last(secs(120));
    script.create(0, retrying());
    script.trigger(0);
    script.until("it runs", |script| script.running(0) == 1);
    let holder = script.runs(0)[0].first_attempt.as_ref().map(|attempt| attempt.agent_id.0.clone());
    let holder = usize::from(holder.as_deref() == Some("agent1"));
    for server in 0..2 {
        script.cut(holder, server);
    }
    script.kill_leader();
    script.until("another leads", |script| script.leader() == Some(1));
    let began = script.now();
    script.set_tasks_last(secs(1));
    let is_lost = |script: &Script| {
        let first = script.runs(0)[0].first_attempt.clone();
        first.is_some_and(|attempt| attempt.state == AttemptState::Lost)
    };
    script.until("it is LOST", is_lost);
    script.check(script.now().since(began) >= long, "not before the longer TTL has passed");
    script.until("it succeeds elsewhere", |script| script.runs(0)[0].state == RunState::Succeeded);
    script.end();
}
