//! What is read from the ledger, as it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use job_spec::RunView;
use ledger::StoredRun;
use punctual_proto::v1;
use scheduler_core::calendar::CalendarKey;
use scheduler_core::ids::JobUid;
use scheduler_core::job::Job;
use scheduler_core::run::Run;
use scheduler_core::schedule::{Exclusion, Schedule};
use scheduler_core::time::Timestamp;

use super::{Error, Service};

pub(super) fn run(stored: &StoredRun) -> v1::Run {
    let mut shown = job_spec::run(&stored.run, &stored.later_attempts, RunView::Whole);
    for attempt in &mut shown.attempts {
        let said = u32::try_from(attempt.number).ok().and_then(|number| stored.late_outcomes.get(&number));
        attempt.late_outcome = said.cloned().unwrap_or_default();
    }
    shown
}

pub(super) fn listed_run(stored: &StoredRun) -> v1::Run {
    job_spec::run(&stored.run, &stored.later_attempts, RunView::WithoutAttempts)
}

/// The calendars that some schedules name.
#[derive(Default)]
pub(super) struct Calendars(BTreeMap<CalendarKey, Arc<Exclusion>>);

impl Calendars {
    pub(super) fn find(&self, namespace: &str, name: &str) -> Option<Arc<Exclusion>> {
        let key = CalendarKey { namespace: namespace.to_owned(), calendar_id: name.to_owned() };
        self.0.get(&key).cloned()
    }

    fn show(&self, job: &Job, last_run: Option<&Run>, now: Timestamp) -> v1::Job {
        job_spec::job(job, last_run, now, &|name| self.find(&job.key.namespace, name))
    }
}

impl Service {
    pub(super) async fn jobs_shown(&self, jobs: &[Job]) -> Result<Vec<v1::Job>, Error> {
        let uids: Vec<JobUid> = jobs.iter().map(|job| job.uid).collect();
        let last_runs = self.ledger.last_runs(&uids).await?;
        let schedules = jobs.iter().map(|job| (job.key.namespace.as_str(), &job.definition.schedule));
        let calendars = self.calendars_of(schedules).await?;
        let now = self.now();
        Ok(jobs.iter().map(|job| calendars.show(job, last_runs.get(&job.uid), now)).collect())
    }

    pub(super) async fn job_shown(&self, job: &Job) -> Result<v1::Job, Error> {
        let last_runs = self.ledger.last_runs(&[job.uid]).await?;
        let calendars = self.calendars_of([(job.key.namespace.as_str(), &job.definition.schedule)]).await?;
        Ok(calendars.show(job, last_runs.get(&job.uid), self.now()))
    }

    /// A job as a write left it. The write is done: that its last run cannot be read makes no failure of it.
    pub(super) async fn written(&self, job: Job) -> v1::Job {
        match self.job_shown(&job).await {
            Ok(shown) => shown,
            Err(_) => Calendars::default().show(&job, None, self.now()),
        }
    }

    /// Each calendar is read once, however many schedules name it.
    pub(super) async fn calendars_of<'a>(
        &self,
        schedules: impl IntoIterator<Item = (&'a str, &'a Schedule)>,
    ) -> Result<Calendars, Error> {
        let keys: BTreeSet<CalendarKey> = schedules
            .into_iter()
            .flat_map(|(namespace, schedule)| schedule.exclude_calendars.iter().map(move |name| (namespace, name)))
            .map(|(namespace, name)| CalendarKey { namespace: namespace.to_owned(), calendar_id: name.clone() })
            .collect();
        let mut found = Calendars::default();
        for key in keys {
            let stored = self.ledger.calendar(&key).await?;
            // Dates that cannot be understood are as good as none: the engine has told of them.
            if let Some(exclusion) = stored.and_then(|stored| Exclusion::new(&stored.definition.dates).ok()) {
                found.0.insert(key, Arc::new(exclusion));
            }
        }
        Ok(found)
    }
}
