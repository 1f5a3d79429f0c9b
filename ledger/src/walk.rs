//! How a list of runs goes through them, newest first: down one index that has the ids in order, chosen by what the
//! filter says, and over the rows that the rest of the filter excludes. The indexes are those of both migrations.

use std::time::Duration;

use scheduler_core::ids::{BackfillId, JobUid};
use scheduler_core::run::{RunState, Trigger};

use crate::reader::RunFilter;

/// A prefix of more jobs than this is looked for among all runs.
pub(crate) const MOST_JOBS_OF_PREFIX: u32 = 64;
/// A run that is entered longer than this before its time is in an index of its own; of all others the ids
/// tell that they are not of an earlier time than that.
pub(crate) const AHEAD: Duration = Duration::from_secs(1);

/// The index that a list walks.
#[derive(Clone, Copy)]
pub(crate) enum Walk<'f> {
    OfJob(JobUid),
    OfBackfill(BackfillId),
    /// By scheduled time.
    FiresOfJob(JobUid),
    Unended,
    /// Those of no schedule.
    AskedFor,
    NotSucceeded,
    OfAgent(&'f str),
    OfNamespace(&'f str),
    /// By scheduled time: entered long before it.
    Ahead,
    All,
}

impl<'f> Walk<'f> {
    /// The walk that should pass over the fewest rows, for a filter that names no job.
    pub(crate) fn of(filter: &'f RunFilter) -> Self {
        let only =
            |states: fn(RunState) -> bool| !filter.states.is_empty() && filter.states.iter().copied().all(states);
        if let Some(backfill) = filter.backfill_id {
            Self::OfBackfill(backfill)
        } else if only(|state| !state.is_ended()) {
            Self::Unended
        } else if !filter.triggers.is_empty() && !filter.triggers.contains(&Trigger::Schedule) {
            Self::AskedFor
        } else if only(|state| state.is_ended() && state != RunState::Succeeded) {
            Self::NotSucceeded
        } else if let Some(agent) = &filter.agent_id {
            Self::OfAgent(agent.as_str())
        } else if let Some(namespace) = &filter.namespace {
            Self::OfNamespace(namespace)
        } else {
            Self::All
        }
    }
}
