use std::time::Duration;

use crate::agent::Outcome;
use crate::calendar::{self, CalendarKey};
use crate::engine::{Answer, Command, Refusal};
use crate::job::{Definition, JobState, OverlapPolicy};
use crate::run::{Reason, RunState, Trigger};
use crate::schedule::{self, Schedule};

use super::world::{World, every, hello, job, key, seconds, trigger};

fn resume(catch_up: bool) -> Command {
    Command::ResumeJob { job: key("tick"), catch_up, note: String::new() }
}

fn pause() -> Command {
    Command::PauseJob { job: key("tick"), note: String::new() }
}

fn after_completion(delay: u64) -> Definition {
    Definition { schedule: Schedule { after_completion: Some(seconds(delay)), ..Schedule::default() }, ..job() }
}

#[test]
fn catch_up_makes_the_paused_span_up_once_however_late_it_is() {
    let mut world = World::leading();
    world.create("tick", Definition { misfire_grace_time: seconds(1), ..every(10) });
    world.request(pause()).unwrap();
    world.skip(seconds(600));
    world.request(resume(true)).unwrap();
    world.crash();
    world.join(1, hello("a", 1, 1));
    world.pass_beating(2, &[1]);
    assert_eq!(world.execute_all(), 1);
    let made_up = world.rows(RunState::Succeeded);
    assert_eq!((made_up.len(), made_up[0].coalesced_count), (1, 60));
    assert!(world.rows(RunState::Missed).is_empty());
}

#[test]
fn max_fires_counts_decided_instants_and_the_earliest_are_the_ones() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let schedule = Schedule { max_fires: Some(5), ..every(1).schedule };
    let created = world.create("tick", Definition { schedule, coalesce: false, max_instances: 9, ..job() });
    world.skip(seconds(47));
    world.crash();
    world.join(1, hello("a", 1, 8));
    world.pass_beating(2, &[1]);
    world.execute_all();
    let mut times: Vec<_> = world.ledger.runs.values().map(|run| run.scheduled_time).collect();
    times.sort_unstable();
    let first: Vec<_> = (1..=5).map(|n| created.create_time.saturating_add(seconds(n))).collect();
    assert_eq!(times, first);
    assert_eq!(world.ledger.jobs[&created.uid].counts.fires, 5);
    world.pass_beating(5, &[1]);
    assert_eq!(world.ledger.runs.len(), 5);
}

#[test]
fn a_job_that_has_fired_as_often_as_it_may_can_be_made_manual() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let counted = Schedule { max_fires: Some(1), ..every(1).schedule };
    world.create("tick", Definition { schedule: counted, ..job() });
    world.pass_beating(3, &[1]);
    assert_eq!(world.execute_all(), 1);
    let manual = Definition { schedule: Schedule { max_fires: Some(1), ..job().schedule }, ..job() };
    let update =
        Command::UpdateJob { job: key("tick"), definition: Box::new(manual), etag: None, validate_only: false };
    world.request(update).unwrap();
    world.trigger("tick");
    assert_eq!(world.execute_all(), 1);
}

#[test]
fn an_after_completion_job_has_exactly_one_next_run_whatever_happens_to_the_last() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", after_completion(10));
    let first = world.assigned()[0].1.attempt;
    world.request(trigger("tick")).unwrap();
    world.finish(1, first, Outcome::Failed);
    let waiting = || |run: &&crate::run::Run| run.state == RunState::Pending && run.trigger == Trigger::Schedule;
    assert_eq!(world.ledger.runs.values().filter(waiting()).count(), 1);
    world.request(pause()).unwrap();
    assert_eq!(world.ledger.runs.values().filter(waiting()).count(), 0);
    assert_eq!(world.execute_all(), 1, "the manual run goes on");
    assert_eq!(world.ledger.runs.values().filter(waiting()).count(), 0, "a manual run's end enters none");
    world.request(resume(false)).unwrap();
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.ledger.runs.values().filter(waiting()).count(), 1);
    world.pass_beating(9, &[1]);
    assert!(world.assigned().is_empty());
    world.pass_beating(2, &[1]);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn failures_in_a_row_pause_the_job_and_a_resume_gives_it_a_new_chance() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let created = world.create("tick", Definition { pause_after_failures: 2, ..job() });
    let fail = |world: &mut World| {
        world.request(trigger("tick")).unwrap();
        let attempt = world.assigned()[0].1.attempt;
        world.finish(1, attempt, Outcome::Failed);
    };
    fail(&mut world);
    assert_eq!(world.ledger.jobs[&created.uid].state(false), JobState::Active);
    world.crash();
    world.join(1, hello("a", 1, 8));
    fail(&mut world);
    let paused = world.ledger.jobs[&created.uid].clone();
    assert_eq!(paused.state(false), JobState::Paused);
    assert_eq!(paused.pause.unwrap().note, "2 runs in a row failed");
    world.request(resume(false)).unwrap();
    fail(&mut world);
    assert_eq!(world.ledger.jobs[&created.uid].state(false), JobState::Active);
}

