//! ListUpcomingFires: the next fires of many jobs in the order of time, worked out from their schedules.
//!
//! The leader knows the next fire of each job, in the order of time, so that only those jobs are read from the ledger that
//! have a place on the page, and those before it. Where no leader answers, all active jobs are read.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use job_spec::time::{proto_duration, proto_instant};
use ledger::{JobFilter, JobOrder};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::engine::{Answer, Command, NextFire};
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Job, JobKey, JobState};
use scheduler_core::schedule::Compiled;
use scheduler_core::time::Timestamp;

use super::scope::Scope;
use super::{Call, Error, Service, lists, page};

/// Jobs that are read at a time, where all are …
const JOBS: u32 = 1_000;
/// … and where the soonest are.
const SOONEST: usize = 64;
/// Next fires that the leader is asked for at a time: it does nothing else meanwhile.
const ASKED_FOR: usize = 1_000;
const TICK: Duration = Duration::from_micros(1);

/// A place in the order of fires.
type Place = (Timestamp, JobUid);

/// The first fires of all that were offered, one more than a page has.
struct Soonest {
    page_size: usize,
    /// Where the page before ended.
    after: Option<Place>,
    before: Option<Timestamp>,
    now: Timestamp,
    fires: BTreeMap<Place, (JobKey, Duration)>,
}

impl Service {
    pub async fn list_upcoming_fires(
        &self,
        call: &Call,
        request: v1::ListUpcomingFiresRequest,
    ) -> Result<v1::ListUpcomingFiresResponse, Error> {
        let mut violations = Violations::default();
        let scope = Scope::read(call, &request.namespace, &mut violations);
        let before = lists::instant("before", request.before.as_ref(), &mut violations);
        violations.or(()).map_err(Error::Invalid)?;
        let page_size = page::size(&request)? as usize;
        let after = page::after::<Place, _>(&request)?;
        let mut soonest = Soonest { page_size, after, before, now: self.now(), fires: BTreeMap::new() };
        match (scope.single().flatten(), request.job_id.as_str()) {
            (Some(namespace), job_id) if !job_id.is_empty() => {
                let job = self.stored_job(&super::job::key(&namespace, job_id)?).await?;
                if job.fires() {
                    self.offer(&[job], &mut soonest).await?;
                }
            }
            (_, job_id) => {
                if !self.offer_soonest(call, &scope, job_id, &mut soonest).await? {
                    for namespace in scope.each() {
                        self.offer_all(namespace, job_id, &mut soonest).await?;
                    }
                }
            }
        }
        let more = soonest.fires.len() > page_size;
        let shown: Vec<_> = soonest.fires.into_iter().take(page_size).collect();
        let next = shown.last().filter(|_| more).map(|(place, _)| page::token(&request, place));
        let shown = shown.into_iter().map(|((time, uid), (key, delay))| v1::UpcomingFire {
            namespace: key.namespace,
            job_id: key.job_id,
            job_uid: uid.to_string(),
            time: Some(proto_instant(time)),
            delay: Some(proto_duration(delay)),
        });
        Ok(v1::ListUpcomingFiresResponse { fires: shown.collect(), next_page_token: next.unwrap_or_default() })
    }

    /// Offers jobs in the order of their next fires, until no other one has a place. `false`: there is no leader to ask.
    async fn offer_soonest(
        &self,
        call: &Call,
        scope: &Scope,
        job_id: &str,
        soonest: &mut Soonest,
    ) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let command = Command::Upcoming { after, most: ASKED_FOR };
            let next = match self.ask_leader(call, command).await? {
                Some(Answer::Upcoming(next)) => next,
                Some(_) => return Err(Error::Misanswered("ListUpcomingFires")),
                None => return Ok(false),
            };
            after = next.last().map(place);
            let is_last = next.len() < ASKED_FOR;
            let is_asked_for =
                |fire: &&NextFire| scope.has(&fire.job.namespace) && (job_id.is_empty() || fire.job.job_id == job_id);
            let wanted: Vec<Place> = next.iter().filter(is_asked_for).map(place).collect();
            for some in wanted.chunks(SOONEST) {
                if some.first().is_some_and(|first| soonest.is_beyond(*first)) {
                    return Ok(true);
                }
                let jobs = try_join_all(some.iter().map(|(_, uid)| self.ledger.job_by_uid(*uid))).await?;
                let jobs: Vec<Job> = jobs.into_iter().flatten().filter(Job::fires).collect();
                self.offer(&jobs, soonest).await?;
            }
            if is_last || after.is_some_and(|last| soonest.is_beyond(last)) {
                return Ok(true);
            }
        }
    }

    async fn offer_all(&self, namespace: Option<String>, job_id: &str, soonest: &mut Soonest) -> Result<(), Error> {
        let query = job_id.to_owned();
        let filter = JobFilter { namespace, query, states: vec![JobState::Active], ..JobFilter::default() };
        let mut after = None;
        loop {
            let mut found = self.ledger.jobs(&filter, &JobOrder::ByName { after }, JOBS).await?;
            after = found.items.last().map(|job| (job.key.clone(), job.uid));
            found.items.retain(|job| job_id.is_empty() || job.key.job_id == job_id);
            self.offer(&found.items, soonest).await?;
            if !found.more {
                return Ok(());
            }
        }
    }

    async fn offer(&self, jobs: &[Job], soonest: &mut Soonest) -> Result<(), Error> {
        let schedules = jobs.iter().map(|job| (job.key.namespace.as_str(), &job.definition.schedule));
        let calendars = self.calendars_of(schedules).await?;
        for job in jobs {
            if let Some(compiled) = job_spec::compile(job, &|name| calendars.find(&job.key.namespace, name)) {
                soonest.offer(job, &compiled);
            }
        }
        Ok(())
    }
}

fn place(fire: &NextFire) -> Place {
    (fire.time, fire.job_uid)
}

impl Soonest {
    /// Whether no fire at this place or later is on the page.
    fn is_beyond(&self, place: Place) -> bool {
        let is_full = self.fires.len() > self.page_size;
        self.before.is_some_and(|before| place.0 >= before)
            || (is_full && self.fires.last_key_value().is_some_and(|(last, _)| place > *last))
    }

    fn offer(&mut self, job: &Job, compiled: &Compiled) {
        let decided = self.now.max(job.effective_from);
        // Of the instant at which the page before ended, only what comes after in the order of jobs.
        let start = match self.after {
            Some((time, last)) if job.uid <= last => time,
            Some((time, _)) => time.saturating_sub(TICK),
            None => decided,
        };
        // Those of earlier pages count towards a bound.
        let (from, left) = match job.fires_left() {
            Some(left) => (decided, usize::try_from(left).unwrap_or(usize::MAX)),
            None => (start.max(decided), usize::MAX),
        };
        let fires = std::iter::successors(compiled.next(from), |last| compiled.next(*last));
        for time in fires.take(left).skip_while(|time| *time <= start).take(self.page_size + 1) {
            let place = (time, job.uid);
            if self.is_beyond(place) {
                return;
            }
            let is_full = self.fires.len() > self.page_size;
            self.fires.insert(place, (job.key.clone(), compiled.jitter(job.uid, time)));
            if is_full {
                self.fires.pop_last();
            }
        }
    }
}
