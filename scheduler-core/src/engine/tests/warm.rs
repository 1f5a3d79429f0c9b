//! Standbys that know the jobs before they lead: what a leader tells them, and what they make of it.

use crate::agent::Outcome;
use crate::calendar::{self, CalendarKey};
use crate::engine::random::Random;
use crate::engine::{Alert, Command, Input, Other, remembered};
use crate::ids::{Epoch, NodeId};
use crate::job::Definition;
use crate::schedule::{self, Schedule};
use crate::txn::{Call, CallId, Done, Unreadable, UnreadableRow};

use super::ledger::Ledger;
use super::world::{LEASE, World, every, hello, job, key, seconds};

fn pause(job_id: &str) -> Command {
    Command::PauseJob { job: key(job_id), note: String::new() }
}

/// The ledger carries out the call that waits at this place, and answers.
fn ledger_does(world: &mut World, place: usize) -> CallId {
    let (id, call) = world.calls.remove(place);
    let done = world.ledger.call(&call, world.now.wall);
    world.answer_call(id, done);
    id
}

#[test]
fn changes_are_told_up_to_the_first_that_may_not_be_in_the_ledger() {
    let mut world = World::leading();
    world.create("one", job());
    let last = world.create("two", job()).change_seq;
    assert_eq!(world.engine.changes_committed(), Some(last));
    world.ledger_works = false;
    world.begin(None, pause("one"));
    world.begin(None, pause("two"));
    assert_eq!(world.commits().len(), 2);
    ledger_does(&mut world, 1);
    assert_eq!(world.engine.changes_committed(), Some(last), "the first of the two is on its way");
    ledger_does(&mut world, 0);
    assert_eq!(world.engine.changes_committed(), Some(last + 2));
}

#[test]
fn the_number_of_a_change_is_given_once_though_what_had_it_is_gone() {
    let mut world = World::leading();
    world.create("one", job());
    let told = world.create("two", job()).change_seq;
    world.ledger.jobs.pop_last();
    world.crash();
    assert!(world.create("three", job()).change_seq > told);
}

/// A node that stands by while another leads, and the one that leads, over one ledger.
struct Two {
    leader: World,
    standby: World,
}

impl Two {
    fn new() -> Self {
        let mut leader = World::leading_in_cluster();
        leader.join(1, hello("a", 1, 9));
        // Of another seed.
        let nothing = Ledger { epoch: Epoch(1), ..Ledger::default() };
        let mut standby = World::of("n2", Some(LEASE), leader.now, nothing);
        standby.input(a_peer());
        Self { leader, standby }
    }

    /// The standby does something with the ledger that the leader has.
    fn stands_by<T>(&mut self, act: impl FnOnce(&mut World) -> T) -> T {
        std::mem::swap(&mut self.leader.ledger, &mut self.standby.ledger);
        let done = act(&mut self.standby);
        std::mem::swap(&mut self.leader.ledger, &mut self.standby.ledger);
        done
    }

    /// The leader tells how far changes are complete.
    fn tell(&mut self) {
        let told = self.leader.engine.changes_committed().unwrap();
        self.stands_by(|standby| standby.input(Input::ChangesTold(told)));
    }

    fn pass(&mut self, secs: u64) {
        self.leader.pass_beating(secs, &[1]);
        self.stands_by(|standby| standby.pass(seconds(secs)));
    }

    /// The leader is gone, and the standby leads.
    fn fail_over(self) -> World {
        let Self { mut leader, mut standby } = self;
        standby.ledger = std::mem::take(&mut leader.ledger);
        standby.alerts.clear();
        standby.elect();
        assert!(standby.engine.is_leading());
        standby
    }
}

fn a_peer() -> Input {
    Input::Others(vec![Other { node: NodeId::from("n1"), schedule_version: schedule::VERSION.clone() }])
}