#[test]
fn a_run_that_waits_beyond_its_start_deadline_expires_and_one_that_started_does_not() {
    let mut world = World::leading();
    world.create("tick", Definition { start_deadline: Some(seconds(5)), ..job() });
    world.request(trigger("tick")).unwrap();
    world.pass(seconds(6));
    let expired = world.rows(RunState::Expired);
    assert_eq!((expired.len(), expired[0].reason), (1, Some(Reason::StartDeadline)));
    world.join(1, hello("a", 1, 8));
    world.request(trigger("tick")).unwrap();
    world.pass_beating(6, &[1]);
    assert_eq!(world.rows(RunState::Expired).len(), 1);
    assert_eq!(world.execute_all(), 1);
}

#[test]
fn cancel_running_ends_the_oldest_and_the_new_fire_takes_its_slot() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", Definition { overlap_policy: OverlapPolicy::CancelRunning, ..every(10) });
    world.pass_beating(10, &[1]);
    let oldest = world.assigned()[0].1.attempt;
    world.pass_beating(10, &[1]);
    assert!(world.assigned().is_empty(), "its slot is taken until its agent says that it is over");
    world.finish(1, oldest, Outcome::Cancelled);
    assert_eq!(world.rows(RunState::Cancelled)[0].reason, Some(Reason::CancelledByOverlap));
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn a_jittered_fire_waits_for_its_instant_and_is_judged_then() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let schedule = Schedule { jitter: Some(seconds(30)), ..every(60).schedule };
    world.create("tick", Definition { schedule, ..job() });
    world.pass_beating(60, &[1]);
    let entered = world.ledger.runs.values().next().cloned();
    let entered = entered.expect("entered at its nominal instant");
    assert!(entered.not_before >= entered.scheduled_time);
    world.request(trigger("tick")).unwrap();
    world.pass_beating(31, &[1]);
    assert_eq!(world.ledger.runs[&entered.id].reason, Some(Reason::Overlap), "the manual run is active when it is due");
}

#[test]
fn cancelling_ends_what_waits_at_once_and_what_runs_when_its_agent_says_so() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", job());
    let (running, waiting) = (world.trigger("tick"), world.trigger("tick"));
    let attempt = world.assigned()[0].1.attempt;
    let cancel = |run| Command::CancelRun { namespace: "default".into(), run, note: "enough".into() };
    world.request(cancel(waiting.id)).unwrap();
    assert_eq!(world.ledger.runs[&waiting.id].state, RunState::Cancelled);
    world.request(cancel(running.id)).unwrap();
    assert_eq!(world.ledger.runs[&running.id].state, RunState::Pending);
    world.finish(1, attempt, Outcome::Cancelled);
    let ended = &world.ledger.runs[&running.id];
    assert_eq!((ended.state, ended.reason), (RunState::Cancelled, Some(Reason::CancelledByUser)));
    for id in [running.id, waiting.id] {
        assert_eq!(world.ledger.runs[&id].reason_message, "cancelled by tester: enough");
    }
    assert!(matches!(world.request(cancel(running.id)), Err(Refusal::RunNotLive(_))));
}

