//! A leader and a ledger in memory, for tests of what stands before them.

mod access;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use ledger::{
    FireRecord, JobFilter, JobOrder, LoggedChunk, Namespace, Page, PageOf, Reader, Revision, RunFilter, Span, Stats,
    StoredRun, Unreadable,
};
use scheduler_core::backfill::{Backfill, Progress};
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::engine::{AgentStatus, Answer, Away, Command, Refusal, Request};
use scheduler_core::ids::{BackfillId, JobUid, NodeId, RunId};
use scheduler_core::job::{Counts, Definition, Job, JobKey, Pause};
use scheduler_core::run::{Run, RunState, Trigger};
use scheduler_core::schedule::SHORTEST_EVERY;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Change, PurgeFilter, Purged, RequestKey};

use super::{Access, LeaderPort, Node, Service};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

#[derive(Default)]
struct World {
    jobs: BTreeMap<JobKey, Job>,
    /// As each change left one, the latest first.
    revisions: Vec<Job>,
    calendars: BTreeMap<CalendarKey, Calendar>,
    runs: BTreeMap<RunId, Run>,
    backfills: BTreeMap<BackfillId, Backfill>,
    logs: Vec<LoggedChunk>,
    requests: BTreeMap<RequestKey, (String, String)>,
    agents: Vec<AgentStatus>,
    /// What the leader was asked, in order.
    asked: Vec<Request>,
    books: access::Books,
    made: u128,
    behaviour: Behaviour,
}

/// What the leader does with the next requests.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    #[default]
    Answer,
    Never,
    NoLeader,
    LoseTheAnswer,
    /// Another client's change comes first, this many times.
    OvertakenBy(u32),
}

/// Both sides of the use cases.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<World>>);

impl Fake {
    pub(crate) fn service(&self) -> Arc<Service> {
        let node = Node {
            id: NodeId::from("n1"),
            address: "http://127.0.0.1:7117".to_owned(),
            start_time: NOW,
            warnings: Vec::new(),
        };
        let this = Arc::new(self.clone());
        let access = Access { tokens: this.clone(), audit: this.clone() };
        Arc::new(Service::new(this.clone(), access, this, Arc::default(), Arc::new(|| NOW), node, SHORTEST_EVERY))
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.world().behaviour = behaviour;
    }

    /// The agents that the leader knows.
    pub(crate) fn has_agents(&self, agents: Vec<AgentStatus>) {
        self.world().agents = agents;
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.world().asked.clone()
    }

    pub(crate) fn log(&self, chunks: Vec<LoggedChunk>) {
        self.world().logs = chunks;
    }

