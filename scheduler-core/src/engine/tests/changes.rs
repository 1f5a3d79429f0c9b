use crate::engine::{Answer, Command, Refusal};
use crate::job::{Definition, JobState};
use crate::run::{Reason, RunState};
use crate::schedule::Schedule;
use crate::txn::{Call, CallId};

use super::world::{World, every, hello, job, key, seconds, trigger};

fn pause(job_id: &str) -> Command {
    Command::PauseJob { job: key(job_id), note: "because".into() }
}

#[test]
fn a_pause_skips_what_waits_and_nothing_fires_until_it_is_resumed() {
    let mut world = World::leading();
    world.create("tick", every(60));
    world.pass(seconds(61));
    assert_eq!(world.rows(RunState::Pending).len(), 1);
    world.request(pause("tick")).unwrap();
    let skipped = &world.rows(RunState::Skipped)[0];
    assert_eq!(skipped.reason, Some(Reason::Paused));
    assert_eq!(skipped.reason_message, "the job was paused by tester before the run was handed out: because");
    world.join(1, hello("a", 1, 1));
    world.pass_beating(120, &[1]);
    assert!(world.assigned().is_empty());
    world.request(Command::ResumeJob { job: key("tick"), catch_up: false, note: String::new() }).unwrap();
    world.pass_beating(60, &[1]);
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.ledger.runs.len(), 2, "fires while paused are not made up");
}

#[test]
fn fires_that_a_change_finds_undecided_are_one_missed_row() {
    let mut world = World::leading();
    world.create("tick", every(1));
    world.skip(seconds(5));
    world.request(pause("tick")).unwrap();
    let missed = world.rows(RunState::Missed);
    assert_eq!(missed.len(), 1);
    assert_eq!((missed[0].reason, missed[0].coalesced_count), (Some(Reason::JobChanged), 5));
}

#[test]
fn an_edit_that_leaves_the_schedule_loses_no_undecided_fire() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(1));
    world.skip(seconds(1));
    let edited = Definition { description: "new".into(), ..every(1) };
    let update =
        Command::UpdateJob { job: key("tick"), definition: Box::new(edited), etag: None, validate_only: false };
    world.request(update).unwrap();
    world.pass_beating(1, &[1]);
    assert!(world.rows(RunState::Missed).is_empty());
    let assigned = world.assigned();
    assert_eq!(assigned.len(), 1);
    assert_eq!(world.ledger.runs.values().next().unwrap().job_revision, 2);
}

#[test]
fn the_same_definition_again_changes_nothing_and_a_stale_etag_is_refused() {
    let mut world = World::leading();
    let created = world.create("one", job());
    let update = |definition: Definition, etag: Option<String>| Command::UpdateJob {
        job: key("one"),
        definition: Box::new(definition),
        etag,
        validate_only: false,
    };
    let Answer::Job(same) = world.request(update(job(), Some(created.etag()))).unwrap() else { panic!() };
    assert_eq!(same.etag(), created.etag());
    let changed = Definition { priority: 3, ..job() };
    world.request(update(changed.clone(), Some(created.etag()))).unwrap();
    let refused = world.request(update(Definition { priority: 4, ..changed }, Some(created.etag())));
    assert!(matches!(refused, Err(Refusal::StaleEtag { .. })));
}

#[test]
fn disable_and_delete_cancel_what_waits_and_let_what_runs_go_on() {
    for (command, reason) in [
        (Command::DisableJob { job: key("one"), note: String::new() }, Reason::Disabled),
        (Command::DeleteJob { job: key("one"), etag: None }, Reason::Deleted),
    ] {
        let mut world = World::leading();
        world.join(1, hello("a", 1, 1));
        world.create("one", job());
        world.trigger("one");
        world.trigger("one");
        world.request(command).unwrap();
        let cancelled = world.rows(RunState::Cancelled);
        assert_eq!(cancelled.len(), 1);
        assert_eq!(cancelled[0].reason, Some(reason));
        assert!(world.request(trigger("one")).is_err());
        assert_eq!(world.execute_all(), 1);
        assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    }
}