/// How many jobs a term that has just begun knows, and how many it has read.
fn took_over(world: &World) -> (usize, usize) {
    let took_over = world.alerts.iter().rev().find_map(|alert| match alert {
        Alert::TookOver { jobs, read, .. } => Some((*jobs, *read)),
        _ => None,
    });
    took_over.expect("a term has begun")
}

/// What it knows is what it would have read.
fn knows_the_jobs(world: &mut World) {
    let entered_since = world.ledger.watermark.saturating_sub(seconds(5));
    let load = Call::Load { epoch: world.ledger.epoch, entered_since, known: None };
    let Ok(Done::Loaded(all)) = world.ledger.call(&load, world.now.wall) else { panic!("it is there") };
    let expected = remembered(*all, world.ledger.watermark);
    let known: Vec<_> = world.engine.jobs().map(|(job, next)| (job.clone(), next)).collect();
    assert_eq!(known, expected);
}

fn update(job_id: &str, definition: Definition) -> Command {
    Command::UpdateJob { job: key(job_id), definition: Box::new(definition), etag: None, validate_only: false }
}

#[test]
fn a_standby_that_knows_the_jobs_reads_what_has_changed_since_and_no_more() {
    let mut two = Two::new();
    for name in ["one", "two", "three"] {
        two.leader.create(name, every(60));
    }
    two.tell();
    two.leader.request(pause("two")).unwrap();
    two.leader.request(Command::DeleteJob { job: key("three"), etag: None }).unwrap();
    two.leader.create("four", every(7));
    let mut next = two.fail_over();
    assert_eq!(took_over(&next), (4, 3));
    knows_the_jobs(&mut next);
    assert_eq!(next.create("three", job()).revision, 1, "its name is free");
}

#[test]
fn a_standby_reads_a_page_at_a_time_and_knows_what_it_has_read_before_it_has_read_all() {
    let mut two = Two::new();
    for number in 0..2_500 {
        two.leader.create(&format!("job-{number}"), every(3_600));
    }
    let first = two.leader.ledger.jobs.values().map(|job| job.change_seq).min().unwrap();
    two.standby.ledger_works = false;
    two.tell();
    let page = |two: &mut Two| {
        let pages = two.standby.calls.extract_if(.., |(_, call)| matches!(call, Call::LoadChanges { .. }));
        let pages: Vec<_> = pages.collect();
        assert_eq!(pages.len(), 1, "one at a time");
        let (id, call) = pages.into_iter().next().unwrap();
        two.stands_by(|standby| {
            let read = standby.ledger.call(&call, standby.now.wall);
            standby.answer_call(id, read);
        });
        call
    };
    assert_eq!(page(&mut two), Call::LoadChanges { above: 0, most: 1_000 });
    assert_eq!(page(&mut two), Call::LoadChanges { above: first + 999, most: 1_000 });
    two.standby.ledger_works = true;
    let mut next = two.fail_over();
    next.ledger_catches_up();
    next.pass(seconds(1));
    assert_eq!(took_over(&next), (2_500, 500));
    knows_the_jobs(&mut next);
}

/// Else a job would be known as it was before a change that was answered.
#[test]
fn a_change_that_was_on_its_way_while_a_later_one_was_read_is_read_too() {
    let mut two = Two::new();
    two.leader.create("one", every(60));
    two.leader.create("two", every(60));
    two.tell();
    two.leader.ledger_works = false;
    two.leader.begin(None, pause("one"));
    two.leader.begin(None, pause("two"));
    ledger_does(&mut two.leader, 1);
    two.tell();
    let create = Command::CreateJob { job: key("three"), definition: Box::new(job()), validate_only: false };
    two.leader.begin(None, create);
    ledger_does(&mut two.leader, 1);
    two.tell();
    ledger_does(&mut two.leader, 0);
    let mut next = two.fail_over();
    assert!(!next.alerts.contains(&Alert::MemoryDiffers));
    knows_the_jobs(&mut next);
    assert!(next.engine.jobs().filter(|(job, _)| job.pause.is_some()).count() == 2);
}

