//! The numbers of requests that this term has done. The ledger remembers them for a day; here they are remembered for as
//! long as a look-up in the ledger may have missed them: one that was asked before the commit is good for a while after.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::time::Boot;
use crate::txn::{RequestKey, RequestRow, Transaction};

use super::config::LOOK_UP_AGE;

/// Short for a number: of two that have the same, one is looked up once more than it need be.
type Short = u64;

#[derive(Default)]
pub(super) struct Numbers {
    in_flight: BTreeMap<RequestKey, RequestRow>,
    /// When the commit was heard of.
    committed: BTreeMap<Short, Boot>,
    /// The same, the oldest first.
    order: VecDeque<(Boot, Short)>,
}

impl Numbers {
    /// It is in a transaction that is being made.
    pub(super) fn enter(&mut self, row: RequestRow) {
        self.in_flight.insert(row.key.clone(), row);
    }

    /// What was done under a number, while the ledger has not got it yet.
    pub(super) fn in_flight(&self, key: &RequestKey) -> Option<&RequestRow> {
        self.in_flight.get(key)
    }

    /// Nothing was written under the number: whoever comes with it again is not told that it was.
    pub(super) fn forget(&mut self, key: &RequestKey) {
        self.in_flight.remove(key);
    }

    pub(super) fn committed(&mut self, transaction: &Transaction, now: Boot) {
        for row in &transaction.requests {
            self.in_flight.remove(&row.key);
            let short = short(&row.key);
            self.committed.insert(short, now);
            self.order.push_back((now, short));
        }
    }

    /// Whether a look-up that was asked then may have come too early to find it.
    pub(super) fn is_committed_since(&self, key: &RequestKey, asked: Boot) -> bool {
        self.committed.get(&short(key)).is_some_and(|time| *time >= asked)
    }

    /// Forgets those that every look-up has found which is still good.
    pub(super) fn forget_old(&mut self, now: Boot) {
        while let Some((time, short)) = self.order.pop_front_if(|(time, _)| now.since(*time) > LOOK_UP_AGE) {
            if self.committed.get(&short) == Some(&time) {
                self.committed.remove(&short);
            }
        }
    }
}

fn short(key: &RequestKey) -> Short {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::Epoch;
    use crate::time::Timestamp;

    fn row(request_id: &str) -> RequestRow {
        let key = RequestKey {
            namespace: "default".to_owned(),
            method: "TriggerJob".to_owned(),
            request_id: request_id.to_owned(),
        };
        RequestRow { key, digest: String::new(), resource: String::new(), time: Timestamp::default() }
    }

    fn at(seconds: u64) -> Boot {
        Boot(Duration::from_secs(seconds))
    }

    #[test]
    fn a_number_is_remembered_until_every_look_up_finds_it_that_is_still_good() {
        let (mut numbers, row) = (Numbers::default(), row("a"));
        numbers.enter(row.clone());
        assert_eq!(numbers.in_flight(&row.key), Some(&row));
        let transaction =
            Transaction { requests: vec![row.clone()], ..Transaction::new(Epoch(1), Timestamp::default()) };
        numbers.committed(&transaction, at(100));
        assert_eq!(numbers.in_flight(&row.key), None);
        assert!(numbers.is_committed_since(&row.key, at(99)) && numbers.is_committed_since(&row.key, at(100)));
        assert!(!numbers.is_committed_since(&row.key, at(101)), "the ledger had it then");
        numbers.forget_old(at(100).saturating_add(LOOK_UP_AGE));
        assert!(numbers.is_committed_since(&row.key, at(99)));
        // Done once more after the ledger forgot it, say: the later commit counts.
        numbers.committed(&transaction, at(110));
        numbers.forget_old(at(101).saturating_add(LOOK_UP_AGE));
        assert!(numbers.is_committed_since(&row.key, at(110)));
        numbers.forget_old(at(111).saturating_add(LOOK_UP_AGE));
        assert!(numbers.committed.is_empty() && numbers.order.is_empty());
    }
}
