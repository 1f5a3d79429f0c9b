//! The use cases: validate a request, read the ledger, hand writes to the leader.
//!
//! Any node does this for any request. Nothing here knows gRPC's statuses or wire (that is [`crate::api`]), and
//! nothing here decides what becomes of a job or a run (that is the engine, behind [`LeaderPort`]).

mod agent;
mod audit;
mod backfill;
mod calendar;
mod call;
mod clean;
mod diff;
mod digest;
mod error;
mod explain;
mod job;
mod job_list;
mod leader_port;
mod lists;
mod locks;
mod mask;
mod namespaces;
mod page;
mod payload;
mod preview;
mod purge;
mod revisions;
mod run;
mod schemas;
mod scope;
mod stats;
mod status;
mod tail;
mod task_type;
mod token;
mod upcoming;
mod update;
mod view;
mod watch;
mod write;

#[cfg(test)]
pub(crate) mod fakes;

use std::sync::Arc;
use std::time::Duration;

use job_spec::Rules;
use ledger::{Audit, Reader, Tokens};
use scheduler_core::ids::NodeId;
use scheduler_core::time::Timestamp;

use self::schemas::Schemas;
use crate::feed::Feed;

pub use call::{Call, Handed};
pub use error::Error;
pub use leader_port::LeaderPort;
pub use watch::Stream;

/// Where the wall clock is read.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// This node, as others see it.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: NodeId,
    /// At which others reach it.
    pub address: String,
    pub start_time: Timestamp,
    /// What an operator should change about it, in words.
    pub warnings: Vec<String>,
}

/// What any node writes to the ledger.
#[derive(Clone)]
pub struct Access {
    pub tokens: Arc<dyn Tokens>,
    pub audit: Arc<dyn Audit>,
}

/// All use cases, over the seams that they need.
pub struct Service {
    ledger: Arc<dyn Reader>,
    access: Access,
    leader: Arc<dyn LeaderPort>,
    feed: Arc<Feed>,
    clock: Clock,
    node: Node,
    min_every: Duration,
    schemas: Schemas,
}

impl Service {
    /// `min_every` is the shortest period that schedules may have here.
    pub fn new(
        ledger: Arc<dyn Reader>,
        access: Access,
        leader: Arc<dyn LeaderPort>,
        feed: Arc<Feed>,
        clock: Clock,
        node: Node,
        min_every: Duration,
    ) -> Self {
        Self { ledger, access, leader, feed, clock, node, min_every, schemas: Schemas::default() }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn rules(&self, create_time: Timestamp) -> Rules {
        Rules { create_time, min_every: self.min_every }
    }
}
