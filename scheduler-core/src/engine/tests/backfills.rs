use crate::agent::Outcome;
use crate::backfill::{Backfill, MOST_RUNS};
use crate::engine::{Answer, Command, Refusal};
use crate::ids::BackfillId;
use crate::job::{Definition, OverlapPolicy};
use crate::run::{Reason, Run, RunState, Trigger};
use crate::schedule::Schedule;
use crate::time::Timestamp;

use super::world::{World, every, hello, job, key, seconds};

/// A job that has been there for 100 s, every second of which it would have fired, and fires no more by itself.
fn with_a_past() -> (World, Timestamp) {
    let mut world = World::leading();
    let begin = world.now.wall;
    let schedule =
        Schedule { start_time: Some(begin), end_time: Some(begin.saturating_add(seconds(99))), ..every(1).schedule };
    world.create("tick", Definition { schedule, max_instances: 3, overlap_policy: OverlapPolicy::Queue, ..job() });
    world.pass(seconds(200));
    world.join(1, hello("a", 1, 8));
    while world.execute_all() > 0 {}
    assert!(world.ledger.runs.values().all(|run| run.state.is_ended()));
    (world, begin)
}

fn span(begin: Timestamp, from: u64, to: u64, concurrency: u32) -> Command {
    Command::BackfillJob {
        job: key("tick"),
        start_time: begin.saturating_add(seconds(from)),
        end_time: begin.saturating_add(seconds(to)),
        max_runs: 1_000,
        concurrency,
        validate_only: false,
    }
}

fn begun(answer: Result<Answer, Refusal>) -> Backfill {
    match answer {
        Ok(Answer::Backfill(backfill)) => *backfill,
        other => panic!("{other:?}"),
    }
}

fn runs_of(world: &World, id: BackfillId) -> Vec<Run> {
    world.ledger.runs.values().filter(|run| run.backfill_id == Some(id)).cloned().collect()
}

/// Executes what is handed out until nothing more is; how many at most were unended at a time.
fn drain(world: &mut World, id: BackfillId) -> usize {
    let mut most = 0;
    for _ in 0..200 {
        most = most.max(runs_of(world, id).iter().filter(|run| !run.state.is_ended()).count());
        if world.execute_all() == 0 {
            world.pass_beating(1, &[1]);
        }
    }
    most
}

#[test]
fn every_instant_of_the_span_gets_one_run_and_no_more_at_a_time_than_asked() {
    let (mut world, begin) = with_a_past();
    let backfill = begun(world.request(span(begin, 10, 20, 2)));
    assert_eq!((backfill.fires(), backfill.progress.entered), (10, 2));
    assert_eq!(drain(&mut world, backfill.id), 2);
    let runs = runs_of(&world, backfill.id);
    let times: Vec<_> = runs.iter().map(|run| run.scheduled_time).collect();
    let wanted: Vec<_> = (10..20).map(|n| begin.saturating_add(seconds(n))).collect();
    assert_eq!(times, wanted, "the end is left out, and the earliest go first");
    for run in &runs {
        assert_eq!((run.trigger, run.state), (Trigger::Backfill, RunState::Succeeded));
        assert!(run.occurrence != 0 && run.covers_from.is_none());
        assert!(run.not_before > run.scheduled_time, "of its instant's age it would go before all else");
    }
    let stored = &world.ledger.backfills[&backfill.id];
    assert_eq!((stored.progress.entered, stored.progress.dropped), (10, None));
    assert!(stored.progress.closed_time.is_some());
}

#[test]
fn the_end_of_a_run_enters_the_next_in_its_own_transaction() {
    let (mut world, begin) = with_a_past();
    let backfill = begun(world.request(span(begin, 10, 20, 1)));
    let first = world.assigned()[0].1.attempt;
    world.ledger_works = false;
    world.finish(1, first, Outcome::Failed);
    let commits = world.commits();
    let (_, transaction) = commits.last().unwrap();
    assert_eq!(transaction.updated[0].state, RunState::Failed);
    assert_eq!(transaction.entered[0].backfill_id, Some(backfill.id));
    assert_eq!(transaction.backfill_progress[0].1.entered, 2);
}

