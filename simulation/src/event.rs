//! What is going to happen, in the order of time; of equal times in the order of planning.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use executor_agent::session::{AttemptKey, Input as AgentInput};
use scheduler_core::engine::{Answer, KeepAliveId, LoanId, LockCallId, ProofId, Refusal, RequestHandle};
use scheduler_core::ids::AgentInstance;

use crate::clock::Instant;
use crate::election::Candidate;
use crate::faults::Heal;
use crate::ledger::CallNumber;
use crate::locking::LockCall;
use crate::network::{ConnectionId, Packet, Side};
use crate::server::Arrival;

/// Processes are named with their generation: what is meant for one that died reaches nobody.
#[derive(Debug)]
pub(crate) enum Event {
    Server {
        server: usize,
        generation: u32,
        arrival: Arrival,
    },
    ServerWakes {
        server: usize,
        generation: u32,
    },
    ServerStarts {
        server: usize,
    },
    Agent {
        agent: usize,
        generation: u32,
        input: Box<AgentInput>,
    },
    AgentWakes {
        agent: usize,
        generation: u32,
    },
    AgentStarts {
        agent: usize,
    },
    TaskBegins {
        agent: usize,
        generation: u32,
        key: AttemptKey,
    },
    /// `turn` tells the latest plan from earlier ones.
    TaskEnds {
        agent: usize,
        generation: u32,
        key: AttemptKey,
        turn: u32,
    },
    TaskTalks {
        agent: usize,
        generation: u32,
        key: AttemptKey,
    },
    SupervisorsLook {
        agent: usize,
    },
    Delivered {
        connection: ConnectionId,
        to: Side,
        packet: Packet,
    },
    LedgerStep {
        call: CallNumber,
    },
    CampaignArrives(Candidate),
    KeepAliveArrives(Candidate, KeepAliveId),
    ResignationArrives(Candidate),
    LeaseEnds(Candidate),
    ProofAsked(Candidate, ProofId, Vec<AgentInstance>),
    LoanAsked(Candidate, LoanId, AgentInstance, Duration),
    LocksAsked(Candidate, LockCallId, LockCall),
    AgentLeaseEnds(AgentInstance),
    /// A server's watch of who stands and leads.
    Watches {
        server: usize,
        generation: u32,
    },
    /// A server tells the others which changes are in the ledger, if it leads.
    Tells {
        server: usize,
        generation: u32,
    },
    ClientActs {
        client: usize,
    },
    ClientTires {
        client: usize,
        handle: RequestHandle,
    },
    Answered {
        handle: RequestHandle,
        answer: Box<Result<Answer, Refusal>>,
    },
    FaultStrikes,
    Heals(Heal),
}

struct Planned {
    at: Instant,
    sequence: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives its greatest first.
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[derive(Default)]
pub(crate) struct Queue {
    planned: BinaryHeap<Planned>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn plan(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.planned.push(Planned { at, sequence: self.sequence, event });
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.planned.peek().map(|planned| planned.at)
    }

    pub(crate) fn next(&mut self) -> Option<(Instant, Event)> {
        self.planned.pop().map(|planned| (planned.at, planned.event))
    }
}
