//! What the ledger must still have if it is the one that confirmed the term's transactions (rule 3, its last sentence). A
//! Postgres that was promoted in place of another may lack the last of them, under the same epoch: a leader that went on there
//! would hold for entered what nobody has. Each transaction tells which ones have been confirmed, and leaves a mark itself.

use std::collections::BTreeMap;

use crate::txn::{Mark, Transaction};

#[derive(Default)]
pub(super) struct Marks {
    last: i64,
    /// The last one of each lane.
    confirmed: BTreeMap<u32, i64>,
}

impl Marks {
    /// Gives a transaction the first lane that none in flight has.
    pub(super) fn mark<'t>(&mut self, transaction: &mut Transaction, in_flight: impl Iterator<Item = &'t Transaction>) {
        let taken: Vec<u32> = in_flight.filter_map(|other| other.mark).map(|mark| mark.lane).collect();
        let lane = (0..).find(|lane| !taken.contains(lane)).expect("because few are in flight");
        self.last += 1;
        transaction.mark = Some(Mark { lane, number: self.last });
        transaction.confirmed = self.confirmed.iter().map(|(&lane, &number)| Mark { lane, number }).collect();
    }

    pub(super) fn confirmed(&mut self, transaction: &Transaction) {
        if let Some(Mark { lane, number }) = transaction.mark {
            self.confirmed.insert(lane, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::time::Timestamp;

    fn launched(marks: &mut Marks, in_flight: &[&Transaction]) -> Transaction {
        let mut transaction = Transaction::new(Epoch(1), Timestamp::default());
        marks.mark(&mut transaction, in_flight.iter().copied());
        transaction
    }

    #[test]
    fn transactions_in_flight_share_no_lane_and_each_tells_what_was_confirmed_before_it() {
        let mut marks = Marks::default();
        let first = launched(&mut marks, &[]);
        let second = launched(&mut marks, &[&first]);
        assert_eq!(first.mark, Some(Mark { lane: 0, number: 1 }));
        assert_eq!(second.mark, Some(Mark { lane: 1, number: 2 }));
        assert_eq!((first.confirmed, second.confirmed.clone()), (vec![], vec![]));

        marks.confirmed(&second);
        let third = launched(&mut marks, &[]);
        marks.confirmed(&third);
        let last = launched(&mut marks, &[]);
        assert_eq!(last.mark, Some(Mark { lane: 0, number: 4 }));
        assert_eq!(last.confirmed, [Mark { lane: 0, number: 3 }, Mark { lane: 1, number: 2 }]);
    }
}
