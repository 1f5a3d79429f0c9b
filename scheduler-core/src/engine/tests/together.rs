//! Runs by request that came while their job's last transaction was under way: they share the next.

use std::collections::BTreeMap;

use crate::engine::{Answer, Command, Refusal};
use crate::job::Definition;
use crate::txn::Failure;

use super::world::{World, hello, job, key, trigger};

/// A leader whose ledger is slow: a trigger of the job is on its way there.
fn with_a_write_under_way() -> World {
    let mut world = World::leading();
    world.create("one", Definition { max_instances: 9, ..job() });
    world.ledger_works = false;
    world.begin(None, trigger("one"));
    assert_eq!(world.commits().len(), 1);
    world
}

/// The ledger takes the oldest call that waits, and nothing more.
fn ledger_takes_one(world: &mut World) {
    let (id, call) = world.calls.remove(0);
    let result = world.ledger.call(&call, world.now.wall);
    world.answer_call(id, result);
}

#[test]
fn triggers_that_piled_up_are_entered_together() {
    let mut world = with_a_write_under_way();
    // So many that some of their ids follow one another.
    let waiting: Vec<_> = (0..50).map(|_| world.begin(None, trigger("one"))).collect();
    ledger_takes_one(&mut world);
    let commits = world.commits();
    assert_eq!(commits.iter().map(|(_, transaction)| transaction.entered.len()).collect::<Vec<_>>(), [50]);
    assert!(waiting.iter().all(|handle| !world.answers.contains_key(handle)), "nothing is answered before it is there");
    ledger_takes_one(&mut world);
    let mut runs: Vec<_> = waiting
        .iter()
        .map(|handle| match &world.answers[handle] {
            Ok(Answer::Run(run)) => run.id,
            other => panic!("{other:?}"),
        })
        .collect();
    runs.dedup();
    assert_eq!((runs.len(), world.ledger.runs.len()), (50, 51));
}

#[test]
fn the_same_number_twice_is_not_answered_before_its_run_is_there() {
    let mut world = with_a_write_under_way();
    let first = world.begin(Some("again"), trigger("one"));
    let second = world.begin(Some("again"), trigger("one"));
    let begun = world.calls.remove(0);
    // Two questions about the number, which the ledger does not know yet.
    ledger_takes_one(&mut world);
    ledger_takes_one(&mut world);
    world.calls.insert(0, begun);
    ledger_takes_one(&mut world);
    assert_eq!(world.commits()[0].1.entered.len(), 1);
    assert!(!world.answers.contains_key(&second));
    ledger_takes_one(&mut world);
    // It was asked too early: the number is looked up again.
    ledger_takes_one(&mut world);
    let Ok(Answer::Run(run)) = &world.answers[&first] else { panic!("{:?}", world.answers[&first]) };
    assert_eq!(world.answers[&second], Ok(Answer::Repeated(run.id.to_string())));
    assert_eq!(world.ledger.runs.len(), 2);
}

#[test]
fn a_trigger_waits_for_a_change_of_its_job_that_came_before() {
    let mut world = with_a_write_under_way();
    world.begin(None, Command::DisableJob { job: key("one"), note: String::new() });
    let late = world.begin(None, trigger("one"));
    ledger_takes_one(&mut world);
    assert!(!world.answers.contains_key(&late), "the change it would be refused for is not there yet");
    ledger_takes_one(&mut world);
    assert_eq!(world.answers[&late], Err(Refusal::JobDisabled(key("one"))));
}

#[test]
fn of_triggers_entered_together_the_one_that_the_ledger_refuses_costs_no_other() {
    let mut world = with_a_write_under_way();
    let labels = BTreeMap::from([("is".to_owned(), "bad".to_owned())]);
    let bad = Command::TriggerJob { job: key("one"), payload: None, labels, not_before: None };
    let before = [(); 2].map(|()| world.begin(None, trigger("one")));
    let bad = world.begin(None, bad);
    let after = [(); 2].map(|()| world.begin(None, trigger("one")));
    world.ledger.refuses = Some(Box::new(|transaction| {
        let is_bad = transaction.entered.iter().any(|run| run.labels.contains_key("is"));
        is_bad.then(|| Failure::Refused("bad bytes".into()))
    }));
    world.ledger_catches_up();
    world.join(1, hello("a", 1, 9));
    assert!(matches!(world.answers[&bad], Err(Refusal::RefusedByLedger(_))));
    assert!(before.iter().chain(&after).all(|handle| matches!(world.answers[handle], Ok(Answer::Run(_)))));
    assert_eq!((world.ledger.runs.len(), world.execute_all()), (5, 5));
    assert_eq!(world.engine.stats().take_overs, 1);
}