#[test]
fn a_deleted_jobs_name_is_free_for_a_new_job() {
    let mut world = World::leading();
    let first = world.create("one", job());
    assert!(matches!(
        world.request(Command::CreateJob { job: key("one"), definition: Box::new(job()), validate_only: false }),
        Err(Refusal::JobExists(_))
    ));
    world.request(Command::DeleteJob { job: key("one"), etag: None }).unwrap();
    assert_eq!(world.ledger.jobs[&first.uid].state(false), JobState::Deleted);
    let second = world.create("one", job());
    assert_ne!(first.uid, second.uid);
}

#[test]
fn an_instant_within_grace_fires_at_once_and_an_older_one_is_refused() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let at = |ago: u64, world: &World| Definition {
        schedule: Schedule { at: vec![world.now.wall.saturating_sub(seconds(ago))], ..Schedule::default() },
        ..job()
    };
    let recent = at(30, &world);
    world.create("recent", recent);
    assert_eq!(world.execute_all(), 1);
    let old = Box::new(at(90, &world));
    let refused = world.request(Command::CreateJob { job: key("old"), definition: old, validate_only: false });
    let Err(Refusal::Invalid(violations)) = refused else { panic!("{refused:?}") };
    assert_eq!(violations.0[0].field, "schedule.at[0]");
}

#[test]
fn two_parallel_requests_of_one_number_do_one_thing() {
    let mut world = World::leading();
    world.create("one", job());
    world.ledger_works = false;
    let first = world.begin(Some("a"), trigger("one"));
    let second = world.begin(Some("a"), trigger("one"));
    world.ledger_catches_up();
    world.pass(seconds(1));
    let Ok(Answer::Run(run)) = world.answers.remove(&first).unwrap() else { panic!() };
    assert_eq!(world.answers.remove(&second).unwrap(), Ok(Answer::Repeated(run.id.to_string())));
    world.crash();
    let third = world.begin(Some("a"), trigger("one"));
    assert_eq!(world.answers.remove(&third).unwrap(), Ok(Answer::Repeated(run.id.to_string())));
    let other = world.begin(Some("a"), pause("one"));
    assert!(matches!(world.answers.remove(&other).unwrap(), Err(Refusal::RequestIdReused(_))));
    assert_eq!(world.ledger.runs.len(), 1);
}

#[test]
fn a_number_that_was_looked_up_before_its_commit_is_looked_up_again() {
    let mut world = World::leading();
    world.create("one", job());
    world.ledger_works = false;
    let asked = |world: &mut World| -> Vec<(CallId, Call)> {
        world.calls.extract_if(.., |(_, call)| matches!(call, Call::FindRequests(_))).collect()
    };
    let first = world.begin(Some("a"), trigger("one"));
    let (id, call) = asked(&mut world).remove(0);
    let nothing = world.ledger.call(&call, world.now.wall);
    let second = world.begin(Some("a"), trigger("one"));
    world.answer_call(id, nothing.clone());
    // The second look-up is made now, while the first request is on its way, and answered when that is done.
    let (late, _) = asked(&mut world).remove(0);
    let (commit, transaction) = world.commits().remove(0);
    world.calls.clear();
    let done = world.ledger.call(&Call::Commit(transaction), world.now.wall);
    world.answer_call(commit, done);
    let Ok(Answer::Run(run)) = world.answers.remove(&first).unwrap() else { panic!() };
    world.pass(seconds(20));
    world.answer_call(late, nothing);
    world.ledger_catches_up();
    assert_eq!(world.answers.remove(&second), Some(Ok(Answer::Repeated(run.id.to_string()))));
    assert_eq!(world.ledger.runs.len(), 1);
}

#[test]
fn validate_only_writes_nothing() {
    let mut world = World::leading();
    let create = Command::CreateJob { job: key("one"), definition: Box::new(every(1)), validate_only: true };
    assert!(matches!(world.request(create), Ok(Answer::Job(_))));
    assert!(world.ledger.jobs.is_empty());
}
