//! RetryRun: a new run like one that has ended, however that ended.

use crate::agent::Outcome;
use crate::engine::{Answer, Away, Command, Refusal};
use crate::ids::RunId;
use crate::job::{Definition, JobKey};
use crate::run::{Run, RunState, Trigger};
use crate::schedule::Schedule;
use crate::txn::Call;

use super::world::{LEASE, World, hello, job, key, seconds};

fn retry(job: JobKey, of: RunId) -> Command {
    let labels = [("tried".to_owned(), "again".to_owned())].into();
    Command::RetryRun { job, of, payload: Some(crate::job::Payload("{\"n\":7}".into())), labels }
}

fn at(world: &World, after: u64, definition: Definition) -> Definition {
    let at = vec![world.now.wall.saturating_add(seconds(after))];
    Definition { schedule: Schedule { at, ..Schedule::default() }, ..definition }
}

/// One run of every end, each of a job of its own.
fn one_of_every_end(world: &mut World) -> Vec<Run> {
    let paused = at(world, 10, job());
    world.create("skipped", paused);
    world.pass(seconds(11));
    world.request(Command::PauseJob { job: key("skipped"), note: String::new() }).unwrap();
    world.create("expired", Definition { start_deadline: Some(seconds(5)), ..job() });
    world.trigger("expired");
    world.create("cancelled", job());
    let run = world.trigger("cancelled").id;
    world.request(Command::CancelRun { namespace: "default".into(), run, note: String::new() }).unwrap();
    let late = at(world, 10, Definition { misfire_grace_time: seconds(1), ..job() });
    world.create("missed", late);
    world.skip(seconds(60));
    world.crash();
    world.pass(seconds(1));
    world.join(1, hello("a", 1, 9));
    for (job_id, outcome) in
        [("succeeded", Outcome::Succeeded), ("failed", Outcome::Failed), ("timed-out", Outcome::TimedOut)]
    {
        world.create(job_id, job());
        world.trigger(job_id);
        let attempt = world.assigned()[0].1.attempt;
        world.finish(1, attempt, outcome);
    }
    world.ledger.runs.values().cloned().collect()
}

#[test]
fn a_run_is_retried_however_it_ended_and_stays_as_it_was() {
    let mut world = World::leading();
    let ended = one_of_every_end(&mut world);
    let mut states: Vec<RunState> = ended.iter().map(|run| run.state).collect();
    states.sort_by_key(|state| state.as_str());
    use RunState::{Cancelled, Expired, Failed, Missed, Skipped, Succeeded, TimedOut};
    assert_eq!(states, [Cancelled, Expired, Failed, Missed, Skipped, Succeeded, TimedOut]);
    for run in ended {
        let Ok(Answer::Run(again)) = world.request(retry(run.job_key.clone(), run.id)) else {
            panic!("{} is retried", run.state)
        };
        assert_eq!((again.trigger, again.retry_of), (Trigger::Retry, Some(run.id)));
        assert_eq!((again.covers_from, again.scheduled_time), (None, world.now.wall), "it decides no instant");
        let assigned = world.assigned();
        assert_eq!((assigned.len(), &*assigned[0].1.payload.0), (1, "{\"n\":7}"));
        world.finish(1, assigned[0].1.attempt, Outcome::Succeeded);
        let again = &world.ledger.runs[&again.id];
        assert_eq!((again.state, again.labels["tried"].as_str()), (Succeeded, "again"));
        assert_eq!(world.ledger.runs[&run.id], run, "history does not change");
    }
}

#[test]
fn a_run_of_a_disabled_or_deleted_job_is_not_retried() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    for (job_id, change, refusal) in [
        ("off", Command::DisableJob { job: key("off"), note: String::new() }, Refusal::JobDisabled(key("off"))),
        ("gone", Command::DeleteJob { job: key("gone"), etag: None }, Refusal::JobDeleted(key("gone"))),
    ] {
        world.create(job_id, job());
        let run = world.trigger(job_id).id;
        world.execute_all();
        world.request(change).unwrap();
        let entered = world.ledger.runs.len();
        assert_eq!(world.request(retry(key(job_id), run)), Err(refusal));
        assert_eq!((world.ledger.runs.len(), world.assigned().len()), (entered, 0));
    }
}

#[test]
fn a_suspended_leader_retries_nothing() {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    let run = world.trigger("one").id;
    world.execute_all();
    world.coordinator_works = false;
    world.pass_beating(LEASE.as_secs(), &[1]);
    assert_eq!(world.request(retry(key("one"), run)), Err(Refusal::Unavailable(Away::Suspended)));
    assert_eq!(world.ledger.runs.len(), 1);
}

#[test]
fn two_retries_of_one_number_make_one_run() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    let run = world.trigger("one").id;
    world.execute_all();
    world.ledger_works = false;
    // The ledger knows neither number when it is asked: the first is still on its way there.
    let first = world.begin(Some("again"), retry(key("one"), run));
    answer_look_up(&mut world);
    let second = world.begin(Some("again"), retry(key("one"), run));
    answer_look_up(&mut world);
    world.ledger_catches_up();
    let Ok(Answer::Run(again)) = &world.answers[&first] else { panic!("{:?}", world.answers[&first]) };
    assert_eq!(world.answers[&second], Ok(Answer::Repeated(again.id.to_string())));
    world.crash();
    let third = world.begin(Some("again"), retry(key("one"), run));
    assert!(matches!(world.answers[&third], Ok(Answer::Repeated(_))));
    assert_eq!(world.ledger.runs.len(), 2);
}

/// The ledger answers the question about a number, and none of the writes before it.
fn answer_look_up(world: &mut World) {
    let (id, call) = world.calls.pop().expect("a number is looked up when it comes");
    assert!(matches!(call, Call::FindRequests(_)), "{call:?}");
    let found = world.ledger.call(&call, world.now.wall);
    world.answer_call(id, found);
}