    pub(crate) fn end(&self, run: RunId) {
        self.world().runs.get_mut(&run).unwrap().state = RunState::Succeeded;
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl World {
    fn number(&mut self) -> u128 {
        self.made += 1;
        self.made
    }

    fn create(&mut self, key: JobKey, definition: Definition) -> Result<Job, Refusal> {
        if self.live(&key).is_ok() {
            return Err(Refusal::JobExists(key));
        }
        let uid = JobUid::at(NOW, self.number());
        Ok(Job {
            uid,
            key,
            definition: Arc::new(definition),
            pause: None,
            revision: 1,
            change_seq: 1,
            effective_from: NOW,
            create_time: NOW,
            update_time: NOW,
            delete_time: None,
            counts: Counts::default(),
        })
    }

    fn live(&self, key: &JobKey) -> Result<Job, Refusal> {
        match self.jobs.get(key) {
            None => Err(Refusal::JobNotFound(key.clone())),
            Some(job) if job.delete_time.is_some() => Err(Refusal::JobDeleted(key.clone())),
            Some(job) => Ok(job.clone()),
        }
    }

    /// The job as the command leaves it.
    fn changed(&mut self, command: Command) -> Result<Job, Refusal> {
        let enabled = |job: Job, enabled| {
            let definition = Definition { enabled, ..(*job.definition).clone() };
            Job { definition: Arc::new(definition), ..job }
        };
        let job = match command {
            Command::CreateJob { job, definition, .. } => return self.create(job, *definition),
            Command::UpdateJob { job, definition, etag, .. } => {
                let stored = self.live(&job)?;
                check_etag(&stored, etag)?;
                Job { definition: definition.into(), ..stored }
            }
            Command::DeleteJob { job, etag } => {
                let stored = self.live(&job)?;
                check_etag(&stored, etag)?;
                Job { delete_time: Some(NOW), ..stored }
            }
            Command::PauseJob { job, note } => {
                Job { pause: Some(Pause { note, author: "anonymous".to_owned(), time: NOW }), ..self.live(&job)? }
            }
            Command::ResumeJob { job, .. } => Job { pause: None, ..self.live(&job)? },
            Command::EnableJob { job, .. } => enabled(self.live(&job)?, true),
            Command::DisableJob { job, .. } => enabled(self.live(&job)?, false),
            Command::UndeleteJob { job } => {
                let stored = self.jobs.get(&job).cloned().ok_or_else(|| Refusal::JobNotFound(job.clone()))?;
                stored.delete_time.ok_or(Refusal::JobExists(job))?;
                Job { delete_time: None, ..stored }
            }
            Command::RestoreJobRevision { job, definition, etag, .. } => {
                let stored = self.live(&job)?;
                check_etag(&stored, etag)?;
                Job { definition: definition.into(), ..stored }
            }
            Command::TriggerJob { .. }
            | Command::RetryRun { .. }
            | Command::CancelRun { .. }
            | Command::BackfillJob { .. }
            | Command::CreateCalendar { .. }
            | Command::UpdateCalendar { .. }
            | Command::DeleteCalendar { .. }
            | Command::PurgeRuns { .. }
            | Command::Status
            | Command::Agents
            | Command::Locks(_)
            | Command::Upcoming { .. }
            | Command::CordonAgent { .. }
            | Command::UncordonAgent { .. }
            | Command::DrainAgent { .. }
            | Command::StepDown { .. } => unreachable!("because they change no job"),
        };
        Ok(Job { revision: job.revision + 1, ..job })
    }

    /// The calendar as the command leaves it, or as it was before it was deleted.
    fn changed_calendar(&mut self, command: Command) -> Result<Calendar, Refusal> {
        let stored = |key: &CalendarKey, etag: Option<String>| {
            let calendar = self.calendars.get(key).ok_or_else(|| Refusal::CalendarNotFound(key.clone()))?;
            if etag.is_some_and(|etag| etag != calendar.etag()) {
                return Err(Refusal::StaleEtag { resource: key.to_string(), etag: calendar.etag() });
            }
            Ok(calendar.clone())
        };
        let (calendar, validate_only) = match command {
            Command::CreateCalendar { calendar: key, definition, validate_only } => {
                if self.calendars.contains_key(&key) {
                    return Err(Refusal::CalendarExists(key));
                }
                let (definition, create_time, update_time) = (*definition, NOW, NOW);
                (Calendar { key, definition, revision: 1, change_seq: 1, create_time, update_time }, validate_only)
            }
            Command::UpdateCalendar { calendar, definition, etag, validate_only } => {
                let stored = stored(&calendar, etag)?;
                (Calendar { definition: *definition, revision: stored.revision + 1, ..stored }, validate_only)
            }
            Command::DeleteCalendar { calendar, etag } => {
                let stored = stored(&calendar, etag)?;
                let names = |job: &&Job| job.definition.schedule.exclude_calendars.contains(&calendar.calendar_id);
                if let Some(job) = self.jobs.values().find(names) {
                    return Err(Refusal::CalendarInUse { calendar, job: job.key.clone() });
                }
                self.calendars.remove(&calendar);
                return Ok(stored);
            }
            other => unreachable!("because {other:?} changes no calendar"),
        };
        if !validate_only {
            self.calendars.insert(calendar.key.clone(), calendar.clone());
        }
        Ok(calendar)
    }

    fn cancel(&mut self, id: RunId) -> Result<Run, Refusal> {
        let run = self.runs.get_mut(&id).filter(|run| !run.state.is_ended()).ok_or(Refusal::RunNotLive(id))?;
        run.state = RunState::Cancelled;
        run.cancel_requested_time = Some(NOW);
        Ok(run.clone())
    }

    fn trigger(&mut self, command: Command) -> Result<Run, Refusal> {
        let (job, payload, labels, not_before, retry_of) = match command {
            Command::TriggerJob { job, payload, labels, not_before } => (job, payload, labels, not_before, None),
            Command::RetryRun { job, of, payload, labels } => (job, payload, labels, None, Some(of)),
            other => unreachable!("because {other:?} starts no run"),
        };
        let stored = self.live(&job)?;
        if !stored.definition.enabled {
            return Err(Refusal::JobDisabled(job));
        }
        let id = RunId::at(NOW, self.number());
        let scheduled_time = not_before.unwrap_or(NOW);
        let run = Run {
            id,
            job_uid: stored.uid,
            job_key: job,
            job_revision: stored.revision,
            trigger: if retry_of.is_some() { Trigger::Retry } else { Trigger::Manual },
            scheduled_time,
            occurrence: Run::occurrence_of(id),
            covers_from: None,
            decided_at: NOW,
            not_before: scheduled_time,
            state: RunState::Pending,
            reason: None,
            reason_message: String::new(),
            attempt: 0,
            uncounted_attempts: 0,
            next_attempt_time: None,
            first_attempt: None,
            coalesced_count: 1,
            first_scheduled_time: None,
            retry_of,
            backfill_id: None,
            labels,
            payload,
            cancel_requested_time: None,
            create_time: NOW,
            start_time: None,
            end_time: None,
            progress: None,
            result: None,
            error: None,
            exit_code: None,
        };
        self.runs.insert(id, run.clone());
        Ok(run)
    }

    /// Of two instants, of which the first has its run.
    fn backfill(&mut self, command: Command) -> Result<Backfill, Refusal> {
        let Command::BackfillJob { job, start_time, end_time, concurrency, validate_only, .. } = command else {
            unreachable!("because {command:?} begins no backfill");
        };
        let stored = self.live(&job)?;
        let id = BackfillId::at(NOW, self.number());
        let backfill = Backfill {
            id,
            job_uid: stored.uid,
            job_key: job,
            job_revision: stored.revision,
            author: "anonymous".to_owned(),
            start_time,
            end_time,
            concurrency,
            instants: [start_time, end_time].into(),
            create_time: NOW,
            progress: Progress { entered: 1, ..Progress::default() },
        };
        if !validate_only {
            self.backfills.insert(id, backfill.clone());
        }
        Ok(backfill)
    }

    fn purge(&mut self, filter: &PurgeFilter, most: u32) -> Purged {
        let chosen = |run: &&Run| run.state.is_ended() && run.job_key.namespace == filter.namespace;
        let chosen: Vec<RunId> = self.runs.values().filter(chosen).map(|run| run.id).collect();
        let gone = chosen.iter().take(most as usize).filter(|id| self.runs.remove(id).is_some()).count() as u64;
        Purged { runs: gone, jobs: Vec::new(), more: chosen.len() as u64 > gone }
    }

    fn answer(&mut self, request: Request) -> Result<Answer, Refusal> {
        if let Some((digest, resource)) = request.key.as_ref().and_then(|key| self.requests.get(key)) {
            return if *digest == request.digest {
                Ok(Answer::Repeated(resource.clone()))
            } else {
                Err(Refusal::RequestIdReused(request.key.map(|key| key.request_id).unwrap_or_default()))
            };
        }
        let (answer, resource) = match request.command {
            Command::Agents => return Ok(Answer::Agents(self.agents.clone())),
            Command::Status | Command::Locks(_) | Command::Upcoming { .. } | Command::StepDown { .. } => {
                return Err(Refusal::Unavailable(Away::NoLeader));
            }
            Command::PurgeRuns { filter, most } => return Ok(Answer::Purged(self.purge(&filter, most))),
            Command::CancelRun { run, .. } => (Answer::Run(Box::new(self.cancel(run)?)), run.to_string()),
            command @ Command::BackfillJob { .. } => {
                let backfill = self.backfill(command)?;
                let id = backfill.id.to_string();
                (Answer::Backfill(Box::new(backfill)), id)
            }
            command @ (Command::CreateCalendar { .. }
            | Command::UpdateCalendar { .. }
            | Command::DeleteCalendar { .. }) => {
                let calendar = self.changed_calendar(command)?;
                let key = calendar.key.to_string();
                (Answer::Calendar(Box::new(calendar)), key)
            }
            command @ (Command::TriggerJob { .. } | Command::RetryRun { .. }) => {
                let run = self.trigger(command)?;
                let id = run.id.to_string();
                (Answer::Run(Box::new(run)), id)
            }
            command => {
                let keep = !matches!(
                    command,
                    Command::CreateJob { validate_only: true, .. } | Command::UpdateJob { validate_only: true, .. }
                );
                let job = self.changed(command)?;
                if !keep {
                    return Ok(Answer::Job(Box::new(job)));
                }
                self.jobs.insert(job.key.clone(), job.clone());
                self.revisions.insert(0, job.clone());
                let uid = job.uid.to_string();
                (Answer::Job(Box::new(job)), uid)
            }
        };
        if let Some(key) = request.key {
            self.requests.insert(key, (request.digest, resource));
        }
        Ok(answer)
    }

    fn overtake(&mut self, command: &Command) {
        if let Some(job) = command.job().and_then(|key| self.jobs.get_mut(key)) {
            job.revision += 1;
            let definition = Definition { priority: job.definition.priority + 1, ..(*job.definition).clone() };
            job.definition = Arc::new(definition);
        }
    }
}

fn check_etag(job: &Job, etag: Option<String>) -> Result<(), Refusal> {
    if etag.is_some_and(|etag| etag != job.etag()) {
        return Err(Refusal::StaleEtag { resource: job.key.to_string(), etag: job.etag() });
    }
    Ok(())
}

#[async_trait]
impl LeaderPort for Fake {
    async fn request(&self, request: Request) -> Result<Answer, Refusal> {
        let behaviour = {
            let mut world = self.world();
            world.asked.push(request.clone());
            world.behaviour
        };
        match behaviour {
            Behaviour::Answer => self.world().answer(request),
            Behaviour::Never => std::future::pending().await,
            Behaviour::NoLeader => Err(Refusal::Unavailable(Away::NoLeader)),
            Behaviour::LoseTheAnswer => {
                let mut world = self.world();
                world.behaviour = Behaviour::Answer;
                world.answer(request)?;
                Err(Refusal::OutcomeUnknown)
            }
            Behaviour::OvertakenBy(others) => {
                let mut world = self.world();
                world.behaviour = if others > 1 { Behaviour::OvertakenBy(others - 1) } else { Behaviour::Answer };
                world.overtake(&request.command);
                world.answer(request)
            }
        }
    }
}

fn page<T>(items: impl Iterator<Item = T>, size: u32) -> PageOf<T> {
    let mut items: Vec<T> = items.take(size as usize + 1).collect();
    let more = items.len() > size as usize;
    items.truncate(size as usize);
    PageOf { items, more }
}

fn stored(run: &Run) -> StoredRun {
    StoredRun { run: run.clone(), later_attempts: Vec::new(), late_outcomes: BTreeMap::new() }
}

#[async_trait]
impl Reader for Fake {
    async fn job(&self, key: &JobKey) -> Result<Option<Job>, Unreadable> {
        Ok(self.world().jobs.get(key).cloned())
    }

    async fn job_by_uid(&self, uid: JobUid) -> Result<Option<Job>, Unreadable> {
        Ok(self.world().jobs.values().find(|job| job.uid == uid).cloned())
    }

    /// By name only: the contract suite knows the other order.
    async fn jobs(&self, filter: &JobFilter, order: &JobOrder, size: u32) -> Result<PageOf<Job>, Unreadable> {
        let JobOrder::ByName { after } = order else { unreachable!("because no test of the services asks for it") };
        let world = self.world();
        let found = world.jobs.values().filter(|job| {
            after.as_ref().is_none_or(|after| (&job.key, job.uid) > (&after.0, after.1))
                && filter.namespace.as_ref().is_none_or(|namespace| *namespace == job.key.namespace)
                && job.key.job_id.starts_with(&filter.query)
                && (filter.show_deleted || job.delete_time.is_none())
        });
        Ok(page(found.cloned(), size))
    }

    async fn revisions(&self, job: JobUid, asked: &Page<i64>) -> Result<PageOf<Revision>, Unreadable> {
        let world = self.world();
        let is_asked_for = |left: &&Job| left.uid == job && asked.after.is_none_or(|after| left.revision < after);
        let found = world.revisions.iter().filter(is_asked_for).map(|left| Revision {
            job: left.clone(),
            change: Change::Update,
            author: String::new(),
            note: String::new(),
        });
        Ok(page(found, asked.size))
    }

    async fn namespaces(&self, _: &Page<String>) -> Result<PageOf<Namespace>, Unreadable> {
        Ok(PageOf { items: Vec::new(), more: false })
    }

    async fn run_stats(&self, _: &Span) -> Result<Stats, Unreadable> {
        Ok(Stats::default())
    }

    async fn calendar(&self, key: &CalendarKey) -> Result<Option<Calendar>, Unreadable> {
        Ok(self.world().calendars.get(key).cloned())
    }

    async fn calendars(
        &self,
        namespace: Option<&str>,
        query: &str,
        asked: &Page<CalendarKey>,
    ) -> Result<PageOf<Calendar>, Unreadable> {
        let world = self.world();
        let found = world.calendars.values().filter(|calendar| {
            asked.after.as_ref().is_none_or(|after| calendar.key > *after)
                && namespace.is_none_or(|namespace| namespace == calendar.key.namespace)
                && calendar.key.calendar_id.starts_with(query)
        });
        Ok(page(found.cloned(), asked.size))
    }

    async fn count_jobs(&self) -> Result<u64, Unreadable> {
        Ok(self.world().jobs.values().filter(|job| job.delete_time.is_none()).count() as u64)
    }

    async fn last_runs(&self, jobs: &[JobUid]) -> Result<BTreeMap<JobUid, Run>, Unreadable> {
        let world = self.world();
        let runs = world.runs.values().filter(|run| jobs.contains(&run.job_uid));
        Ok(runs.map(|run| (run.job_uid, run.clone())).collect())
    }

    async fn fire(&self, key: &JobKey, _: Timestamp) -> Result<Option<FireRecord>, Unreadable> {
        Ok(self.world().jobs.get(key).map(|job| FireRecord {
            job: job.clone(),
            revision: None,
            disabled_by: None,
            next: None,
            calendar_change: None,
            row: None,
            row_revision: None,
            backfilled: None,
            first_covered: None,
            last_covered: None,
            watermark: NOW,
        }))
    }

    async fn backfill(&self, id: BackfillId) -> Result<Option<Backfill>, Unreadable> {
        Ok(self.world().backfills.get(&id).cloned())
    }

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>, Unreadable> {
        Ok(self.world().runs.get(&id).map(stored))
    }

    async fn runs(&self, filter: &RunFilter, asked: &Page<RunId>) -> Result<PageOf<StoredRun>, Unreadable> {
        let world = self.world();
        let found = world.runs.values().rev().filter(|run| {
            asked.after.is_none_or(|after| run.id < after)
                && filter.namespace.as_ref().is_none_or(|namespace| *namespace == run.job_key.namespace)
                && (filter.states.is_empty() || filter.states.contains(&run.state))
        });
        Ok(page(found.map(stored), asked.size))
    }

    async fn runs_by_id(&self, ids: &[RunId]) -> Result<Vec<StoredRun>, Unreadable> {
        let world = self.world();
        Ok(ids.iter().filter_map(|id| world.runs.get(id)).map(stored).collect())
    }

    async fn count_runs_from(&self, floor: RunId, most: u32) -> Result<u64, Unreadable> {
        Ok(self.world().runs.range(floor..).take(most as usize).count() as u64)
    }

    async fn count_purged(&self, filter: &PurgeFilter, most: u32) -> Result<u64, Unreadable> {
        let world = self.world();
        let runs = world.runs.values().filter(|run| run.state.is_ended() && run.job_key.namespace == filter.namespace);
        Ok(runs.count().min(most as usize) as u64)
    }

    async fn logs(&self, _: RunId, after: Option<(u32, u64)>, size: u32) -> Result<PageOf<LoggedChunk>, Unreadable> {
        let world = self.world();
        let found = world.logs.iter().filter(|chunk| after.is_none_or(|at| (chunk.attempt, chunk.sequence) > at));
        Ok(page(found.cloned(), size))
    }

    async fn ping(&self) -> Result<(), Unreadable> {
        Ok(())
    }
}

/// How long tests let a client wait that must not be answered in time.
pub(crate) const SHORT: Duration = Duration::from_millis(30);
