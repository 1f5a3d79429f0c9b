//! Every outcome there is, brought about by a real engine on a real ledger, on a clock of the test's own.

mod causes;
mod shell;

use std::collections::BTreeSet;
use std::time::Duration;

use ledger::{Leader, Page, Reader, RunFilter};
use punctual_proto::v1;
use scheduler_core::calendar::{self, CalendarKey};
use scheduler_core::engine::Command;
use scheduler_core::ids::RunId;
use scheduler_core::job::{Definition, JobKey, Payload, Task};
use scheduler_core::run::{Reason, Run};
use scheduler_core::schedule::{self, DateRange, Schedule};
use scheduler_core::txn::{Purge, PurgeFilter, Transaction};
use v1::explain_fire_response::Outcome;

use shell::{Shell, at};

type Told = v1::ExplainFireResponse;

fn key() -> JobKey {
    JobKey { namespace: "default".to_owned(), job_id: "j".to_owned() }
}

fn every(seconds: u64) -> Definition {
    let schedule = Schedule { every: vec![Duration::from_secs(seconds)], ..Schedule::default() };
    Definition { schedule, ..Definition::new(Task { task_type: "noop".to_owned(), payload: Payload::default() }) }
}

fn create(definition: Definition) -> Command {
    Command::CreateJob { job: key(), definition: Box::new(definition), validate_only: false }
}

fn update(definition: Definition) -> Command {
    Command::UpdateJob { job: key(), definition: Box::new(definition), etag: None, validate_only: false }
}

fn pause() -> Command {
    Command::PauseJob { job: key(), note: "hold".to_owned() }
}

fn resume(catch_up: bool) -> Command {
    Command::ResumeJob { job: key(), catch_up, note: String::new() }
}

/// Asserts what is said, as far as it depends on the case.
fn said(told: Told, outcome: Outcome, words: &[&str]) -> Told {
    assert_eq!(told.outcome(), outcome, "{told:?}");
    for word in words {
        assert!(told.explanation.contains(word), "{word:?} is not in {:?}", told.explanation);
    }
    told
}

/// With a job that fires 10 s after it was created, and so on.
async fn with(definition: Definition) -> Shell {
    let mut shell = Shell::start().await;
    shell.ask(create(definition)).await;
    shell
}

async fn ran() -> Told {
    let mut shell = with(every(10)).await;
    shell.join().await;
    shell.pass(11_000).await;
    shell.succeed().await;
    let told = said(shell.explain(10_000).await, Outcome::Ran, &["SUCCEEDED", "started", "on agent a"]);
    assert_eq!(told.run.as_ref().unwrap().attempts.len(), 1);
    told
}

async fn waiting() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(11_000).await;
    said(shell.explain(10_000).await, Outcome::Waiting, &["waits", "noop"])
}

async fn coalesced() -> Told {
    let mut shell = with(every(10)).await;
    shell.skip(31_000);
    shell.wake().await;
    let told = said(shell.explain(10_000).await, Outcome::Coalesced, &["3 fires", "waits"]);
    assert!(told.explanation.contains(&told.run.as_ref().unwrap().run_id));
    said(shell.explain(30_000).await, Outcome::Waiting, &[]);
    said(shell.explain(11_000).await, Outcome::NotAnInstant, &[]);
    told
}

async fn late() -> Told {
    let mut shell = with(Definition { misfire_grace_time: Duration::from_secs(5), ..every(10) }).await;
    shell.skip(63_000);
    shell.wake().await;
    said(shell.explain(20_000).await, Outcome::Late, &["43.0 s late", "5 fires"])
}

async fn skipped() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(21_000).await;
    said(shell.explain(20_000).await, Outcome::Skipped, &["max_instances"])
}

async fn paused() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(5_000).await;
    shell.ask(pause()).await;
    said(shell.explain(30_000).await, Outcome::Paused, &["is paused", "only if it is resumed"]);
    shell.pass(20_000).await;
    said(shell.explain(10_000).await, Outcome::Paused, &["by tester (hold)", "catch_up"]);
    shell.ask(resume(false)).await;
    let told = said(shell.explain(10_000).await, Outcome::Paused, &["tester resumed it", "did not ask"]);
    assert_eq!(told.pause.as_ref().unwrap().author, "tester");
    said(shell.explain(30_000).await, Outcome::Upcoming, &[]);
    shell.ask(pause()).await;
    shell.pass(12_000).await;
    shell.ask(update(every(7))).await;
    said(shell.explain(30_000).await, Outcome::Paused, &["tester changed it", "not made up"]);
    told
}

