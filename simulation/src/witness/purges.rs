//! Whether a purge takes only what may go (promise 5): runs that have ended, that no leader needs any more, and that are
//! beyond what their job keeps, or were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::txn::{Purge, PurgeFilter};

use super::attempts::EARLIEST;
use super::{JobRecord, RunRecord};
use crate::ledger::{STAYS, short};
use crate::promise::Promise;
use crate::tally::Check;
use crate::world::World;

/// A deleted job can be brought back for this long.
const KEPT_WHEN_DELETED: Duration = Duration::from_secs(30 * 24 * 3_600);

impl World {
    /// Called when the runs are gone from the ledger.
    pub(crate) fn witness_purge(&mut self, purge: &Purge, gone: &[RunId]) {
        if gone.is_empty() {
            return;
        }
        let ids: BTreeSet<RunId> = gone.iter().copied().collect();
        let mut newer = BTreeMap::<JobUid, u64>::new();
        let mut wrong = Vec::new();
        for (id, run) in self.witness.runs.iter().rev() {
            let newer = newer.entry(run.job).or_default();
            if ids.contains(id)
                && let Some(why) = self.why_it_stays(purge, *id, run, *newer)
            {
                wrong.push((*id, why));
            }
            *newer += 1;
        }
        let check = match purge {
            Purge::Asked(_) => Check::RowPurgedOnRequest,
            Purge::Retention(_) | Purge::ExpiredJobs { .. } | Purge::Requests { .. } => Check::RowPurgedByRetention,
        };
        for id in ids {
            self.tally.count("check", check.name());
            if self.witness.runs.remove(&id).is_none() {
                wrong.push((id, "nobody entered it"));
            }
            self.witness.purged.insert(id);
        }
        if let Some((id, why)) = wrong.first() {
            self.broken(Promise::P5, format!("run {} is purged, and {why}", short(*id)));
        }
    }

    fn why_it_stays(&self, purge: &Purge, id: RunId, run: &RunRecord, newer: u64) -> Option<&'static str> {
        let stays_from = self.witness.watermark.saturating_sub(STAYS);
        if !run.state.is_ended() {
            return Some("has not ended");
        }
        if id.time() > stays_from || run.scheduled_time > stays_from {
            return Some("is too near to the watermark");
        }
        let job = self.witness.jobs.get(&run.job)?;
        match purge {
            Purge::Retention(_) if !self.is_beyond_retention(job, run, newer) => Some("its job keeps it"),
            Purge::ExpiredJobs { .. } if !self.is_expired(job) => Some("its job was not deleted long ago"),
            Purge::Asked(filter) if !is_asked(filter, job, run) => Some("nobody asked for it"),
            Purge::Requests { .. } => Some("only numbers of requests were to go"),
            Purge::Retention(_) | Purge::ExpiredJobs { .. } | Purge::Asked(_) => None,
        }
    }

    /// By the definition of some time: a change may have come in between.
    fn is_beyond_retention(&self, job: &JobRecord, run: &RunRecord, newer: u64) -> bool {
        let latest = self.now.wall().saturating_add(EARLIEST);
        job.versions.values().map(|version| &version.job.definition.retention).any(|kept| {
            newer >= u64::from(kept.max_runs)
                || run.end_time.is_some_and(|end| end.saturating_add(kept.max_age) < latest)
        })
    }

    fn is_expired(&self, job: &JobRecord) -> bool {
        let latest = self.now.wall().saturating_add(EARLIEST);
        job.version().job.delete_time.is_some_and(|time| time.saturating_add(KEPT_WHEN_DELETED) < latest)
    }
}

fn is_asked(filter: &PurgeFilter, job: &JobRecord, run: &RunRecord) -> bool {
    let key = &job.version().job.key;
    filter.namespace == key.namespace
        && filter.job_id.as_ref().is_none_or(|job_id| *job_id == key.job_id)
        && (filter.states.is_empty() || filter.states.contains(&run.state))
        && run.end_time.is_some_and(|end| end < filter.ended_before)
}
