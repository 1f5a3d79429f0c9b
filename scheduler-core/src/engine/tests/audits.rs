//! The audit's events: with the change that they tell of, and with nothing else.

use serde_json::json;

use crate::audit::{CHANGED_MASK, Event, Image, MASK, Origin};
use crate::engine::{Command, Input};
use crate::ids::AgentId;
use crate::job::{Definition, Payload, Task};
use crate::txn::{Failure, Transaction};

use super::world::{World, hello, job, key};

fn origin(method: &str) -> Origin {
    Origin { principal: "alice".to_owned(), method: method.to_owned(), ..Origin::default() }
}

fn secretive() -> Definition {
    let payload = Payload(r#"{"command":["deploy"],"env":{"KEY":"hunter2"}}"#.into());
    Definition { task: Task { task_type: "process".to_owned(), payload }, ..job() }
}

/// What the ledger has got since the last look.
fn events(world: &mut World) -> Vec<Event> {
    std::mem::take(&mut world.ledger.audit)
}

fn request(world: &mut World, command: Command) -> Vec<Event> {
    world.origin = Some(origin("Test"));
    world.request(command).unwrap();
    events(world)
}

#[test]
fn a_change_has_its_event_in_its_own_transaction_with_before_and_after() {
    let mut world = World::leading();
    let create =
        |definition| Command::CreateJob { job: key("a"), definition: Box::new(definition), validate_only: false };
    let created = request(&mut world, create(secretive()));
    let [event] = &created[..] else { panic!("{created:?}") };
    assert_eq!((event.origin.principal.as_str(), event.namespace.as_str()), ("alice", "default"));
    assert_eq!((event.resource.as_str(), &event.before), ("jobs/a", &None));
    let paused = request(&mut world, Command::PauseJob { job: key("a"), note: "why".to_owned() });
    let [event] = &paused[..] else { panic!("{paused:?}") };
    let (Some(Image::Job(before)), Some(Image::Job(after))) = (&event.before, &event.after) else {
        panic!("{event:?}")
    };
    assert_eq!((before.pause.is_some(), after.pause.is_some()), (false, true));
    assert!(event.id > created[0].id);
    for event in created.iter().chain(&paused) {
        let kept = serde_json::to_string(&(&event.before, &event.after)).unwrap();
        assert!(!kept.contains("hunter2") && !kept.contains("deploy"), "{kept}");
        assert!(kept.contains(MASK) && kept.contains("KEY"), "{kept}");
    }
    let deleted = request(&mut world, Command::DeleteJob { job: key("a"), etag: None });
    assert!(deleted[0].before.is_some() && deleted[0].after.is_none());
}

#[test]
fn what_changes_nothing_or_is_refused_has_no_event() {
    let mut world = World::leading();
    world.origin = Some(origin("Test"));
    world.create("a", job());
    events(&mut world);
    world.request(Command::EnableJob { job: key("a"), note: String::new() }).unwrap();
    world.request(Command::PauseJob { job: key("b"), note: String::new() }).unwrap_err();
    let dry = Command::CreateJob { job: key("c"), definition: Box::new(job()), validate_only: true };
    world.request(dry).unwrap();
    assert_eq!(events(&mut world), []);
}

#[test]
fn runs_by_request_and_cordons_have_events_and_fires_have_none() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    world.create("a", job());
    let trigger = Command::TriggerJob { job: key("a"), payload: None, labels: [].into(), not_before: None };
    let triggered = request(&mut world, trigger);
    let [event] = &triggered[..] else { panic!("{triggered:?}") };
    assert!(matches!(&event.after, Some(Image::Fields(fields)) if fields["trigger"] == "MANUAL"), "{event:?}");
    let masked = |event: &Event| match &event.after {
        Some(Image::Fields(fields)) => fields["payload"].clone(),
        other => panic!("{other:?}"),
    };
    world.create("p", secretive());
    events(&mut world);
    let payload = Some(Payload(r#"{"command":["deploy"],"env":{"KEY":"hunter3"}}"#.into()));
    let trigger = Command::TriggerJob { job: key("p"), payload, labels: [].into(), not_before: None };
    let triggered = request(&mut world, trigger);
    assert_eq!(masked(&triggered[0]), json!({"command": [MASK], "env": {"KEY": CHANGED_MASK}}));
    let cordon = Command::CordonAgent { agent: AgentId::from("a"), note: "disk".to_owned() };
    let cordoned = request(&mut world, cordon);
    assert!(matches!(&cordoned[0].after, Some(Image::Cordon(cordon)) if cordon.note == "disk"));
    assert_eq!(cordoned[0].resource, "agents/a");
    world.pass_beating(30, &[1]);
    assert_eq!(events(&mut world), []);
}

#[test]
fn a_cancelled_run_is_told_as_it_was_and_as_it_is() {
    let mut world = World::leading();
    world.create("a", job());
    let trigger = Command::TriggerJob { job: key("a"), payload: None, labels: [].into(), not_before: None };
    let triggered = request(&mut world, trigger);
    let state = |image: &Option<Image>| match image {
        Some(Image::Fields(fields)) => (fields["runId"].clone(), fields["state"].clone()),
        other => panic!("{other:?}"),
    };
    let Some(Image::Fields(run)) = &triggered[0].after else { panic!("{triggered:?}") };
    let run = run["runId"].clone();
    let id = run.as_str().unwrap().parse().unwrap();
    let cancel = Command::CancelRun { namespace: "default".into(), run: id, note: "enough".into() };
    let told = request(&mut world, cancel);
    assert_eq!(state(&told[0].before), (run.clone(), json!("PENDING")));
    assert_eq!(state(&told[0].after), (run, json!("CANCELLED")));
}

#[test]
fn a_request_that_the_ledger_refuses_takes_its_event_along_and_no_other() {
    let mut world = World::leading();
    world.origin = Some(origin("Test"));
    for job_id in ["a", "b", "c"] {
        world.create(job_id, job());
    }
    events(&mut world);
    world.ledger.refuses = Some(Box::new(|transaction: &Transaction| {
        let is_bad = transaction.jobs.iter().any(|write| write.note == "bad");
        is_bad.then(|| Failure::Refused("bad bytes".into()))
    }));
    world.ledger_works = false;
    world.input(Input::Wake);
    let pause = |job_id: &str, note: &str| Command::PauseJob { job: key(job_id), note: note.to_owned() };
    let asked =
        [("a", "good"), ("b", "bad"), ("c", "good")].map(|(job_id, note)| world.begin(None, pause(job_id, note)));
    world.ledger_catches_up();
    assert_eq!(asked.map(|handle| world.answers[&handle].is_ok()), [true, false, true]);
    let mut resources: Vec<String> = events(&mut world).into_iter().map(|event| event.resource).collect();
    resources.sort();
    assert_eq!(resources, ["jobs/a", "jobs/c"]);
}
