//! The ledger: the SQL database that holds jobs, runs, attempts and logs, and is the only truth about
//! what happened.
//!
//! One crate knows SQL, behind narrow traits: [`Leader`] for the one writer, [`Reader`] for everybody, and [`Tokens`] and
//! [`Audit`] for what any node writes. What the leader writes is decided by the engine and comes in as data
//! ([`scheduler_core::txn`]); here it becomes a transaction that checks the leader's epoch, or nothing.

mod audit;
mod bounds;
mod fire;
mod leader;
pub mod moving;
mod open;
mod paging;
pub mod postgres;
mod reader;
mod rows;
pub mod sqlite;
mod stats;
mod tally;
mod tokens;
mod walk;

pub use audit::{Audit, AuditFilter};
pub use fire::FireRecord;
pub use leader::Leader;
pub use open::OpenError;
pub use reader::{
    JobFilter, JobOrder, LoggedChunk, Namespace, Page, PageOf, Reader, Revision, RunFilter, Since, StoredRun,
    Unreadable,
};
pub use stats::{Bucket, Quantiles, Span, StateCount, Stats};
pub use tokens::{Created, NewToken, SecretHash, Tokens};
