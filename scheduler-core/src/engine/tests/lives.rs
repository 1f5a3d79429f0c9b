//! How jobs come back and go for good: undelete, restore, deletion after completion.

use crate::agent::Outcome;
use crate::engine::{Answer, Command, Refusal};
use crate::job::{Definition, JobState};
use crate::run::{Reason, RunState};
use crate::schedule::Schedule;
use crate::time::Timestamp;
use crate::txn::{Change, Failure};

use super::world::{World, every, hello, job, key, seconds, trigger};

const DAY: u64 = 86_400;

fn delete() -> Command {
    Command::DeleteJob { job: key("tick"), etag: None }
}

fn undelete() -> Command {
    Command::UndeleteJob { job: key("tick") }
}

fn once(world: &World, after: u64) -> Definition {
    let at = vec![world.now.wall.saturating_add(seconds(after))];
    Definition { schedule: Schedule { at, ..Schedule::default() }, delete_after_completion: true, ..job() }
}

#[test]
fn an_undeleted_job_goes_on_and_what_it_missed_is_not_made_up() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let created = world.create("tick", every(10));
    assert!(matches!(world.request(undelete()), Err(Refusal::JobExists(_))));
    world.request(delete()).unwrap();
    world.pass_beating(95, &[1]);
    let Ok(Answer::Job(back)) = world.request(undelete()) else { panic!("it comes back") };
    assert_eq!((back.uid, back.revision, back.state(false)), (created.uid, 3, JobState::Active));
    assert_eq!(world.ledger.runs.len(), 0);
    world.pass_beating(6, &[1]);
    assert_eq!(world.execute_all(), 1, "the fire after its return");
    world.crash();
    world.join(1, hello("a", 1, 1));
    world.pass_beating(10, &[1]);
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.ledger.runs.len(), 2);
}

#[test]
fn a_name_that_is_taken_or_forgotten_is_not_undeleted() {
    let mut world = World::leading();
    assert!(matches!(world.request(undelete()), Err(Refusal::JobNotFound(_))));
    world.create("tick", job());
    world.request(delete()).unwrap();
    world.create("tick", job());
    assert!(matches!(world.request(undelete()), Err(Refusal::JobExists(_))));
    world.request(delete()).unwrap();
    world.skip(seconds(30 * DAY));
    assert!(matches!(world.request(undelete()), Err(Refusal::JobNotFound(_))));
}

#[test]
fn a_paused_job_that_was_deleted_does_not_make_up_the_time_of_its_absence() {
    let mut world = World::leading();
    world.create("tick", every(10));
    world.request(Command::PauseJob { job: key("tick"), note: String::new() }).unwrap();
    world.request(delete()).unwrap();
    world.skip(seconds(600));
    world.request(undelete()).unwrap();
    world.skip(seconds(20));
    world.join(1, hello("a", 1, 1));
    world.request(Command::ResumeJob { job: key("tick"), catch_up: true, note: String::new() }).unwrap();
    world.pass_beating(1, &[1]);
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.rows(RunState::Succeeded)[0].coalesced_count, 2);
}

#[test]
fn a_restored_definition_is_a_new_revision_under_the_same_rules_as_an_edit() {
    let mut world = World::leading();
    let first = world.create("tick", every(1));
    let slower =
        Command::UpdateJob { job: key("tick"), definition: Box::new(every(3_600)), etag: None, validate_only: false };
    world.request(slower).unwrap();
    let restore = |etag| Command::RestoreJobRevision {
        job: key("tick"),
        definition: Box::new((*first.definition).clone()),
        etag,
        note: "back".into(),
        validate_only: false,
    };
    assert!(matches!(world.request(restore(Some(first.etag()))), Err(Refusal::StaleEtag { .. })));
    let Ok(Answer::Job(restored)) = world.request(restore(None)) else { panic!("it is restored") };
    assert_eq!((restored.revision, &restored.definition), (3, &first.definition));
    let Ok(Answer::Job(same)) = world.request(restore(None)) else { panic!("nothing is to be done") };
    assert_eq!(same.revision, 3);
}

/// Nor does the leader ask again and again.
#[test]
fn a_deletion_after_completion_that_the_ledger_refuses_costs_no_more_than_itself() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    let definition = once(&world, 10);
    let uid = world.create("tick", definition).uid;
    world.ledger.refuses = Some(Box::new(|transaction| {
        let deletes = transaction.jobs.iter().any(|write| write.change == Change::Delete);
        deletes.then(|| Failure::Refused("bad bytes".into()))
    }));
    world.pass_beating(11, &[1]);
    assert_eq!(world.execute_all(), 1);
    world.pass_beating(5, &[1]);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    assert_eq!(world.ledger.jobs[&uid].delete_time, None);
    world.ledger.refuses = None;
    world.crash();
    world.pass(seconds(1));
    assert!(world.ledger.jobs[&uid].delete_time.is_some(), "the next leader does it");
}

