use std::sync::Arc;

use scheduler_core::agent::{LogChunk, LogSource};
use scheduler_core::ids::{AttemptId, JobUid};
use scheduler_core::job::JobKey;
use scheduler_core::run::RunState;
use scheduler_core::txn::Transaction;

use super::*;

const TIME: Timestamp = Timestamp::from_secs(1);

fn id(n: u128) -> RunId {
    RunId(uuid::Uuid::from_u128(n))
}

fn run(n: u128, job: &str, state: RunState) -> Run {
    let job_key = JobKey { namespace: "default".to_owned(), job_id: job.to_owned() };
    Run {
        id: id(n),
        job_uid: JobUid(uuid::Uuid::nil()),
        job_key,
        job_revision: 1,
        trigger: Trigger::Manual,
        scheduled_time: TIME,
        occurrence: 1,
        covers_from: None,
        decided_at: TIME,
        not_before: TIME,
        state,
        reason: None,
        reason_message: String::new(),
        attempt: 0,
        uncounted_attempts: 0,
        next_attempt_time: None,
        first_attempt: None,
        coalesced_count: 1,
        first_scheduled_time: None,
        retry_of: None,
        backfill_id: None,
        labels: std::collections::BTreeMap::new(),
        payload: None,
        cancel_requested_time: None,
        create_time: TIME,
        start_time: None,
        end_time: None,
        progress: None,
        result: None,
        error: None,
        exit_code: None,
    }
}

fn term(epoch: i64) -> Publication {
    Publication { epoch: Epoch(epoch), committed: None, floor: id(1), time: TIME, logs_under_way: BTreeSet::new() }
}

fn commit(epoch: i64, updated: Vec<Run>) -> Publication {
    let transaction = Transaction { updated, ..Transaction::new(Epoch(epoch), TIME) };
    Publication { committed: Some(Arc::new(transaction)), ..term(epoch) }
}

fn pending(n: u128) -> Run {
    run(n, "a", RunState::Pending)
}

fn any() -> Interest {
    Interest::default()
}

fn changed(after: After) -> Vec<u128> {
    match after {
        After::Changed(runs, _) => runs.into_iter().map(|run| run.0.as_u128()).collect(),
        After::Forgotten => panic!("it is forgotten"),
    }
}

#[test]
fn a_place_leads_to_all_that_came_after_it_each_run_once() {
    let feed = Feed::default();
    assert_eq!(feed.mark(), None);
    feed.publish(&term(1));
    let start = feed.mark().unwrap().place;
    assert_eq!(changed(feed.after(start, &any(), 10)), []);
    feed.publish(&commit(1, vec![pending(1), pending(2)]));
    let middle = feed.mark().unwrap().place;
    feed.publish(&commit(1, vec![]));
    feed.publish(&commit(1, vec![pending(3), pending(1)]));
    assert_eq!(changed(feed.after(start, &any(), 10)), [1, 2, 3]);
    assert_eq!(changed(feed.after(middle, &any(), 10)), [1, 3]);
    let After::Changed(first, mark) = feed.after(start, &any(), 1) else { panic!() };
    assert_eq!((first, mark.place), (vec![id(1), id(2)], middle));
}

#[test]
fn only_runs_of_interest_are_told() {
    let feed = Feed::default();
    feed.publish(&term(1));
    let start = feed.mark().unwrap().place;
    feed.publish(&commit(1, vec![pending(1), run(2, "b", RunState::Pending)]));
    let of = |job_id: &str| Interest { job_id: Some(job_id.to_owned()), ..any() };
    assert_eq!(changed(feed.after(start, &of("b"), 10)), [2]);
    // Who may see no namespace sees nothing, rather than all.
    for namespaces in [vec!["x".to_owned()], vec![]] {
        let nobodys = Interest { namespaces: Some(namespaces), ..any() };
        assert_eq!(changed(feed.after(start, &nobodys, 10)), []);
        assert!(!nobodys.covers(&pending(1)) && !nobodys.each_namespace().contains(&None));
    }
    assert_eq!(changed(feed.after(start, &Interest { triggers: vec![Trigger::Schedule], ..any() }, 10)), []);
    assert!(of("b").covers(&run(2, "b", RunState::Pending)) && !of("b").covers(&pending(1)));
}

#[test]
fn places_of_earlier_terms_and_places_that_never_were_are_forgotten() {
    let feed = Feed::default();
    feed.publish(&term(1));
    let early = feed.mark().unwrap().place;
    feed.publish(&commit(1, vec![pending(1)]));
    feed.publish(&term(2));
    assert_eq!(feed.after(early, &any(), 10), After::Forgotten);
    assert_eq!(feed.after(Place { epoch: Epoch(2), n: 1 }, &any(), 10), After::Forgotten);
}

#[test]
fn memory_is_bounded() {
    let feed = Feed::default();
    feed.publish(&term(1));
    let start = feed.mark().unwrap().place;
    for n in 0..300 {
        feed.publish(&commit(1, (0..256).map(|i| pending(n * 256 + i)).collect()));
    }
    assert_eq!(feed.after(start, &any(), 10), After::Forgotten);
    assert!(feed.memory().changes <= MOST_CHANGES);
    let late = Place { n: 299, ..start };
    assert_eq!(changed(feed.after(late, &any(), 1_000)).len(), 256);
    for _ in 0..=MOST_COMMITS {
        feed.publish(&commit(1, vec![]));
    }
    assert!(feed.memory().commits.len() <= MOST_COMMITS);
}

#[tokio::test]
async fn who_follows_a_run_is_told_of_its_output_and_its_end() {
    let feed = Arc::new(Feed::default());
    feed.publish(&term(1));
    let mut following = feed.follow(id(1));
    assert_eq!(following.seen(), Seen::default());
    feed.publish(&commit(1, vec![pending(2)]));
    let chunk = LogChunk {
        attempt: AttemptId { run: id(1), number: 1 },
        sequence: 1,
        source: LogSource::Stdout,
        time: TIME,
        data: Vec::new(),
        cut_bytes: 0,
    };
    let transaction = Transaction { logs: vec![chunk], ..Transaction::new(Epoch(1), TIME) };
    feed.publish(&Publication { committed: Some(Arc::new(transaction)), ..term(1) });
    following.news().await;
    assert_eq!(following.seen(), Seen::default());
    let end = run(1, "a", RunState::Succeeded);
    feed.publish(&Publication { logs_under_way: BTreeSet::from([id(1)]), ..commit(1, vec![end]) });
    following.news().await;
    assert_eq!(following.seen(), Seen { ended: true, logs_under_way: true });
    feed.publish(&commit(1, vec![]));
    following.news().await;
    assert_eq!(following.seen(), Seen { ended: true, logs_under_way: false });
}

#[test]
fn who_begins_to_follow_a_run_is_told_of_output_that_is_on_its_way() {
    let feed = Arc::new(Feed::default());
    feed.publish(&term(1));
    feed.publish(&Publication { logs_under_way: BTreeSet::from([id(1)]), ..commit(1, vec![]) });
    assert_eq!(feed.follow(id(1)).seen(), Seen { ended: false, logs_under_way: true });
    assert_eq!(feed.follow(id(2)).seen(), Seen::default());
    feed.publish(&commit(1, vec![]));
    assert_eq!(feed.follow(id(1)).seen(), Seen::default());
}

#[test]
fn who_has_left_is_forgotten() {
    let feed = Arc::new(Feed::default());
    let (first, second) = (feed.follow(id(1)), feed.follow(id(1)));
    drop(first);
    assert!(!feed.memory().followers.is_empty());
    drop(second);
    assert!(feed.memory().followers.is_empty());
}
