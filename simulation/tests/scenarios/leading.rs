//! Sequence 39, and the leader that wakes up.

use scheduler_core::run::RunState;
use simulation::script::Script;

use super::{every, manual, millis, secs};

/// Sequence 39. The servers' clocks step back too: with one that is not the ledger's no node leads.
#[test]
fn epochs_and_tokens_grow_though_the_ledgers_clock_steps_back_before_a_take_over() {
    let mut script = Script::begin(2, 1);
    script.create(0, manual());
    script.trigger(0);
    script.run_for(secs(2));
    let (epoch, token) = (script.epoch(), last_token(&script));
    script.set_all_clocks(-11 * 60);
    let first = script.kill_leader();
    script.until("the ledger has another epoch", |script| script.epoch() != epoch);
    script.check(script.epoch() > epoch, "it is greater");
    script.set_all_clocks(0);
    script.trigger(0);
    script.until("the second run succeeds", |script| {
        let runs = script.runs(0);
        runs.len() == 2 && runs.iter().all(|run| run.state == RunState::Succeeded)
    });
    script.check(last_token(&script) > token, "tokens grow");
    script.start_server(first);
    script.end();
}

fn last_token(script: &Script) -> Option<i64> {
    script.runs(0).iter().filter_map(|run| run.first_attempt.as_ref()).map(|attempt| attempt.fencing_token.0).max()
}

/// DESIGN.md, section 7: a frozen leader is replaced, and after waking does nothing but step down.
#[test]
fn a_frozen_leader_is_replaced_and_wakes_to_step_down() {
    let mut script = Script::begin(2, 1);
    script.create(0, every(secs(1)));
    script.run_for(secs(3));
    let first = script.leader().expect("a leader");
    script.freeze_server(first);
    let frozen = script.now();
    script.until("another leads", |script| script.leader().is_some());
    script.check(script.now().since(frozen) < millis(3_500), "its lease and half a second later");
    script.run_for(secs(10));
    let second = script.leader();
    script.wake_server(first);
    script.run_for(secs(10));
    script.check(script.leader() == second, "the second goes on leading");
    let runs = script.scheduled(0);
    script.check(runs.iter().map(|run| run.coalesced_count).sum::<u64>() > 20, "no fire is lost");
    script.end();
}