#[test]
fn the_next_leader_goes_on_where_the_last_one_stopped() {
    let (mut world, begin) = with_a_past();
    let backfill = begun(world.request(span(begin, 10, 20, 2)));
    let held = world.assigned();
    world.finish(1, held[0].1.attempt, Outcome::Succeeded);
    world.crash();
    assert_eq!(runs_of(&world, backfill.id).iter().filter(|run| !run.state.is_ended()).count(), 2);
    world.join(1, hello("a", 1, 8));
    assert!(drain(&mut world, backfill.id) <= 2);
    let mut times: Vec<_> = runs_of(&world, backfill.id).iter().map(|run| run.scheduled_time).collect();
    times.dedup();
    assert_eq!(times.len(), 10);
    assert_eq!(world.ledger.backfills[&backfill.id].progress.entered, 10);
}

#[test]
fn a_pause_and_an_edit_leave_the_instants_and_a_cancelled_run_is_followed_by_the_next() {
    let (mut world, begin) = with_a_past();
    let backfill = begun(world.request(span(begin, 10, 14, 1)));
    world.request(Command::PauseJob { job: key("tick"), note: String::new() }).unwrap();
    let definition = Box::new(Definition { max_instances: 3, ..every(3_600) });
    world.request(Command::UpdateJob { job: key("tick"), definition, etag: None, validate_only: false }).unwrap();
    let first = runs_of(&world, backfill.id)[0].id;
    world.execute_all();
    let waiting = runs_of(&world, backfill.id).into_iter().find(|run| !run.state.is_ended()).unwrap();
    assert!(waiting.id > first);
    world.request(Command::CancelRun { namespace: "default".into(), run: waiting.id, note: String::new() }).unwrap();
    drain(&mut world, backfill.id);
    assert_eq!(runs_of(&world, backfill.id).len(), 4);
    assert!(runs_of(&world, backfill.id).iter().all(|run| run.state.is_ended()));
}

#[test]
fn what_a_disabled_or_deleted_job_has_left_is_dropped() {
    let disable = Command::DisableJob { job: key("tick"), note: String::new() };
    let delete = Command::DeleteJob { job: key("tick"), etag: None };
    for (change, reason) in [(disable, Reason::Disabled), (delete, Reason::Deleted)] {
        let (mut world, begin) = with_a_past();
        let backfill = begun(world.request(span(begin, 10, 20, 2)));
        world.request(change).unwrap();
        drain(&mut world, backfill.id);
        let progress = world.ledger.backfills[&backfill.id].progress;
        assert_eq!((progress.entered, progress.dropped), (2, Some(reason)));
        assert_eq!(runs_of(&world, backfill.id).len(), 2);
        world.crash();
        drain(&mut world, backfill.id);
        assert_eq!(runs_of(&world, backfill.id).len(), 2);
    }
}

#[test]
fn a_span_with_more_fires_than_allowed_a_future_one_and_an_empty_one_are_refused() {
    let (mut world, begin) = with_a_past();
    let runs = world.ledger.runs.len();
    let mut refused = |change: &dyn Fn(&mut Command)| {
        let mut command = span(begin, 10, 20, 1);
        change(&mut command);
        match world.request(command) {
            Err(Refusal::Invalid(violations)) => violations.0[0].to_string(),
            other => panic!("{other:?}"),
        }
    };
    let asked = |most: u32, to: u64| {
        move |command: &mut Command| {
            let Command::BackfillJob { max_runs, end_time, .. } = command else { unreachable!() };
            (*max_runs, *end_time) = (most, begin.saturating_add(seconds(to)));
        }
    };
    let told = refused(&asked(9, 20));
    assert!(told.contains("max_runs") && told.contains("10 fires"), "{told}");
    assert!(refused(&asked(1_000, 1_000_000)).contains("end_time"));
    assert!(refused(&asked(1_000, 10)).contains("start_time"));
    assert_eq!(world.ledger.runs.len(), runs);
    assert!(world.ledger.backfills.is_empty());
}