fn holidays(dates: &[&str]) -> Box<calendar::Definition> {
    let dates = dates.iter().map(|date| date.parse().unwrap()).collect();
    Box::new(calendar::Definition {
        display_name: String::new(),
        description: String::new(),
        dates: schedule::Calendar { name: "holidays".into(), time_zone: String::new(), dates },
    })
}

fn calendar_key() -> CalendarKey {
    CalendarKey { namespace: "default".into(), calendar_id: "holidays".into() }
}

#[test]
fn a_change_of_a_calendar_is_a_change_of_the_jobs_that_name_it() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let create = |dates: &[&str]| Command::CreateCalendar {
        calendar: calendar_key(),
        definition: holidays(dates),
        validate_only: false,
    };
    world.request(create(&["2030-01-01"])).unwrap();
    assert!(matches!(world.request(create(&[])), Err(Refusal::CalendarExists(_))));
    let schedule = Schedule { exclude_calendars: vec!["holidays".into()], ..every(3600).schedule };
    let named = world.create("tick", Definition { schedule, ..job() });
    let in_use = world.request(Command::DeleteCalendar { calendar: calendar_key(), etag: None });
    assert!(matches!(in_use, Err(Refusal::CalendarInUse { .. })));

    world.skip(Duration::from_secs(2 * 3600));
    // World::new starts on 2023-11-14; the calendar now excludes today and tomorrow.
    let update = Command::UpdateCalendar {
        calendar: calendar_key(),
        definition: holidays(&["2023-11-14/2023-11-15"]),
        etag: None,
        validate_only: false,
    };
    let Ok(Answer::Calendar(updated)) = world.request(update) else { panic!() };
    assert_eq!(updated.revision, 2);
    let missed = world.rows(RunState::Missed);
    assert_eq!((missed.len(), missed[0].reason), (1, Some(Reason::JobChanged)));
    assert_eq!(world.ledger.jobs[&named.uid].revision, 2);
    world.crash();
    world.join(1, hello("a", 1, 8));
    world.pass_beating(2 * 3600, &[1]);
    assert!(world.assigned().is_empty(), "an excluded date has no fire");

    world.request(Command::DeleteJob { job: key("tick"), etag: None }).unwrap();
    world.request(Command::DeleteCalendar { calendar: calendar_key(), etag: None }).unwrap();
    assert!(world.ledger.calendars.is_empty());
}

#[test]
fn a_calendar_waits_for_a_job_that_is_about_to_name_it_no_more() {
    let mut world = World::leading();
    let calendar = calendar_key();
    let holiday = holidays(&["2030-01-01"]);
    let create = Command::CreateCalendar { calendar: calendar.clone(), definition: holiday, validate_only: false };
    world.request(create).unwrap();
    let schedule = Schedule { exclude_calendars: vec!["holidays".into()], ..every(3600).schedule };
    world.create("tick", Definition { schedule, ..job() });
    world.ledger_works = false;
    let definition = Box::new(every(3600));
    let edit = Command::UpdateJob { job: key("tick"), definition, etag: None, validate_only: false };
    let edited = world.begin(None, edit);
    let definition = holidays(&["2023-11-14"]);
    let update = Command::UpdateCalendar { calendar, definition, etag: None, validate_only: false };
    let updated = world.begin(None, update);
    let commits = world.commits();
    assert!(commits.iter().all(|(_, transaction)| transaction.calendars.is_empty()), "the edit may not be written yet");
    world.ledger_catches_up();
    assert!(world.answers[&edited].is_ok() && world.answers[&updated].is_ok());
    assert_eq!(world.ledger.calendars[&calendar_key()].revision, 2);
}

#[test]
fn a_schedule_that_names_an_unknown_calendar_is_refused() {
    let mut world = World::leading();
    let schedule = Schedule { exclude_calendars: vec!["none".into()], ..every(60).schedule };
    let definition = Box::new(Definition { schedule, ..job() });
    let refused = world.request(Command::CreateJob { job: key("one"), definition, validate_only: false });
    let Err(Refusal::Invalid(violations)) = refused else { panic!("{refused:?}") };
    assert_eq!(violations.0[0].field, "schedule.exclude_calendars[0]");
}
