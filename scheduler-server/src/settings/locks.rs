//! Locks that stay with their agents without an attempt, in a cluster.

use std::time::Duration;

use clap::Args;
use scheduler_core::engine::IdleLocks;

use super::File;

#[derive(Debug, Default, Args)]
pub struct LockFlags {
    /// How long an agent keeps the lock of a job that fires again within that time; 0s: not at all [default: 90s]
    #[arg(long, env = "PUNCTUAL_NODE_LOCK_IDLE", value_name = "DURATION", value_parser = humantime::parse_duration)]
    lock_idle: Option<Duration>,

    /// How many such locks one agent keeps at most [default: 32768]
    #[arg(long, env = "PUNCTUAL_NODE_IDLE_LOCKS_PER_AGENT", value_name = "NUMBER")]
    idle_locks_per_agent: Option<usize>,

    /// How many such locks all agents keep at most [default: 131072]
    #[arg(long, env = "PUNCTUAL_NODE_IDLE_LOCKS", value_name = "NUMBER")]
    idle_locks: Option<usize>,
}

impl LockFlags {
    pub(super) fn resolve(self, file: &File) -> IdleLocks {
        let usual = IdleLocks::default();
        IdleLocks {
            last: self.lock_idle.or(file.lock_idle).unwrap_or(usual.last),
            an_agent: self.idle_locks_per_agent.or(file.idle_locks_per_agent).unwrap_or(usual.an_agent),
            in_all: self.idle_locks.or(file.idle_locks).unwrap_or(usual.in_all),
        }
    }
}
