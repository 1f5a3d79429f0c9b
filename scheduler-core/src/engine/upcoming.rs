//! The jobs that fire next, in the order of time: where a list of coming fires begins.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::ids::JobUid;
use crate::job::JobKey;
use crate::time::Timestamp;

use super::term::Term;

/// The first instant of a job about which nothing has been decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextFire {
    pub time: Timestamp,
    pub job_uid: JobUid,
    pub job: JobKey,
}

impl Term {
    /// The next fire of each job, by time and uid. Bounded by who asks: everything else waits meanwhile.
    pub(super) fn next_fires(&self, after: Option<(Timestamp, JobUid)>, most: usize) -> Vec<NextFire> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let of = |times: &BTreeSet<(Timestamp, JobUid)>| {
            times.range((from, Bound::Unbounded)).take(most).copied().collect::<Vec<_>>()
        };
        let mut places = of(&self.jobs.undecided);
        places.append(&mut of(&self.jobs.fires));
        places.sort_unstable();
        places.truncate(most);
        let named = |(time, job_uid)| {
            self.jobs.get(job_uid).map(|entry| NextFire { time, job_uid, job: entry.job.key.clone() })
        };
        places.into_iter().filter_map(named).collect()
    }
}
