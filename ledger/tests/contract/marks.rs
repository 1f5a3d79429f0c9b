//! What a ledger must notice that may come back without the last it had confirmed (PROTOCOL.md, rule 3): SQLite never does.

use scheduler_core::txn::{Failure, Mark, Transaction};

use crate::contract::samples::{created, job};
use crate::contract::{Backend, Term};

pub(crate) async fn what_was_confirmed_and_is_not_there_is_noticed(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let mark = |lane, number| Mark { lane, number };
    let marked = |term: &Term, own, confirmed: &[Mark]| Transaction {
        mark: Some(own),
        confirmed: confirmed.to_vec(),
        ..term.transaction()
    };
    let commit = async |transaction: Transaction| term.ledger.commit(&transaction).await;
    assert_eq!(commit(marked(&term, mark(0, 1), &[])).await, Ok(()));
    assert_eq!(commit(marked(&term, mark(1, 2), &[mark(0, 1)])).await, Ok(()));
    let third = marked(&term, mark(0, 3), &[mark(0, 1), mark(1, 2)]);
    assert_eq!(commit(third.clone()).await, Ok(()));
    assert_eq!(commit(third).await, Ok(()), "an unknown outcome is asked for again, and finds its own mark");

    for lost in [mark(1, 4), mark(2, 4)] {
        let mut transaction = marked(&term, mark(0, 5), &[mark(0, 3), lost]);
        transaction.jobs.push(created(job(1, "default", "a")));
        assert_eq!(commit(transaction).await, Err(Failure::Lost { number: 4 }));
    }
    assert_eq!(term.load().await.jobs, []);

    let next = Term::begin(backend).await;
    let old = commit(marked(&term, mark(0, 6), &[mark(0, 3)])).await;
    assert_eq!(old, Err(Failure::Deposed { current: next.epoch() }));
    assert_eq!(commit(marked(&next, mark(0, 1), &[])).await, Ok(()));
    assert_eq!(
        commit(marked(&next, mark(0, 2), &[mark(0, 1), mark(1, 1)])).await,
        Err(Failure::Lost { number: 1 }),
        "a mark of an earlier term was taken for one of this term"
    );
}