#[test]
fn a_dry_run_counts_and_enters_nothing_and_a_span_without_fires_is_over_at_once() {
    let (mut world, begin) = with_a_past();
    let runs = world.ledger.runs.len();
    let mut dry = span(begin, 10, 20, 1);
    if let Command::BackfillJob { validate_only, .. } = &mut dry {
        *validate_only = true;
    }
    assert_eq!(begun(world.request(dry)).fires(), 10);
    assert!(world.ledger.backfills.is_empty());
    let nothing = begun(world.request(span(begin, 110, 120, 1)));
    assert_eq!(nothing.fires(), 0);
    assert!(world.ledger.backfills[&nothing.id].progress.closed_time.is_some());
    assert_eq!(world.ledger.runs.len(), runs);
}

#[test]
fn a_job_without_instants_or_disabled_has_no_backfill() {
    let (mut world, begin) = with_a_past();
    let after_completion = Schedule { after_completion: Some(seconds(9)), ..Schedule::default() };
    for schedule in [Schedule::default(), after_completion] {
        let definition = Box::new(Definition { schedule, ..job() });
        world.request(Command::UpdateJob { job: key("tick"), definition, etag: None, validate_only: false }).unwrap();
        assert_eq!(world.request(span(begin, 10, 20, 1)), Err(Refusal::NothingToBackfill(key("tick"))));
    }
    world.request(Command::DisableJob { job: key("tick"), note: String::new() }).unwrap();
    assert_eq!(world.request(span(begin, 10, 20, 1)), Err(Refusal::JobDisabled(key("tick"))));
}

#[test]
fn a_numbered_request_begins_one_backfill() {
    let (mut world, begin) = with_a_past();
    let ask = |world: &mut World| {
        let handle = world.begin(Some("r1"), span(begin, 10, 20, 1));
        world.answers.remove(&handle).unwrap()
    };
    let backfill = begun(ask(&mut world));
    assert_eq!(ask(&mut world), Ok(Answer::Repeated(backfill.id.to_string())));
    world.crash();
    assert_eq!(ask(&mut world), Ok(Answer::Repeated(backfill.id.to_string())));
    assert_eq!(world.ledger.backfills.len(), 1);
}

#[test]
fn a_large_backfill_is_entered_in_batches_and_a_huge_span_is_not_walked() {
    let (mut world, begin) = with_a_past();
    let schedule = Schedule { start_time: Some(Timestamp::from_secs(0)), ..every(1).schedule };
    let definition = Box::new(Definition { schedule, ..job() });
    world.request(Command::UpdateJob { job: key("tick"), definition, etag: None, validate_only: false }).unwrap();
    let wide = |from: Timestamp| Command::BackfillJob {
        job: key("tick"),
        start_time: from,
        end_time: begin,
        max_runs: MOST_RUNS,
        concurrency: MOST_RUNS,
        validate_only: false,
    };
    match world.request(wide(Timestamp::from_secs(0))) {
        Err(Refusal::Invalid(violations)) => {
            assert!(violations.to_string().contains("1700000000 fires"), "{violations}");
        }
        other => panic!("{other:?}"),
    }
    world.ledger_works = false;
    world.begin(None, wide(begin.saturating_sub(seconds(2_000))));
    assert!(world.commits().iter().all(|(_, transaction)| transaction.entered.len() <= 600));
    world.ledger_catches_up();
    let entered = world.ledger.runs.values().filter(|run| run.trigger == Trigger::Backfill).count();
    assert_eq!(entered, 2_000);
}
