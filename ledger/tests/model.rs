//! The contract suite against the simulation's model of the ledger, as far as the model goes (PROTOCOL.md, rule 31): what
//! the seeds prove rests on it.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[allow(dead_code, reason = "the model has nothing but what leaders read")]
mod contract;
#[allow(dead_code, reason = "the model keeps all marks")]
#[path = "contract/marks.rs"]
mod marks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ledger::{
    FireRecord, JobFilter, JobOrder, Leader, LoggedChunk, Namespace, Page, PageOf, Reader, Revision, RunFilter, Span,
    Stats, StoredRun, Unreadable,
};
use scheduler_core::backfill::Backfill;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{BackfillId, Epoch, JobUid, RunId};
use scheduler_core::job::{Job, JobKey};
use scheduler_core::run::Run;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{
    Changes, Failure, Known, Purge, PurgeFilter, Purged, RequestKey, RequestRow, Snapshot, Survey, TakeOver, TookOver,
    Transaction,
};
use simulation::Tables;

use contract::{Backend, Ledger, samples};

/// In the simulation it is less, since its runs last minutes.
const STAYS: Duration = Duration::from_secs(3_600);

struct State {
    tables: Tables,
    clock: Timestamp,
}

/// One call after the other; how calls meet is the simulation's own matter.
#[derive(Clone)]
struct Model(Arc<Mutex<State>>);

impl Model {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State { tables: Tables::default(), clock: samples::NOW })))
    }

    fn with<T>(&self, call: impl FnOnce(&mut State) -> T) -> T {
        call(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl Backend for Model {
    async fn connect(&self) -> Arc<dyn Ledger> {
        Arc::new(self.clone())
    }

    async fn set_clock(&self, time: Timestamp) {
        self.with(|state| state.clock = time);
    }
}

#[async_trait]
impl Leader for Model {
    async fn survey(&self) -> Result<Survey, Failure> {
        self.with(|state| Ok(state.tables.survey(state.clock)))
    }

    async fn load_changes(&self, above: i64, most: u32) -> Result<Changes, Failure> {
        self.with(|state| Ok(state.tables.load_changes(above, most)))
    }

    async fn take_over(&self, take_over: &TakeOver) -> Result<TookOver, Failure> {
        self.with(|state| {
            state.tables.judge(take_over)?;
            Ok(state.tables.take_over(take_over, state.clock, false))
        })
    }

    async fn load(&self, epoch: Epoch, entered_since: Timestamp, known: Option<&Known>) -> Result<Snapshot, Failure> {
        self.with(|state| {
            state.tables.fence(epoch)?;
            Ok(state.tables.load(entered_since, state.clock, known))
        })
    }

    async fn load_job(&self, epoch: Epoch, job: JobUid, entered_since: Timestamp) -> Result<Snapshot, Failure> {
        self.with(|state| {
            state.tables.fence(epoch)?;
            Ok(state.tables.load_job(job, entered_since))
        })
    }

    async fn find_requests(&self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, Failure> {
        self.with(|state| Ok(state.tables.find(keys, state.clock)))
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), Failure> {
        self.with(|state| {
            state.tables.fence(transaction.epoch)?;
            state.tables.check(transaction, state.clock)?;
            state.tables.apply(transaction);
            Ok(())
        })
    }

    async fn purge(&self, epoch: Epoch, purge: &Purge, most: u32) -> Result<Purged, Failure> {
        self.with(|state| {
            state.tables.fence(epoch)?;
            Ok(state.tables.purge(purge, most, Some(STAYS)).0)
        })
    }
}

fn not_modelled<T>() -> Result<T, Unreadable> {
    Err(Unreadable::Unavailable("the model has no such read".to_owned()))
}

#[async_trait]
impl Reader for Model {
    async fn job(&self, _: &JobKey) -> Result<Option<Job>, Unreadable> {
        not_modelled()
    }

    async fn job_by_uid(&self, _: JobUid) -> Result<Option<Job>, Unreadable> {
        not_modelled()
    }

    async fn jobs(&self, _: &JobFilter, _: &JobOrder, _: u32) -> Result<PageOf<Job>, Unreadable> {
        not_modelled()
    }

    async fn revisions(&self, _: JobUid, _: &Page<i64>) -> Result<PageOf<Revision>, Unreadable> {
        not_modelled()
    }

    async fn namespaces(&self, _: &Page<String>) -> Result<PageOf<Namespace>, Unreadable> {
        not_modelled()
    }

    async fn calendar(&self, _: &CalendarKey) -> Result<Option<Calendar>, Unreadable> {
        not_modelled()
    }

    async fn calendars(&self, _: Option<&str>, _: &str, _: &Page<CalendarKey>) -> Result<PageOf<Calendar>, Unreadable> {
        not_modelled()
    }

    async fn count_jobs(&self) -> Result<u64, Unreadable> {
        not_modelled()
    }

    async fn last_runs(&self, _: &[JobUid]) -> Result<BTreeMap<JobUid, Run>, Unreadable> {
        not_modelled()
    }

    async fn backfill(&self, id: BackfillId) -> Result<Option<Backfill>, Unreadable> {
        self.with(|state| Ok(state.tables.backfill(id).cloned()))
    }

    async fn fire(&self, _: &JobKey, _: Timestamp) -> Result<Option<FireRecord>, Unreadable> {
        not_modelled()
    }

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>, Unreadable> {
        self.with(|state| Ok(state.tables.runs().find(|(run, _)| run.id == id).map(stored)))
    }

    async fn runs(&self, filter: &RunFilter, _: &Page<RunId>) -> Result<PageOf<StoredRun>, Unreadable> {
        if *filter != RunFilter::default() {
            return not_modelled();
        }
        self.with(|state| Ok(PageOf { items: state.tables.runs().map(stored).collect(), more: false }))
    }

    async fn runs_by_id(&self, _: &[RunId]) -> Result<Vec<StoredRun>, Unreadable> {
        not_modelled()
    }

    async fn count_runs_from(&self, _: RunId, _: u32) -> Result<u64, Unreadable> {
        not_modelled()
    }

    async fn run_stats(&self, _: &Span) -> Result<Stats, Unreadable> {
        not_modelled()
    }

    async fn count_purged(&self, filter: &PurgeFilter, _: u32) -> Result<u64, Unreadable> {
        let purge = Purge::Asked(filter.clone());
        self.with(|state| Ok(state.tables.beyond(&purge, Some(STAYS)).len() as u64))
    }

    async fn logs(&self, _: RunId, _: Option<(u32, u64)>, _: u32) -> Result<PageOf<LoggedChunk>, Unreadable> {
        // The model keeps no output.
        Ok(PageOf { items: Vec::new(), more: false })
    }

    async fn ping(&self) -> Result<(), Unreadable> {
        Ok(())
    }
}

fn stored((run, attempts): (&Run, Vec<&scheduler_core::run::Attempt>)) -> StoredRun {
    let later_attempts = attempts.into_iter().filter(|attempt| attempt.number > 1).cloned().collect();
    StoredRun { run: run.clone(), later_attempts, late_outcomes: BTreeMap::new() }
}

macro_rules! case {
    ($module:ident::$name:ident) => {
        #[tokio::test]
        async fn $name() {
            contract::$module::$name(&Model::new()).await;
        }
    };
}

for_each_leader_case!(case);

#[tokio::test]
async fn what_was_confirmed_and_is_not_there_is_noticed() {
    marks::what_was_confirmed_and_is_not_there_is_noticed(&Model::new()).await;
}
