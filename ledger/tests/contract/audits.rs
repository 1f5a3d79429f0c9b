//! The audit: what it keeps, what its lists name, and what it forgets.

use std::time::Duration;

use ledger::{AuditFilter, Page};
use scheduler_core::audit::{Event, Image, Origin};
use scheduler_core::ids::{AuditEventId, TokenId};

use super::samples::{NOW, created, event, full_job, job, seconds_after};
use super::{Access, AccessBackend, Term};

/// Events 1 to 4, a second apart.
fn history() -> [Event; 4] {
    let at = |n: u64| {
        let time = seconds_after(n);
        Event { id: AuditEventId::at(time, u128::from(n)), time, ..event(u128::from(n)) }
    };
    let by = |principal: &str| Origin { principal: principal.to_owned(), ..event(1).origin };
    let (before, after) = Image::jobs(Some(&full_job(1)), Some(&full_job(2)));
    [
        Event { before, after, ..at(1) },
        Event { namespace: "team-a".to_owned(), resource: "jobs/b".to_owned(), ..at(2) },
        Event { origin: by("bob"), refusal: "NOT_ALLOWED".to_owned(), resource: "jobs/ab".to_owned(), ..at(3) },
        Event {
            origin: Origin { token: Some(TokenId::at(NOW, 7)), ..by("bob") },
            namespace: String::new(),
            resource: "tokens/x".to_owned(),
            ..at(4)
        },
    ]
}

async fn listed(ledger: &dyn Access, filter: AuditFilter, size: u32, after: Option<AuditEventId>) -> (Vec<u64>, bool) {
    let found = ledger.events(&filter, &Page { size, after }).await.unwrap();
    (found.items.iter().map(|event| event.time.since(NOW).as_secs()).collect(), found.more)
}

pub(crate) async fn events_come_back_whole_and_are_there_once(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    for _ in 0..2 {
        ledger.record(&history()).await.unwrap();
    }
    let mut found = ledger.events(&AuditFilter::default(), &Page { size: 9, after: None }).await.unwrap().items;
    found.reverse();
    assert_eq!(found, history());
}

pub(crate) async fn lists_of_events_hold_what_the_filter_names(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    ledger.record(&history()).await.unwrap();
    let filter = AuditFilter::default;
    let namespace = |name: &str| Some(name.to_owned());
    let bob = || "bob".to_owned();
    let cases = [
        (filter(), vec![4, 3, 2, 1]),
        (AuditFilter { namespace: namespace("default"), ..filter() }, vec![3, 1]),
        (AuditFilter { namespace: namespace(""), ..filter() }, vec![4]),
        (AuditFilter { principal: bob(), ..filter() }, vec![4, 3]),
        (AuditFilter { principal: bob(), namespace: namespace("default"), ..filter() }, vec![3]),
        (AuditFilter { query: "jobs/a".to_owned(), ..filter() }, vec![3, 1]),
        (AuditFilter { query: "jobs/ab".to_owned(), principal: bob(), ..filter() }, vec![3]),
        (AuditFilter { after: Some(seconds_after(2)), before: Some(seconds_after(4)), ..filter() }, vec![3, 2]),
        (AuditFilter { namespace: namespace("nowhere"), ..filter() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(listed(&*ledger, filter.clone(), 9, None).await, (expected, false), "{filter:?}");
    }
    assert_eq!(listed(&*ledger, filter(), 3, None).await, (vec![4, 3, 2], true));
    assert_eq!(listed(&*ledger, filter(), 3, Some(history()[1].id)).await, (vec![1], false));
}

pub(crate) async fn an_event_is_there_with_its_change_and_not_without_it(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    let term = Term::begin(backend).await;
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job(1, "default", "a")));
    transaction.audit = history().to_vec();
    for _ in 0..2 {
        term.ledger.commit(&transaction).await.unwrap();
    }
    assert_eq!(listed(&*ledger, AuditFilter::default(), 9, None).await.0, [4, 3, 2, 1]);
    // Another live job of the name.
    let mut refused = term.transaction();
    refused.jobs.push(created(job(2, "default", "a")));
    refused.audit.push(event(70));
    term.ledger.commit(&refused).await.unwrap_err();
    assert_eq!(listed(&*ledger, AuditFilter::default(), 9, None).await.0.len(), 4);
}

pub(crate) async fn old_events_are_forgotten_a_batch_at_a_time(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    ledger.record(&history()).await.unwrap();
    let before = seconds_after(4);
    assert_eq!(ledger.forget(before, 2).await.unwrap(), 2);
    assert_eq!(listed(&*ledger, AuditFilter::default(), 9, None).await.0, [4, 3], "the oldest first");
    assert_eq!(ledger.forget(before, 2).await.unwrap(), 1);
    assert_eq!(ledger.forget(before, 2).await.unwrap(), 0);
    assert_eq!(ledger.forget(before.saturating_add(Duration::from_secs(1)), 2).await.unwrap(), 1);
}
