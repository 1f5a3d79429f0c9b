//! The services before a real engine and a real ledger.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use coordination::local::Local;
use ledger::sqlite::Sqlite;
use scheduler_core::engine::{Config, IdleLocks, LedgerClock};
use scheduler_core::ids::NodeId;
use scheduler_core::schedule::SHORTEST_EVERY;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use v1::calendar_service_client::CalendarServiceClient;
use v1::scheduler_service_client::SchedulerServiceClient;

use super::*;
use crate::clock;
use crate::leader::{Loop, Stopped};
use crate::service::{Access, Node, Service};

pub(super) struct Real {
    routes: Router,
    stop: CancellationToken,
    /// Ends streams of answers.
    pub(super) drain: CancellationToken,
    engine: tokio::task::JoinHandle<Stopped>,
    folder: TempDir,
}

impl Real {
    pub(super) async fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap()).await
    }

    /// Another term on the same ledger.
    pub(super) async fn restart(self) -> Self {
        self.stop.cancel();
        assert_eq!(self.engine.await.unwrap(), Stopped::Asked);
        Self::start_on(self.folder).await
    }

    #[expect(clippy::disallowed_methods, reason = "the test waits for the task's end")]
    async fn start_on(folder: TempDir) -> Self {
        let file = folder.path().join("ledger.db");
        let lock = Local::lock(&file, "a test").unwrap();
        let ledger = Arc::new(Sqlite::open(&file, Arc::new(clock::wall)).await.unwrap());
        let id = NodeId::from("n1");
        let agent_ttl = Duration::from_secs(15);
        let config = Config {
            node: id.clone(),
            agent_ttl,
            lease: None,
            min_every: SHORTEST_EVERY,
            idle_locks: IdleLocks::default(),
            ledger_clock: LedgerClock::ThisMachines,
            seed: 7,
        };
        let feed = Arc::default();
        let (engine, handle) = Loop::new(config, Arc::clone(&ledger) as _, Arc::new(lock), Arc::clone(&feed));
        let stop = CancellationToken::new();
        let engine = tokio::spawn(engine.run(stop.clone()));
        let node =
            Node { id, address: "http://127.0.0.1:7117".to_owned(), start_time: clock::wall(), warnings: Vec::new() };
        let access = Access { tokens: Arc::clone(&ledger) as _, audit: Arc::clone(&ledger) as _ };
        let service = Service::new(ledger, access, Arc::new(handle), feed, Arc::new(clock::wall), node, SHORTEST_EVERY);
        let drain = CancellationToken::new();
        let admission = axum::Extension(Admission::of_anyone("Test"));
        let routes = services(Arc::new(service), &drain).prepare().into_axum_router().layer(admission);
        Self { routes, stop, drain, engine, folder }
    }

    pub(super) fn runs(&self) -> RunServiceClient<Router> {
        RunServiceClient::new(self.routes.clone())
    }

    pub(super) fn jobs(&self) -> JobServiceClient<Router> {
        JobServiceClient::new(self.routes.clone())
    }

    fn calendars(&self) -> CalendarServiceClient<Router> {
        CalendarServiceClient::new(self.routes.clone())
    }

    async fn next_fire(&self) -> String {
        let request = v1::GetJobRequest { job_id: "a".to_owned(), ..Default::default() };
        let job = self.jobs().get_job(request).await.unwrap().into_inner();
        job.next_fire_time.map(|time| time.to_string()).unwrap_or_default()
    }

    fn scheduler(&self) -> SchedulerServiceClient<Router> {
        SchedulerServiceClient::new(self.routes.clone())
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        assert_eq!(self.engine.await.unwrap(), Stopped::Asked);
    }
}

fn calendar(dates: &[&str]) -> v1::Calendar {
    let dates = dates.iter().map(|date| (*date).to_owned()).collect();
    v1::Calendar { calendar_id: "holidays".to_owned(), dates, ..Default::default() }
}

fn yearly() -> v1::Job {
    let schedule = v1::Schedule {
        cron: vec!["0 0 12 25 12 ? 2098-2100".to_owned()],
        exclude_calendars: vec!["holidays".to_owned()],
        ..Default::default()
    };
    v1::Job { schedule: Some(schedule), ..job("a") }
}

#[tokio::test]
async fn a_calendars_change_moves_the_fires_of_its_jobs_and_it_stays_while_they_name_it() {
    let real = Real::start().await;
    let create = v1::CreateJobRequest { job: Some(yearly()), ..Default::default() };
    let status = real.jobs().create_job(create.clone()).await.unwrap_err();
    assert_eq!(fields(&status), ["job.schedule.exclude_calendars[0]"]);

    let request = v1::CreateCalendarRequest { calendar: Some(calendar(&["2098-12-25"])), ..Default::default() };
    let created = real.calendars().create_calendar(request).await.unwrap().into_inner();
    let shown = real.jobs().create_job(create).await.unwrap().into_inner();
    assert_eq!(shown.next_fire_time.unwrap().to_string(), "2099-12-25T12:00:00Z");

    let calendar = Some(calendar(&["2098-12-25", "2099-12-25"]));
    let request = v1::UpdateCalendarRequest { calendar, ..Default::default() };
    let updated = real.calendars().update_calendar(request).await.unwrap().into_inner();
    assert_ne!(updated.etag, created.etag);
    assert_eq!(real.next_fire().await, "2100-12-25T12:00:00Z");

    let delete = v1::DeleteCalendarRequest { calendar_id: "holidays".to_owned(), ..Default::default() };
    let status = real.calendars().delete_calendar(delete.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "CALENDAR_IN_USE"));
    let gone = v1::DeleteJobRequest { job_id: "a".to_owned(), ..Default::default() };
    real.jobs().delete_job(gone).await.unwrap();
    assert_eq!(real.calendars().delete_calendar(delete).await.unwrap().into_inner(), updated);
    real.end().await;
}

#[tokio::test]
async fn a_single_node_does_not_step_down_and_says_why() {
    let real = Real::start().await;
    for (node_id, why) in [("", "NOBODY_ELSE_STANDS"), ("n1", "NOBODY_ELSE_STANDS"), ("n2", "ANOTHER_LEADS")] {
        let request = v1::StepDownRequest { node_id: node_id.to_owned() };
        let status = real.scheduler().step_down(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, why));
    }
    let status = real.scheduler().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.leader.expect("it leads as before").suspended);
    real.end().await;
}
