//! What the ledger must still have if it is the one that confirmed the term's transactions (rule 3, its last sentence). A
//! Postgres that was promoted in place of another may lack the last of them, under the same epoch: a leader that went on there
//! would hold for entered what nobody has. Each transaction leaves a mark, and tells which ones have been confirmed.

use std::collections::BTreeSet;

use crate::txn::Transaction;

#[derive(Default)]
pub(super) struct Marks {
    last: i64,
    /// Those whose presence no other one of them proves: a transaction was written where all that it tells of was there.
    confirmed: BTreeSet<i64>,
}

impl Marks {
    pub(super) fn mark(&mut self, transaction: &mut Transaction) {
        self.last += 1;
        transaction.mark = Some(self.last);
        transaction.confirmed = self.to_tell();
    }

    pub(super) fn to_tell(&self) -> Vec<i64> {
        self.confirmed.iter().copied().collect()
    }

    pub(super) fn confirmed(&mut self, transaction: &Transaction) {
        for told in &transaction.confirmed {
            self.confirmed.remove(told);
        }
        self.confirmed.extend(transaction.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::time::Timestamp;

    fn launched(marks: &mut Marks) -> Transaction {
        let mut transaction = Transaction::new(Epoch(1), Timestamp::default());
        marks.mark(&mut transaction);
        transaction
    }

    #[test]
    fn each_transaction_tells_all_that_was_confirmed_before_it_by_few_marks() {
        let mut marks = Marks::default();
        let [first, second] = [(); 2].map(|()| launched(&mut marks));
        assert_eq!((first.mark, second.mark, second.confirmed.as_slice()), (Some(1), Some(2), &[][..]));
        marks.confirmed(&second);
        let third = launched(&mut marks);
        assert_eq!(third.confirmed, [2]);
        // It was launched before the second was there, and says nothing of it.
        marks.confirmed(&first);
        marks.confirmed(&third);
        assert_eq!(launched(&mut marks).confirmed, [1, 3], "the third proves the second");
        for _ in 0..1_000 {
            let next = launched(&mut marks);
            marks.confirmed(&next);
        }
        assert_eq!(launched(&mut marks).confirmed.len(), 1);
    }
}
