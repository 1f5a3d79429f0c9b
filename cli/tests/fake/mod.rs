//! A server that keeps jobs and runs in memory and answers as the contract says, for one test at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use prost_types::Timestamp;
use punctual_proto::v1::job_service_server::{JobService, JobServiceServer};
use punctual_proto::v1::run_service_server::{RunService, RunServiceServer};
use punctual_proto::v1::scheduler_service_server::{SchedulerService, SchedulerServiceServer};
use punctual_proto::v1::task_type_service_server::{TaskTypeService, TaskTypeServiceServer};
use punctual_proto::v1::*;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the server has and was asked.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) jobs: Vec<Job>,
    pub(crate) runs: Vec<Run>,
    pub(crate) chunks: Vec<RunLogChunk>,
    pub(crate) triggered: Vec<TriggerJobRequest>,
    pub(crate) listed: Vec<ListRunsRequest>,
    pub(crate) previewed: Vec<PreviewScheduleRequest>,
    pub(crate) backfilled: Vec<BackfillJobRequest>,
    pub(crate) explained: Vec<ExplainFireRequest>,
    pub(crate) resumed: Vec<ResumeJobRequest>,
    pub(crate) purged: i64,
    /// Task types, and how many agents offer each.
    pub(crate) offered: BTreeMap<String, i32>,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

