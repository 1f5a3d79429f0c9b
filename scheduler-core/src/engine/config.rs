use std::time::Duration;

use crate::ids::NodeId;

/// What the engine is told once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: NodeId,
    /// How long an agent may go on without a confirmed heartbeat, and so how long its loss takes to be certain.
    pub agent_ttl: Duration,
    /// How long this node leads after a keep-alive was sent; `None`: as long as its process, because it holds the
    /// lock on the ledger and no other node can be there (rule 16).
    pub lease: Option<Duration>,
    /// Shortest period of `every`.
    pub min_every: Duration,
    /// Locks that outlive their attempts.
    pub idle_locks: IdleLocks,
    pub ledger_clock: LedgerClock,
    /// Seed of ids and backoff jitter: randomness is an input.
    pub seed: u128,
}

/// Which wall clock the ledger has, by which schedules go (rule 17).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LedgerClock {
    /// A file on this machine: its clock is what the engine is told with every input.
    ThisMachines,
    /// A database: its clock is measured.
    ItsOwn,
}

/// How long, and how many, locks stay with their agents without an attempt (rule 20).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdleLocks {
    pub last: Duration,
    pub an_agent: usize,
    pub in_all: usize,
}

impl Default for IdleLocks {
    fn default() -> Self {
        Self { last: Duration::from_secs(90), an_agent: 32_768, in_all: 131_072 }
    }
}

/// Transactions in flight at the same time.
pub(super) const MAX_IN_FLIGHT: usize = 3;
/// Rows of fires and hand-outs in a burst's first transaction; doubles while bursts go on.
pub(super) const BATCH_MIN: usize = 64;
pub(super) const BATCH_MAX: usize = 512;
/// How long a due fire waits undecided for a free agent, so that it is entered with its attempt (rule 8).
pub(super) const HOLD: Duration = Duration::from_millis(500);
/// How long "started" waits for the end, which makes it superfluous (rule 8).
pub(super) const STARTED_GROUP: Duration = Duration::from_millis(20);
/// The watermark is written at most this often while fires are entered …
pub(super) const WATERMARK_BUSY: Duration = Duration::from_millis(100);
/// … and this often while nothing is.
pub(super) const WATERMARK_IDLE: Duration = Duration::from_secs(5);
/// How far the clocks of two nodes may differ.
pub(super) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);
/// More undecided fires than this at once, without coalescing: the latest run, the rest are MISSED.
pub(super) const MAX_RUNS_A_DECISION: usize = 1_000;
/// Counts of fires are exact up to here; above, the reader of the row computes them.
pub(super) const MAX_COUNT: u64 = 10_000;
/// How long a request waits for a leader to be ready.
pub(super) const LEADER_WAIT: Duration = Duration::from_secs(10);
/// How long a numbered request's look-up in the ledger is good for.
pub(super) const LOOK_UP_AGE: Duration = Duration::from_secs(30);
/// A failed ledger call is repeated after this.
pub(super) const LEDGER_RETRY: Duration = Duration::from_millis(200);
/// What a point of priority is worth in waiting time: a run that has waited this much longer goes first.
pub(super) const PRIORITY_POINT: Duration = Duration::from_secs(60);
/// Tokens are reserved in the ledger in spans of this many.
pub(super) const TOKEN_SPAN: i64 = 1 << 20;
/// A ledger that has not answered for this long cannot be reached (rule 15).
pub(super) const LEDGER_PATIENCE: Duration = Duration::from_secs(2);
/// One that has not answered for this long fails, as if it had said so.
pub(super) const LEDGER_SILENCE: Duration = Duration::from_secs(4);
/// How often a node that does not lead looks at the ledger.
pub(super) const SURVEY_EVERY: Duration = Duration::from_secs(1);
/// How often a leader looks at the clock of a ledger that has one of its own.
pub(super) const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Who resigned leaves it to others for this long (rule 15).
pub(super) const STANDS_BACK: Duration = Duration::from_secs(30);
/// Nodes with the ledger's schedule version are gone when none was seen for this long (rule 11).
pub(super) const VERSION_GONE: Duration = Duration::from_secs(60);
/// How long a leader that goes waits for what the ledger has been asked for.
pub(super) const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
/// A deleted job can be brought back for this long; then it goes, with all that it left.
pub(super) const DELETED_JOB_EXPIRY: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The number of a request is known for this long (rule 1).
pub(super) const REQUEST_MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// Jobs whose histories one call looks at, and runs or requests that it deletes at most: other writes wait for it.
pub(super) const PURGE_JOBS: usize = 32;
pub(super) const PURGE_RUNS: u32 = 500;
/// Between two such calls …
pub(super) const PURGE_PAUSE: Duration = Duration::from_millis(100);
/// … and from when all jobs have been looked at until the next time.
pub(super) const PURGE_REST: Duration = Duration::from_secs(60);
