//! What the leader tells of itself: rates, lateness, locks.

use crate::agent::Outcome;
use crate::engine::{Answer, Command, LockFilter, NextFire, Status};
use crate::ids::AgentId;
use crate::job::Definition;

use super::world::{World, every, hello, job, key, seconds};

fn status(world: &mut World) -> Status {
    match world.request(Command::Status).unwrap() {
        Answer::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

fn locks(world: &mut World, filter: LockFilter) -> Vec<(String, u32)> {
    match world.request(Command::Locks(filter)).unwrap() {
        Answer::Locks(locks) => locks.into_iter().map(|lock| (lock.job.job_id, lock.slot)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_status_tells_what_was_done_of_late_and_how_late() {
    let mut world = World::leading();
    assert_eq!(status(&mut world).lateness, None);
    world.create("one", Definition { max_instances: 9, ..job() });
    for _ in 0..5 {
        world.trigger("one");
    }
    world.pass(seconds(2));
    world.join(1, hello("a", 1, 9));
    assert_eq!(world.execute_all(), 5);
    let told = status(&mut world);
    assert_eq!(told.lateness, Some((seconds(2), seconds(2))));
    let per_second = |rate: f64| (rate * 2.0).round();
    assert_eq!([told.rates.dispatches, told.rates.completions].map(per_second), [5.0, 5.0]);
    world.pass_beating(30, &[1]);
    let idle = status(&mut world);
    assert_eq!((idle.lateness, idle.rates.completions), (None, 0.0));
}

#[test]
fn the_locks_are_the_slots_of_unended_attempts() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 9));
    world.create("b", Definition { max_instances: 2, ..job() });
    world.create("a", job());
    for job in ["b", "a", "b"] {
        world.trigger(job);
    }
    let all = || LockFilter { most: 10, ..LockFilter::default() };
    let held = |job: &str, slot| (job.to_owned(), slot);
    assert_eq!(locks(&mut world, all()), [held("a", 0), held("b", 0), held("b", 1)]);
    let after = LockFilter { after: Some((key("b"), 0)), ..all() };
    assert_eq!(locks(&mut world, after), [held("b", 1)]);
    assert_eq!(locks(&mut world, LockFilter { most: 1, ..all() }), [held("a", 0)]);
    assert_eq!(locks(&mut world, LockFilter { job_id: Some("a".to_owned()), ..all() }), [held("a", 0)]);
    assert_eq!(locks(&mut world, LockFilter { agent: Some(AgentId::from("x")), ..all() }), []);
    assert_eq!(locks(&mut world, LockFilter { namespace: Some("x".to_owned()), ..all() }), []);
    for (_, assign) in world.assigned() {
        world.finish(1, assign.attempt, Outcome::Succeeded);
    }
    assert_eq!(locks(&mut world, all()), []);
}

#[test]
fn the_next_fires_are_those_of_each_job_in_the_order_of_time() {
    let mut world = World::leading();
    let jobs = [30, 10, 20].map(|period| world.create(&format!("every-{period}"), every(period)));
    world.create("manual", job());
    world.request(Command::PauseJob { job: key("every-20"), note: String::new() }).unwrap();
    let told = |world: &mut World, after, most| match world.request(Command::Upcoming { after, most }).unwrap() {
        Answer::Upcoming(fires) => fires,
        other => panic!("{other:?}"),
    };
    let names = |fires: &[NextFire]| fires.iter().map(|fire| fire.job.job_id.clone()).collect::<Vec<_>>();
    let all = told(&mut world, None, 10);
    assert_eq!(names(&all), ["every-10", "every-30"]);
    assert_eq!(all[0].time, jobs[1].create_time.saturating_add(seconds(10)));
    let first = told(&mut world, None, 1);
    assert_eq!(names(&first), ["every-10"]);
    assert_eq!(names(&told(&mut world, Some((first[0].time, first[0].job_uid)), 1)), ["every-30"]);
    // One that is due and waits for an agent is among them still.
    world.pass(seconds(10));
    assert_eq!(names(&told(&mut world, None, 10)), ["every-10", "every-30"]);
}
