//! What a ledger must notice that may come back without the last it had confirmed (PROTOCOL.md, rule 3): SQLite never does.

use scheduler_core::txn::{Failure, Transaction};

use crate::contract::samples::{created, job};
use crate::contract::{Backend, Term};

pub(crate) async fn what_was_confirmed_and_is_not_there_is_noticed(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let marked = |term: &Term, mark, confirmed: &[i64]| Transaction {
        mark: Some(mark),
        confirmed: confirmed.to_vec(),
        ..term.transaction()
    };
    let commit = async |transaction: Transaction| term.ledger.commit(&transaction).await;
    assert_eq!(commit(marked(&term, 1, &[])).await, Ok(()));
    assert_eq!(commit(marked(&term, 3, &[1])).await, Ok(()));
    let next = marked(&term, 4, &[1, 3]);
    assert_eq!(commit(next.clone()).await, Ok(()));
    assert_eq!(commit(next).await, Ok(()), "an unknown outcome is asked for again, and finds its own mark");

    let mut lost = marked(&term, 5, &[2, 4]);
    lost.jobs.push(created(job(1, "default", "a")));
    assert_eq!(commit(lost).await, Err(Failure::WentBack { mark: 2 }));
    assert_eq!(term.load().await.jobs, []);

    let next = Term::begin(backend).await;
    let old = commit(marked(&term, 6, &[2])).await;
    assert_eq!(old, Err(Failure::Deposed { current: next.epoch() }));
    assert_eq!(commit(marked(&next, 1, &[])).await, Ok(()));
    let of_before = commit(marked(&next, 2, &[1, 3])).await;
    assert_eq!(of_before, Err(Failure::WentBack { mark: 3 }), "a mark of another term was taken for one of this");
}

pub(crate) async fn old_marks_go_and_recent_ones_stay(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let marked =
        |mark, confirmed: &[i64]| Transaction { mark: Some(mark), confirmed: confirmed.to_vec(), ..term.transaction() };
    for mark in [1, 20_000, 21_000] {
        term.ledger.commit(&marked(mark, &[])).await.unwrap();
    }
    assert_eq!(term.ledger.commit(&marked(21_001, &[20_000, 21_000])).await, Ok(()));
    assert_eq!(term.ledger.commit(&marked(21_002, &[1])).await, Err(Failure::WentBack { mark: 1 }));
}