#[test]
fn what_was_counted_of_jobs_that_a_standby_knows_is_asked_for_again() {
    let mut two = Two::new();
    let schedule = Schedule { max_fires: Some(3), ..every(1).schedule };
    two.leader.create("three times", Definition { schedule, ..job() });
    two.leader.create("fragile", Definition { pause_after_failures: 5, ..every(1) });
    two.tell();
    for _ in 0..4 {
        two.pass(1);
        for (stream, assign) in two.leader.assigned() {
            two.leader.finish(stream.0, assign.attempt, Outcome::Failed);
        }
    }
    let mut next = two.fail_over();
    let (_, read) = took_over(&next);
    assert_eq!(read, 0);
    knows_the_jobs(&mut next);
    let fires = |world: &World| world.ledger.runs.values().filter(|run| run.job_key == key("three times")).count();
    assert_eq!(fires(&next), 3);
    next.join(2, hello("b", 2, 9));
    next.pass_beating(10, &[2]);
    assert_eq!(fires(&next), 3, "it has had its fires");
}

#[test]
fn a_standby_whose_memory_is_of_another_history_than_the_ledgers_reads_all() {
    let lost: [fn(&mut World); 4] = [
        // A change, a job, and what the watermark was.
        |world| world.ledger.jobs.values_mut().next().unwrap().change_seq -= 1,
        |world| drop(world.ledger.jobs.pop_first()),
        |world| world.ledger.watermark = world.ledger.watermark.saturating_sub(seconds(30)),
        // Nobody tells of rows that are gone.
        |world| world.ledger.jobs.retain(|_, job| job.delete_time.is_none()),
    ];
    for (case, lose) in lost.into_iter().enumerate() {
        let mut two = Two::new();
        two.leader.create("one", every(60));
        two.leader.create("two", every(60));
        two.leader.request(Command::DeleteJob { job: key("two"), etag: None }).unwrap();
        two.pass(120);
        two.tell();
        two.pass(5);
        lose(&mut two.leader);
        let mut next = two.fail_over();
        assert!(next.alerts.contains(&Alert::MemoryDiffers), "{case}");
        let (jobs, read) = took_over(&next);
        assert_eq!(jobs, read, "{case}");
        knows_the_jobs(&mut next);
    }
}

#[test]
fn jobs_that_have_expired_are_no_other_history() {
    let mut two = Two::new();
    two.leader.create("one", job());
    two.leader.create("two", job());
    two.leader.request(Command::DeleteJob { job: key("two"), etag: None }).unwrap();
    two.tell();
    for world in [&mut two.leader, &mut two.standby] {
        world.skip(seconds(31 * 24 * 3_600));
    }
    // One more is gone altogether.
    two.leader.ledger.jobs.retain(|_, job| job.delete_time.is_none());
    two.stands_by(|standby| standby.pass(seconds(1)));
    let mut next = two.fail_over();
    assert_eq!(took_over(&next), (1, 0));
    knows_the_jobs(&mut next);
}

#[test]
fn a_standby_that_cannot_read_a_row_reads_all_when_it_leads() {
    let mut two = Two::new();
    two.leader.create("one", job());
    let row = UnreadableRow::Job("default/new".to_owned());
    two.leader.ledger.unreadable.push(Unreadable { row, why: "of a later version".to_owned() });
    two.tell();
    two.tell();
    let next = two.fail_over();
    assert_eq!(took_over(&next), (1, 1));
}

