//! What the engine has the ledger delete, and when.

use crate::engine::{Answer, Away, Command, Refusal};
use crate::job::{Definition, Retention};
use crate::txn::{Failure, Kept, Purge, PurgeFilter, Purged};

use super::world::{World, job, key, seconds, trigger};

fn kept(purge: &Purge) -> &[Kept] {
    match purge {
        Purge::Retention(kept) => kept,
        other => panic!("{other:?}"),
    }
}

fn asked() -> Command {
    let filter = PurgeFilter {
        namespace: "default".into(),
        job_id: None,
        states: Vec::new(),
        ended_before: crate::time::Timestamp::from_secs(1),
    };
    Command::PurgeRuns { filter, most: 10_000 }
}

#[test]
fn every_jobs_history_is_looked_at_a_few_jobs_at_a_time_and_again() {
    let mut world = World::leading();
    let retention = Retention { max_runs: 7, max_age: seconds(3_600) };
    for n in 0..40 {
        world.create(&format!("job-{n}"), Definition { retention: retention.clone(), ..job() });
    }
    world.pass(seconds(59));
    assert_eq!(world.ledger.purges.len(), 0, "not while a term begins");
    world.pass(seconds(3));
    let [first, second, Purge::ExpiredJobs { deleted_until }, Purge::Requests { before }] = &world.ledger.purges[..]
    else {
        panic!("{:?}", world.ledger.purges)
    };
    assert_eq!((kept(first).len(), kept(second).len()), (32, 8));
    let mut jobs: Vec<_> = kept(first).iter().chain(kept(second)).map(|kept| kept.job).collect();
    jobs.dedup();
    assert_eq!(jobs, world.ledger.jobs.keys().copied().collect::<Vec<_>>());
    let age = world.now.wall.since(kept(first)[0].ended_since).as_secs();
    assert_eq!((kept(first)[0].max_runs, age / 60), (7, 60));
    assert_eq!(world.now.wall.since(*deleted_until).as_secs() / 86_400, 30);
    assert_eq!(world.now.wall.since(*before).as_secs() / 3_600, 24);
    world.pass(seconds(61));
    assert!(world.ledger.purges.len() >= 6, "a second time");
}

#[test]
fn a_history_that_is_not_done_is_gone_on_with_before_the_next() {
    let mut world = World::leading();
    world.create("tick", job());
    world.ledger.purged.extend([true, true, false].map(|more| Purged { runs: 500, jobs: Vec::new(), more }));
    world.pass(seconds(62));
    let purges = &world.ledger.purges;
    assert_eq!(purges.iter().filter(|purge| matches!(purge, Purge::Retention(_))).count(), 3);
    assert!(matches!(purges[3..], [Purge::ExpiredJobs { .. }, Purge::Requests { .. }]), "{purges:?}");
}

#[test]
fn the_numbers_of_requests_are_forgotten_after_a_day_a_batch_at_a_time() {
    let mut world = World::leading();
    world.create("tick", job());
    let number = |world: &mut World| {
        world.begin(Some("once"), trigger("tick"));
    };
    number(&mut world);
    world.skip(seconds(23 * 3_600));
    world.pass(seconds(122));
    number(&mut world);
    assert_eq!((world.ledger.runs.len(), world.ledger.requests.len()), (1, 1));
    world.skip(seconds(3_600));
    let nothing = Purged::default();
    world.ledger.purged.extend([nothing.clone(), nothing.clone(), Purged { more: true, ..nothing.clone() }, nothing]);
    world.ledger.purges.clear();
    world.pass(seconds(2));
    let batches = world.ledger.purges.iter().filter(|purge| matches!(purge, Purge::Requests { .. }));
    assert_eq!((batches.count(), world.ledger.requests.len()), (2, 0));
    number(&mut world);
    assert_eq!(world.ledger.runs.len(), 2);
}

#[test]
fn a_job_that_is_gone_is_forgotten_and_only_that() {
    let mut world = World::leading();
    let (gone, live) = (world.create("gone", job()), world.create("live", job()));
    world.request(Command::DeleteJob { job: key("gone"), etag: None }).unwrap();
    world.ledger.purged.extend([Purged::default(), Purged { runs: 1, jobs: vec![gone.uid, live.uid], more: false }]);
    world.pass(seconds(62));
    let undelete = |job_id| Command::UndeleteJob { job: key(job_id) };
    assert!(matches!(world.request(undelete("gone")), Err(Refusal::JobNotFound(_))));
    assert!(matches!(world.request(undelete("live")), Err(Refusal::JobExists(_))));
}

#[test]
fn who_asks_for_a_purge_hears_what_went_or_that_nobody_knows() {
    let mut world = World::leading();
    let gone = Purged { runs: 3, jobs: Vec::new(), more: true };
    world.ledger.purged.push_back(gone.clone());
    assert_eq!(world.request(asked()).unwrap(), Answer::Purged(gone));

    world.ledger_works = false;
    for (failure, refusal) in [
        (Failure::Unknown(String::new()), Refusal::OutcomeUnknown),
        (Failure::Unavailable(String::new()), Refusal::Unavailable(Away::Ledger)),
        (Failure::Deposed { current: crate::ids::Epoch(0) }, Refusal::OutcomeUnknown),
    ] {
        let handle = world.begin(None, asked());
        let (id, _) = world.calls.pop().expect("the ledger is asked at once");
        world.answer_call(id, Err(failure));
        assert_eq!(world.answers.remove(&handle), Some(Err(refusal)));
    }
    assert!(!world.engine.is_leading());
}
