//! Turns `punctual.v1`'s jobs into the core's, naming every field that is wrong, and the core's jobs and
//! runs back into `punctual.v1`.
//!
//! The server, the CLI and importers share it, so that a file that the CLI calls valid is one that the
//! server takes. It reads no clock and no ledger: what depends on the job's past or on the present (etags,
//! instants that are too old to add) is judged by the services and the engine.

mod builtin;
mod check;
mod definition;
pub mod enums;
mod ids;
mod job;
mod not_yet;
pub mod payload;
mod run;
mod schedule;
mod text;
pub mod time;

pub use check::labels;
pub use definition::{Rules, definition};
pub use ids::{DEFAULT_NAMESPACE, id, job_key};
pub use job::{job, summary};
pub use run::{RunView, run};
pub use schedule::{compile, schedule};
pub use text::clean;