#[test]
fn a_node_that_knows_nothing_leaves_leading_to_others_until_it_knows_the_jobs_but_not_for_ever() {
    let starting = || {
        let ledger = Ledger { ahead: 6_000_000, ..Ledger::default() };
        let mut world = World::of("n2", Some(LEASE), World::in_cluster().now, ledger);
        assert_eq!(world.candidacy, None, "its clock is wrong");
        world.input(a_peer());
        world.ledger.ahead = 0;
        world.pass(seconds(2));
        world
    };
    let mut world = starting();
    assert_eq!(world.candidacy, None);
    world.input(Input::ChangesTold(1));
    assert!(world.candidacy.is_some(), "it knows all that there is");

    let mut world = starting();
    world.input(Input::Others(Vec::new()));
    assert!(world.candidacy.is_some(), "there is nobody else");

    let mut world = starting();
    world.pass(seconds(10));
    assert!(world.candidacy.is_some(), "nobody tells it anything");
}

#[test]
fn a_leader_that_leads_no_more_knows_nothing_that_the_ledger_may_not_have() {
    let mut world = World::leading_in_cluster();
    world.create("one", every(60));
    world.ledger_works = false;
    world.begin(None, pause("one"));
    world.calls.clear();
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.ledger_works = true;
    world.pass(seconds(2));
    world.elect();
    assert_eq!(took_over(&world), (1, 1));
    knows_the_jobs(&mut world);
}

/// Whatever is done to jobs and calendars while a standby follows, at whatever pace.
#[test]
fn a_term_begun_with_known_jobs_knows_what_one_would_that_reads_all() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut two = Two::new();
        for _ in 0..40 {
            meddle(&mut two, &mut random);
        }
        let mut next = two.fail_over();
        assert!(!next.alerts.contains(&Alert::MemoryDiffers), "seed {seed}");
        knows_the_jobs(&mut next);
    }
}

fn meddle(two: &mut Two, random: &mut Random) {
    let mut pick = |most: u64| random.next() % most;
    let name = format!("job-{}", pick(5));
    let calendar = CalendarKey { namespace: "default".to_owned(), calendar_id: format!("calendar-{}", pick(2)) };
    let schedule = Schedule {
        max_fires: (pick(3) == 0).then_some(4),
        exclude_calendars: if pick(3) == 0 { vec![calendar.calendar_id.clone()] } else { Vec::new() },
        ..every(1 + pick(3)).schedule
    };
    let failures = u32::try_from(pick(2) * 3).unwrap();
    let definition = Definition { schedule, pause_after_failures: failures, ..job() };
    let command = match pick(12) {
        0 | 1 => Command::CreateJob { job: key(&name), definition: Box::new(definition), validate_only: false },
        2 | 3 => update(&name, definition),
        4 => pause(&name),
        5 => Command::ResumeJob { job: key(&name), catch_up: pick(2) == 0, note: String::new() },
        6 => Command::DeleteJob { job: key(&name), etag: None },
        7 => Command::UndeleteJob { job: key(&name) },
        8 => {
            let definition = Box::new(days(&calendar, 2_030 + pick(9)));
            Command::CreateCalendar { calendar, definition, validate_only: false }
        }
        9 => {
            let definition = Box::new(days(&calendar, 2_030 + pick(9)));
            Command::UpdateCalendar { calendar, definition, etag: None, validate_only: false }
        }
        10 => Command::DeleteCalendar { calendar, etag: None },
        _ => return two.tell(),
    };
    // Some of it is refused.
    let _ = two.leader.request(command);
    if pick(3) == 0 {
        two.pass(1 + pick(2));
        for (stream, assign) in two.leader.assigned() {
            let outcome = if pick(3) == 0 { Outcome::Succeeded } else { Outcome::Failed };
            two.leader.finish(stream.0, assign.attempt, outcome);
        }
    }
}

fn days(key: &CalendarKey, year: u64) -> calendar::Definition {
    let date: schedule::Date = format!("{year}-01-01").parse().unwrap();
    let dates = schedule::Calendar {
        name: key.calendar_id.clone(),
        time_zone: String::new(),
        dates: vec![schedule::DateRange { first: date, last: date }],
    };
    calendar::Definition { display_name: String::new(), description: String::new(), dates }
}