#[test]
fn a_completed_job_is_deleted_with_the_end_of_its_last_run() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    let definition = once(&world, 10);
    let uid = world.create("tick", definition).uid;
    world.pass_beating(11, &[1]);
    world.request(trigger("tick")).unwrap();
    let scheduled = world.assigned()[0].1.attempt;
    world.finish(1, scheduled, Outcome::Failed);
    assert_eq!(world.ledger.jobs[&uid].delete_time, None, "a run waits for the slot");
    assert_eq!(world.execute_all(), 1);
    let deleted = &world.ledger.jobs[&uid];
    assert_eq!(deleted.delete_time, Some(world.now.wall));
    assert!(matches!(world.request(trigger("tick")), Err(Refusal::JobDeleted(_))));
}

#[test]
fn a_job_whose_last_fire_is_missed_is_deleted_too_and_a_paused_one_when_it_is_resumed() {
    let mut world = World::leading();
    let definition = Definition { misfire_grace_time: seconds(1), ..once(&world, 10) };
    let uid = world.create("tick", definition).uid;
    world.skip(seconds(60));
    world.crash();
    assert_eq!(world.rows(RunState::Missed).len(), 1);
    assert!(world.ledger.jobs[&uid].delete_time.is_some());

    let definition = once(&world, 10);
    let uid = world.create("tick", definition).uid;
    world.request(Command::PauseJob { job: key("tick"), note: String::new() }).unwrap();
    world.pass(seconds(60));
    assert_eq!(world.ledger.jobs[&uid].delete_time, None);
    world.request(Command::ResumeJob { job: key("tick"), catch_up: false, note: String::new() }).unwrap();
    assert!(world.ledger.jobs[&uid].delete_time.is_some());
}

#[test]
fn a_completed_job_that_is_undeleted_stays_and_can_be_triggered() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let definition = once(&world, 10);
    let uid = world.create("tick", definition).uid;
    world.pass_beating(11, &[1]);
    assert_eq!(world.execute_all(), 1);
    assert!(world.ledger.jobs[&uid].delete_time.is_some());
    let Ok(Answer::Job(back)) = world.request(undelete()) else { panic!("it comes back") };
    assert_eq!((back.delete_time, back.definition.delete_after_completion), (None, false));
    assert_eq!(world.ledger.jobs[&uid], *back);
    world.pass_beating(60, &[1]);
    world.crash();
    world.join(1, hello("a", 1, 1));
    world.pass_beating(60, &[1]);
    world.trigger("tick");
    assert_eq!(world.execute_all(), 1);
    world.pass_beating(60, &[1]);
    assert_eq!(world.ledger.jobs[&uid].delete_time, None);
}

#[test]
fn a_paused_or_counted_out_job_that_is_undeleted_stays_when_it_is_resumed() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let counted = Schedule { max_fires: Some(1), ..every(10).schedule };
    let definition = Definition { schedule: counted, delete_after_completion: true, ..job() };
    let uid = world.create("tick", definition).uid;
    world.pass_beating(11, &[1]);
    assert_eq!(world.execute_all(), 1);
    assert!(world.ledger.jobs[&uid].delete_time.is_some());
    world.request(undelete()).unwrap();
    world.request(Command::PauseJob { job: key("tick"), note: String::new() }).unwrap();
    world.request(Command::ResumeJob { job: key("tick"), catch_up: false, note: String::new() }).unwrap();
    world.pass_beating(60, &[1]);
    assert_eq!(world.ledger.jobs[&uid].delete_time, None);
}

#[test]
fn an_undeleted_job_that_still_fires_is_deleted_after_its_last_fire() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let definition = once(&world, 10);
    let uid = world.create("tick", definition).uid;
    world.request(delete()).unwrap();
    world.request(undelete()).unwrap();
    world.pass_beating(11, &[1]);
    assert_eq!(world.execute_all(), 1);
    assert!(world.ledger.jobs[&uid].delete_time.is_some());
}

#[test]
fn a_manual_job_is_never_complete() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    let uid = world.create("tick", Definition { delete_after_completion: true, ..job() }).uid;
    world.request(trigger("tick")).unwrap();
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.ledger.jobs[&uid].delete_time, None);
}

#[test]
fn rows_that_never_ran_say_why_in_words() {
    let mut world = World::leading();
    world.create("tick", Definition { misfire_grace_time: seconds(10), ..every(1) });
    world.skip(seconds(47));
    world.crash();
    let missed = &world.rows(RunState::Missed)[0];
    let words = "36 fires were found 11 seconds late, misfire_grace_time is 10 seconds";
    assert_eq!((missed.coalesced_count, missed.reason_message.as_str()), (36, words));
    let last = world.now.wall.saturating_sub(seconds(11));
    let first = Timestamp::from_secs(1_700_000_001);
    assert_eq!((missed.first_scheduled_time, missed.scheduled_time), (Some(first), last));

    let expiring = Definition { start_deadline: Some(seconds(5)), ..job() };
    world.create("late", expiring);
    world.request(trigger("late")).unwrap();
    world.pass(seconds(6));
    let expired = &world.rows(RunState::Expired)[0];
    assert_eq!(expired.reason, Some(Reason::StartDeadline));
    let words = "not started within start_deadline (5 seconds): no connected agent offers task type noop";
    assert_eq!(expired.reason_message, words);
}
