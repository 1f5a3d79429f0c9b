//! The modelled ledger: as bad as Postgres. A call is several steps (arrival, lock, fence, write, commit, answer), each an
//! event of its own, so that anything may come between two of them. A transaction goes on without its client.
//!
//! What it assumes: a transaction whose connection was lost is over, one way or the other, before the client hears
//! that it does not know the outcome.

mod steps;
mod tables;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Call, CallId, Done, Failure};

use crate::clock::{Clock, Instant};

pub(crate) use steps::short;
pub(crate) use tables::STAYS;
pub use tables::Tables;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CallNumber(pub(crate) u64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Arrives,
    WaitsForLock,
    Fences,
    Writes,
    Commits,
    /// Planted: answered, not committed.
    CommitsUnheard,
}

struct Open {
    server: usize,
    generation: u32,
    id: CallId,
    call: Call,
    step: Step,
    done: Option<Done>,
}

pub(crate) struct Ledger {
    pub(crate) tables: Tables,
    pub(crate) clock: Clock,
    pub(crate) is_down: bool,
    pub(crate) cut: BTreeSet<usize>,
    open: BTreeMap<CallNumber, Open>,
    next: u64,
    /// EPOCH, held shared.
    shared: BTreeSet<CallNumber>,
    exclusive: Option<CallNumber>,
    waiting: VecDeque<CallNumber>,
    /// Of a directed case: the server that does not hear of its next commit.
    pub(crate) keeps_from: Option<usize>,
    /// Numbers of calls whose outcome was answered as unknown, for a planted bug.
    unknown: BTreeSet<(usize, u32, CallId)>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            tables: Tables::default(),
            clock: Clock::default(),
            is_down: false,
            cut: BTreeSet::new(),
            open: BTreeMap::new(),
            next: 0,
            shared: BTreeSet::new(),
            exclusive: None,
            waiting: VecDeque::new(),
            keeps_from: None,
            unknown: BTreeSet::new(),
        }
    }

    pub(crate) fn now(&self, now: Instant) -> Timestamp {
        self.clock.wall(now)
    }
}

fn unavailable() -> Failure {
    Failure::Unavailable("no connection".to_owned())
}

fn unknown() -> Failure {
    Failure::Unknown("the connection was lost".to_owned())
}