/// A running server; it ends with the test.
pub(crate) struct Server {
    address: SocketAddr,
    fake: Fake,
    home: tempfile::TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let fake = Fake::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let served = fake.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
                tonic::transport::Server::builder()
                    .add_service(JobServiceServer::new(served.clone()))
                    .add_service(RunServiceServer::new(served.clone()))
                    .add_service(TaskTypeServiceServer::new(served.clone()))
                    .add_service(SchedulerServiceServer::new(served))
                    .serve_with_incoming_shutdown(incoming, async { ended.await.unwrap_or_default() })
                    .await
                    .unwrap();
            });
        });
        let home = tempfile::tempdir().unwrap();
        Self { address, fake, home, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// The binary, with nothing of the developer's own settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
        command.env_clear().env("HOME", self.home()).env("PUNCTUAL_SERVER", self.url());
        command
    }

    pub(crate) fn punctual(&self, args: &[&str]) -> Said {
        Said::new(self.command().args(args).output().unwrap())
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.fake.0.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// What the binary printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The JSON on standard output of a call that went well.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

pub(crate) fn run(job: &Job, number: u32) -> Run {
    let at = |millis: i32| Some(Timestamp { seconds: 1_700_000_000 + i64::from(number), nanos: millis * 1_000_000 });
    Run {
        namespace: job.namespace.clone(),
        job_id: job.job_id.clone(),
        run_id: format!("0199d0d6-0000-7000-8000-{number:012}"),
        trigger: run::Trigger::Schedule.into(),
        state: run::State::Succeeded.into(),
        attempt: 1,
        agent_id: "worker".to_owned(),
        fencing_token: i64::from(number) << 40,
        scheduled_time: at(0),
        start_time: at(1),
        end_time: at(251),
        coalesced_count: 1,
        ..Run::default()
    }
}

impl Fake {
    fn find(&self, namespace: &str, id: &str) -> Result<Job, Status> {
        let state = self.0.lock().unwrap();
        let found = state.jobs.iter().find(|job| job.namespace == namespace && job.job_id == id);
        found.cloned().ok_or_else(|| Status::not_found(format!("there is no job `{id}` in namespace `{namespace}`")))
    }

    fn change(&self, namespace: &str, id: &str, change: impl FnOnce(&mut Job)) -> Answer<Job> {
        self.find(namespace, id)?;
        let mut state = self.0.lock().unwrap();
        let job = state.jobs.iter_mut().find(|job| job.namespace == namespace && job.job_id == id).unwrap();
        change(job);
        Ok(Response::new(job.clone()))
    }
}

fn later<T>() -> Answer<T> {
    Err(Status::unimplemented("this server is for tests"))
}

#[tonic::async_trait]
impl JobService for Fake {
    async fn create_job(&self, request: Request<CreateJobRequest>) -> Answer<Job> {
        let mut job = request.into_inner().job.unwrap();
        if self.find(&job.namespace, &job.job_id).is_ok() {
            return Err(Status::already_exists(format!("a job `{}` is there already", job.job_id)));
        }
        let mut wrong = ErrorDetails::new();
        for (at, every) in job.schedule.iter().flat_map(|schedule| &schedule.every).enumerate() {
            if every.seconds == 0 {
                wrong.add_bad_request_violation(format!("job.schedule.every[{at}]"), "is below 1s");
            }
        }
        if wrong.has_bad_request_violations() {
            return Err(Status::with_error_details(Code::InvalidArgument, "the job is not valid", wrong));
        }
        job.state = job::State::Active.into();
        self.0.lock().unwrap().jobs.push(job.clone());
        Ok(Response::new(job))
    }
    async fn get_job(&self, request: Request<GetJobRequest>) -> Answer<Job> {
        let request = request.into_inner();
        Ok(Response::new(self.find(&request.namespace, &request.job_id)?))
    }
    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Answer<ListJobsResponse> {
        let request = request.into_inner();
        let mut jobs = self.0.lock().unwrap().jobs.clone();
        jobs.retain(|job| [job.namespace.as_str(), "-"].contains(&request.namespace.as_str()));
        jobs.retain(|job| job.job_id.starts_with(&request.query));
        Ok(Response::new(ListJobsResponse { jobs, next_page_token: String::new() }))
    }
    async fn delete_job(&self, request: Request<DeleteJobRequest>) -> Answer<Job> {
        let request = request.into_inner();
        self.change(&request.namespace, &request.job_id, |job| job.state = job::State::Deleted.into())
    }
    async fn pause_job(&self, request: Request<PauseJobRequest>) -> Answer<Job> {
        let PauseJobRequest { namespace, job_id, note } = request.into_inner();
        self.change(&namespace, &job_id, |job| {
            job.state = job::State::Paused.into();
            job.pause = Some(Pause { note, author: "somebody".to_owned(), time: None });
        })
    }
    async fn resume_job(&self, request: Request<ResumeJobRequest>) -> Answer<Job> {
        let request = request.into_inner();
        self.0.lock().unwrap().resumed.push(request.clone());
        self.change(&request.namespace, &request.job_id, |job| job.state = job::State::Active.into())
    }
    async fn enable_job(&self, request: Request<EnableJobRequest>) -> Answer<Job> {
        let request = request.into_inner();
        self.change(&request.namespace, &request.job_id, |job| job.state = job::State::Active.into())
    }
    async fn disable_job(&self, request: Request<DisableJobRequest>) -> Answer<Job> {
        let request = request.into_inner();
        self.change(&request.namespace, &request.job_id, |job| job.state = job::State::Disabled.into())
    }
    async fn trigger_job(&self, request: Request<TriggerJobRequest>) -> Answer<Run> {
        let request = request.into_inner();
        let job = self.find(&request.namespace, &request.job_id)?;
        self.0.lock().unwrap().triggered.push(request);
        Ok(Response::new(run(&job, 99)))
    }
    async fn update_job(&self, _: Request<UpdateJobRequest>) -> Answer<Job> {
        later()
    }
    async fn undelete_job(&self, request: Request<UndeleteJobRequest>) -> Answer<Job> {
        let request = request.into_inner();
        self.change(&request.namespace, &request.job_id, |job| job.state = job::State::Active.into())
    }
    /// Of three fires, whose runs are those that the server has.
    async fn backfill_job(&self, request: Request<BackfillJobRequest>) -> Answer<BackfillJobResponse> {
        let request = request.into_inner();
        self.find(&request.namespace, &request.job_id)?;
        let backfill_id = if request.validate_only { String::new() } else { "b1".to_owned() };
        self.0.lock().unwrap().backfilled.push(request);
        Ok(Response::new(BackfillJobResponse { backfill_id, fires: 3, entered: 1, ..Default::default() }))
    }
    /// One fire, an hour after the instant asked for.
    async fn preview_schedule(&self, request: Request<PreviewScheduleRequest>) -> Answer<PreviewScheduleResponse> {
        let request = request.into_inner();
        if request.schedule.is_none() {
            self.find(&request.namespace, &request.job_id)?;
        }
        let fire = request.after.map(|after| Timestamp { seconds: after.seconds + 3_600, ..after });
        self.0.lock().unwrap().previewed.push(request);
        let (fire_times, description) = (fire.into_iter().collect(), "in words".to_owned());
        Ok(Response::new(PreviewScheduleResponse { fire_times, description, dst_changes: Vec::new() }))
    }
    async fn explain_fire(&self, request: Request<ExplainFireRequest>) -> Answer<ExplainFireResponse> {
        let request = request.into_inner();
        self.find(&request.namespace, &request.job_id)?;
        self.0.lock().unwrap().explained.push(request);
        let explanation = "Job default/beat was paused.".to_owned();
        let outcome = explain_fire_response::Outcome::Paused.into();
        Ok(Response::new(ExplainFireResponse { outcome, explanation, ..Default::default() }))
    }
    async fn list_upcoming_fires(&self, _: Request<ListUpcomingFiresRequest>) -> Answer<ListUpcomingFiresResponse> {
        later()
    }
    /// Three revisions on as many pages, each of which raised the priority.
    async fn list_job_revisions(&self, request: Request<ListJobRevisionsRequest>) -> Answer<ListJobRevisionsResponse> {
        let request = request.into_inner();
        let number: i32 = request.page_token.parse().unwrap_or(3);
        let value =
            |number: i32| prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(f64::from(number))) };
        let change = |field: &str, after| FieldChange {
            field: field.to_owned(),
            before: (number > 2).then(|| value(after - 1)),
            after: Some(value(after)),
        };
        let revision = JobRevision {
            revision: number,
            change: job_revision::Change::Updated.into(),
            author: "anonymous".to_owned(),
            changes: if number > 1 { vec![change("priority", number)] } else { Vec::new() },
            ..JobRevision::default()
        };
        let next_page_token = if number > 1 { (number - 1).to_string() } else { String::new() };
        Ok(Response::new(ListJobRevisionsResponse { revisions: vec![revision], next_page_token }))
    }
    async fn restore_job_revision(&self, request: Request<RestoreJobRevisionRequest>) -> Answer<Job> {
        let request = request.into_inner();
        self.change(&request.namespace, &request.job_id, |job| job.revision = request.revision + 5)
    }
    async fn list_namespaces(&self, _: Request<ListNamespacesRequest>) -> Answer<ListNamespacesResponse> {
        later()
    }
}