async fn disabled() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(5_000).await;
    shell.ask(Command::DisableJob { job: key(), note: "broken".to_owned() }).await;
    shell.ask(update(Definition { description: "later".to_owned(), enabled: false, ..every(10) })).await;
    shell.pass(20_000).await;
    said(shell.explain(10_000).await, Outcome::Disabled, &["was disabled", "by tester (broken)"])
}

async fn deleted() -> Told {
    let mut shell = with(every(10)).await;
    shell.join().await;
    shell.pass(11_000).await;
    shell.succeed().await;
    shell.pass(4_000).await;
    shell.ask(Command::DeleteJob { job: key(), etag: None }).await;
    shell.pass(20_000).await;
    shell.ask(create(every(5))).await;
    said(shell.explain(10_000).await, Outcome::Ran, &[]);
    said(shell.explain(20_000).await, Outcome::Deleted, &["by tester"])
}

fn holidays(dates: &[&str]) -> (CalendarKey, Box<calendar::Definition>) {
    let key = CalendarKey { namespace: "default".to_owned(), calendar_id: "holidays".to_owned() };
    let dates: Vec<DateRange> = dates.iter().map(|date| date.parse().unwrap()).collect();
    let dates = schedule::Calendar { name: "holidays".to_owned(), time_zone: String::new(), dates };
    (key, Box::new(calendar::Definition { display_name: String::new(), description: String::new(), dates }))
}

async fn excluded() -> Told {
    let mut shell = Shell::start().await;
    let (calendar, definition) = holidays(&["2023-11-14"]);
    shell.ask(Command::CreateCalendar { calendar: calendar.clone(), definition, validate_only: false }).await;
    let excluding = Schedule { exclude_calendars: vec!["holidays".to_owned()], ..every(10).schedule };
    shell.ask(create(Definition { schedule: excluding, ..every(10) })).await;
    shell.pass(20_000).await;
    let told = said(shell.explain(10_000).await, Outcome::Excluded, &["Calendar holidays"]);
    assert_eq!(told.calendar_id, "holidays");
    let (_, definition) = holidays(&["2023-12-25"]);
    shell.ask(Command::UpdateCalendar { calendar, definition, etag: None, validate_only: false }).await;
    shell.pass(6_000).await;
    let later = said(shell.explain(10_000).await, Outcome::Excluded, &["have been changed since"]);
    assert_eq!(later.calendar_id, "", "nobody knows any more");
    told
}

#[tokio::test]
async fn what_was_purged_is_not_said_to_be_excluded() {
    let excluding = Schedule { exclude_calendars: vec!["holidays".to_owned()], ..every(10).schedule };
    let mut shell = purged(excluding).await;
    let (calendar, definition) = holidays(&["2023-12-26"]);
    shell.ask(Command::UpdateCalendar { calendar, definition, etag: None, validate_only: false }).await;
    said(shell.explain(10_000).await, Outcome::NoRecord, &["or a calendar excluded it"]);
}

async fn undecided() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(5_000).await;
    shell.skip(5_200);
    said(shell.explain(10_000).await, Outcome::Undecided, &["due since 200 ms"])
}

async fn upcoming() -> Told {
    let shell = with(every(10)).await;
    said(shell.explain(10_000).await, Outcome::Upcoming, &["10.0 s from now"])
}

async fn not_an_instant() -> Told {
    let mut shell = with(every(10)).await;
    let told = said(shell.explain(11_000).await, Outcome::NotAnInstant, &["around it are"]);
    for (schedule, words) in [
        (Schedule::default(), "has no schedule"),
        (Schedule { after_completion: Some(Duration::from_secs(9)), ..Schedule::default() }, "9.0 s after each"),
    ] {
        shell.pass(1_000).await;
        shell.ask(update(Definition { schedule, ..every(10) })).await;
        said(shell.explain(20_000).await, Outcome::NotAnInstant, &[words]);
    }
    told
}

/// Nothing of the engine writes such a row yet: it is the record that a restore of the ledger leaves.
async fn ledger_restored() -> Told {
    let mut shell = with(Definition { misfire_grace_time: Duration::from_secs(5), ..every(10) }).await;
    shell.skip(63_000);
    shell.wake().await;
    let page = Page { size: 10, after: None::<RunId> };
    let rows = shell.ledger.runs(&RunFilter::default(), &page).await.unwrap().items;
    let row = rows.into_iter().find(|row| row.run.reason == Some(Reason::Late)).unwrap().run;
    let restored = Run {
        id: RunId::at(at(63_000), 9),
        covers_from: Some(at(-30_000)),
        first_scheduled_time: None,
        scheduled_time: at(-10_000),
        coalesced_count: 1,
        reason: Some(Reason::LedgerRestored),
        ..row
    };
    let mut transaction = Transaction::new(shell.epoch, at(63_000));
    transaction.entered.push(restored);
    shell.ledger.commit(&transaction).await.unwrap();
    said(shell.explain(-10_000).await, Outcome::LedgerRestored, &["restored from a backup"])
}

