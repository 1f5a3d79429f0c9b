//! Turns `punctual.v1`'s jobs and calendars into the core's, naming every field that is wrong, and the core's
//! jobs, calendars and runs back into `punctual.v1`.
//!
//! The server, the CLI and importers share it, so that a file that the CLI calls valid is one that the
//! server takes. It reads no clock and no ledger: what depends on the job's past or on the present (etags,
//! instants that are too old to add, calendars that are not there) is judged by the services and the engine.

mod builtin;
mod calendar;
mod check;
mod definition;
pub mod enums;
mod ids;
mod job;
pub mod payload;
mod run;
mod schedule;
mod text;
pub mod time;

pub use builtin::BUILT_IN;
pub use calendar::{calendar, calendar_definition};
pub use check::labels;
pub use definition::{Rules, definition};
pub use ids::{DEFAULT_NAMESPACE, calendar_key, id, job_key};
pub use job::{job, pause, summary};
pub use run::{RunView, run};
pub use schedule::{Find, any_calendar, compile, schedule, schedule_with};
pub use text::clean;