#[tonic::async_trait]
impl RunService for Fake {
    type WatchRunsStream = Answers<WatchRunsResponse>;
    type TailRunLogsStream = Answers<TailRunLogsResponse>;

    async fn get_run(&self, request: Request<GetRunRequest>) -> Answer<Run> {
        let id = request.into_inner().run_id;
        let state = self.0.lock().unwrap();
        let found = state.runs.iter().find(|run| run.run_id == id).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no run `{id}`")))
    }
    async fn list_runs(&self, request: Request<ListRunsRequest>) -> Answer<ListRunsResponse> {
        let request = request.into_inner();
        let mut state = self.0.lock().unwrap();
        let runs = state.runs.iter().filter(|run| request.job_id.is_empty() || run.job_id == request.job_id);
        let page = ListRunsResponse { runs: runs.cloned().collect(), next_page_token: String::new() };
        state.listed.push(request);
        Ok(Response::new(page))
    }
    /// A page of one chunk, so that reading a log means paging.
    async fn get_run_logs(&self, request: Request<GetRunLogsRequest>) -> Answer<GetRunLogsResponse> {
        let at: usize = request.into_inner().page_token.parse().unwrap_or(0);
        let chunks = &self.0.lock().unwrap().chunks;
        let next_page_token = if at + 1 < chunks.len() { (at + 1).to_string() } else { String::new() };
        Ok(Response::new(GetRunLogsResponse { chunks: chunks.get(at).cloned().into_iter().collect(), next_page_token }))
    }
    async fn watch_runs(&self, _: Request<WatchRunsRequest>) -> Answer<Self::WatchRunsStream> {
        later()
    }
    async fn cancel_run(&self, request: Request<CancelRunRequest>) -> Answer<Run> {
        let CancelRunRequest { run_id, note, .. } = request.into_inner();
        let state = if note.is_empty() { run::State::Cancelled } else { run::State::Running };
        let (job_id, agent_id) = ("beat".to_owned(), "worker".to_owned());
        Ok(Response::new(Run { run_id, job_id, agent_id, state: state.into(), ..Run::default() }))
    }
    async fn retry_run(&self, request: Request<RetryRunRequest>) -> Answer<Run> {
        let retry_of = request.into_inner().run_id;
        Ok(Response::new(Run { run_id: "new".to_owned(), retry_of, ..Run::default() }))
    }
    async fn tail_run_logs(&self, _: Request<TailRunLogsRequest>) -> Answer<Self::TailRunLogsStream> {
        later()
    }
    async fn get_run_stats(&self, _: Request<GetRunStatsRequest>) -> Answer<GetRunStatsResponse> {
        later()
    }
    /// Seven runs, three a call.
    async fn purge_runs(&self, request: Request<PurgeRunsRequest>) -> Answer<PurgeRunsResponse> {
        let mut state = self.0.lock().unwrap();
        let left = 7 - state.purged;
        if request.into_inner().validate_only {
            return Ok(Response::new(PurgeRunsResponse { runs: left, more: false }));
        }
        state.purged += left.min(3);
        Ok(Response::new(PurgeRunsResponse { runs: left.min(3), more: left > 3 }))
    }
}

#[tonic::async_trait]
impl TaskTypeService for Fake {
    async fn list_task_types(&self, _: Request<ListTaskTypesRequest>) -> Answer<ListTaskTypesResponse> {
        later()
    }
    async fn get_task_type(&self, request: Request<GetTaskTypeRequest>) -> Answer<TaskType> {
        let name = request.into_inner().name;
        let agent_count = self.0.lock().unwrap().offered.get(&name).copied();
        let found = agent_count.map(|agent_count| TaskType { name, agent_count, ..TaskType::default() });
        found.map(Response::new).ok_or_else(|| Status::not_found("there is no such task type"))
    }
}

#[tonic::async_trait]
impl SchedulerService for Fake {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        let leader = get_status_response::Leader { node_id: "n1".to_owned(), epoch: 1 << 40, ..Default::default() };
        Ok(Response::new(GetStatusResponse { leader: Some(leader), ..GetStatusResponse::default() }))
    }
    async fn list_locks(&self, _: Request<ListLocksRequest>) -> Answer<ListLocksResponse> {
        later()
    }
    async fn step_down(&self, _: Request<StepDownRequest>) -> Answer<StepDownResponse> {
        later()
    }
}