/// With two runs of which the records are purged, two hours later.
async fn purged(schedule: Schedule) -> Shell {
    let mut shell = Shell::start().await;
    let (calendar, definition) = holidays(&["2023-12-25"]);
    shell.ask(Command::CreateCalendar { calendar, definition, validate_only: false }).await;
    shell.ask(create(Definition { schedule: Schedule { max_fires: Some(2), ..schedule }, ..every(10) })).await;
    shell.join().await;
    for _ in 0..2 {
        shell.pass(10_500).await;
        shell.succeed().await;
    }
    shell.skip(7_200_000);
    shell.wake().await;
    shell.pass(10_000).await;
    let ended_before = at(7_200_000);
    let (namespace, job_id) = ("default".to_owned(), None);
    let purge = Purge::Asked(PurgeFilter { namespace, job_id, states: Vec::new(), ended_before });
    assert_eq!(shell.ledger.purge(shell.epoch, &purge, 100).await.unwrap().runs, 2);
    shell
}

async fn no_record() -> Told {
    let shell = purged(every(10).schedule).await;
    said(shell.explain(20_000).await, Outcome::NoRecord, &["purged"]);
    said(shell.explain(9_000_000).await, Outcome::MaxFiresReached, &[]);
    said(shell.explain(10_000).await, Outcome::NoRecord, &["purged"])
}

async fn max_fires_reached() -> Told {
    let schedule = Schedule { max_fires: Some(2), ..every(10).schedule };
    let mut shell = with(Definition { schedule, ..every(10) }).await;
    said(shell.explain(20_000).await, Outcome::Upcoming, &[]);
    said(shell.explain(30_000).await, Outcome::MaxFiresReached, &[]);
    shell.pass(45_000).await;
    said(shell.explain(20_000).await, Outcome::Skipped, &[]);
    said(shell.explain(30_000).await, Outcome::MaxFiresReached, &["max_fires 2"])
}

async fn not_created() -> Told {
    let shell = with(every(10)).await;
    let told = said(shell.explain(-10_000).await, Outcome::NotCreated, &["did not exist", "was created at"]);
    assert_eq!(told.job_revision, 0);
    told
}

#[tokio::test]
async fn every_outcome_there_is_is_told() {
    let told = [
        ran().await,
        waiting().await,
        coalesced().await,
        late().await,
        causes::changed_undecided().await,
        skipped().await,
        paused().await,
        disabled().await,
        deleted().await,
        excluded().await,
        undecided().await,
        upcoming().await,
        not_an_instant().await,
        ledger_restored().await,
        no_record().await,
        max_fires_reached().await,
        not_created().await,
    ];
    let told: BTreeSet<i32> = told.iter().map(|told| told.outcome).collect();
    let all: BTreeSet<i32> = (1..).take_while(|value| Outcome::try_from(*value).is_ok()).collect();
    assert_eq!(told, all, "every value of the enum has a case");
}

#[tokio::test]
async fn the_definition_that_held_at_the_instant_is_the_one_that_is_asked() {
    let mut shell = with(every(10)).await;
    shell.join().await;
    shell.pass(15_000).await;
    shell.ask(update(every(7))).await;
    assert_eq!(said(shell.explain(10_000).await, Outcome::Waiting, &["has not reported a start"]).job_revision, 1);
    assert_eq!(said(shell.explain(14_000).await, Outcome::NotAnInstant, &[]).job_revision, 1);
    assert_eq!(said(shell.explain(21_000).await, Outcome::Upcoming, &[]).job_revision, 2);
}

#[tokio::test]
async fn what_catch_up_and_a_backfill_make_up_is_told() {
    let mut shell = with(Definition { max_instances: 2, ..every(10) }).await;
    shell.pass(5_000).await;
    shell.ask(pause()).await;
    shell.pass(30_000).await;
    let begin = Command::BackfillJob {
        job: key(),
        start_time: at(10_000),
        end_time: at(11_000),
        max_runs: 5,
        concurrency: 1,
        validate_only: false,
    };
    shell.ask(begin).await;
    said(shell.explain(10_000).await, Outcome::Paused, &["Backfill", "PENDING"]);
    shell.ask(resume(true)).await;
    said(shell.explain(20_000).await, Outcome::Coalesced, &["3 fires"]);
}
