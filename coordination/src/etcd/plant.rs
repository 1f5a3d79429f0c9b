//! Deliberate bugs at the seam to etcd: what is asked of it, or what it says, is altered. They show that the contract suite
//! finds what it is for, and are in no build but that of the tests.

use etcd_client::KeyValue;

use super::Shared;
use super::requests::{Guard, Outcome, Transaction, Write};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plant {
    /// Transactions are done whatever is there.
    GuardsRemoved,
    /// Transactions of a leader are done though it leads no more.
    LeadershipUnguarded,
    /// A release frees the lock, whoever has it by then.
    ReleaseOfOthers,
    /// Keys outlive whoever they stand for.
    LeaseLeftOff,
    /// What a taking finds is never its own earlier try.
    RepetitionRefused,
    /// Keys are what they were when they were first read.
    StaleReads,
}

impl Plant {
    pub(super) const ALL: &[Self] = &[
        Self::GuardsRemoved,
        Self::LeadershipUnguarded,
        Self::ReleaseOfOthers,
        Self::LeaseLeftOff,
        Self::RepetitionRefused,
        Self::StaleReads,
    ];
}

impl Shared {
    pub(super) fn alter_transaction(&self, transaction: &Transaction) -> Transaction {
        let mut altered = transaction.clone();
        match self.settings.plant {
            Some(Plant::GuardsRemoved) => altered.guards.clear(),
            Some(Plant::LeadershipUnguarded) => {
                altered.guards.retain(|guard| !matches!(guard, Guard::Made(_, revision) if *revision > 0));
            }
            Some(Plant::ReleaseOfOthers) => altered.guards.retain(|guard| !matches!(guard, Guard::Is(..))),
            Some(Plant::LeaseLeftOff) => {
                for write in &mut altered.writes {
                    if let Write::Put { lease, .. } = write {
                        *lease = 0;
                    }
                }
            }
            Some(Plant::RepetitionRefused | Plant::StaleReads) | None => {}
        }
        altered
    }

    /// The first that is read, a guard's, stays: it is how a leader finds that it leads no more.
    pub(super) fn alter_outcome(&self, outcome: &mut Outcome) {
        if let Outcome::NotDone { read, .. } = outcome
            && self.settings.plant == Some(Plant::RepetitionRefused)
        {
            // A lock's value is found where another's key would be.
            let leader = read.first().cloned().flatten();
            read.iter_mut().skip(1).filter(|found| found.is_some()).for_each(|found| found.clone_from(&leader));
        }
    }

    pub(super) fn alter_read(&self, key: &[u8], read: &mut Vec<KeyValue>) {
        if self.settings.plant == Some(Plant::StaleReads) {
            let mut first = self.first_read.lock().expect("because nobody panics while holding it");
            read.clone_from(first.entry(key.to_vec()).or_insert_with(|| read.clone()));
        }
    }
}
