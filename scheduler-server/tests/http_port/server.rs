//! A port with a few methods behind it, which show what reached them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::Stream;
use punctual_proto::v1::{self, job_service_server::JobServiceServer, run_service_server::RunServiceServer};
use scheduler_server::access::Gate;
use scheduler_server::http::{HostPolicy, Limits, Readiness, Surface, serve, with_health, with_reflection};
use tls::{PeerCertificate, ServerTls};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) drain: CancellationToken,
    pub(crate) readiness: Arc<Mutex<Readiness>>,
    pub(crate) tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(HostPolicy::Loopback, Limits::default()).await
    }

    pub(crate) async fn with(hosts: HostPolicy, limits: Limits) -> Self {
        Self::behind(None, hosts, limits).await
    }

    pub(crate) async fn over(tls: &Arc<ServerTls>, limits: Limits) -> Self {
        Self::behind(Some(Arc::clone(tls)), HostPolicy::Loopback, limits).await
    }

    async fn behind(tls: Option<Arc<ServerTls>>, hosts: HostPolicy, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let grpc = Routes::new(JobServiceServer::new(Jobs::default())).add_service(RunServiceServer::new(Runs));
        let readiness = Arc::new(Mutex::new(Readiness::Ready));
        let asked = readiness.clone();
        let surface = Surface {
            grpc: with_reflection(with_health(grpc).await),
            forward: None,
            presence: None,
            gate: Gate::open(),
            strict_transport: tls.is_some(),
            hosts,
            ready: Arc::new(move || asked.lock().expect("not poisoned").clone()),
            metrics: Arc::new(|| "# EOF\n".to_owned()),
        };
        let drain = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, tls, surface.into_router(), limits, drain.clone()));
        Server { address, drain, readiness, tasks }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

#[derive(Default)]
struct Jobs {
    jobs: Mutex<BTreeMap<String, v1::Job>>,
}

type Answer<T> = Result<Response<T>, Status>;

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("not in this test"))
}

fn refused(field: &str, description: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("INVALID_FIELDS", "punctual", []);
    details.add_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {description}"), details)
}

fn one_of(jobs: &BTreeMap<String, v1::Job>, job_id: &str) -> Result<v1::Job, Status> {
    let mut details = ErrorDetails::new();
    details.set_error_info("JOB_NOT_FOUND", "punctual", []);
    let missing = || Status::with_error_details(Code::NotFound, format!("no job {job_id}"), details);
    jobs.get(job_id).cloned().ok_or_else(missing)
}

#[tonic::async_trait]
impl v1::job_service_server::JobService for Jobs {
    async fn create_job(&self, request: Request<v1::CreateJobRequest>) -> Answer<v1::Job> {
        let v1::CreateJobRequest { job, request_id, .. } = request.into_inner();
        let job = v1::Job { etag: "e1".to_owned(), uid: request_id, ..job.unwrap_or_default() };
        if job.max_instances == Some(0) {
            return Err(refused("job.max_instances", "0 is below 1"));
        }
        self.jobs.lock().expect("not poisoned").insert(job.job_id.clone(), job.clone());
        Ok(Response::new(job))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Answer<v1::Job> {
        one_of(&self.jobs.lock().expect("not poisoned"), &request.get_ref().job_id).map(Response::new)
    }

    async fn list_jobs(&self, _: Request<v1::ListJobsRequest>) -> Answer<v1::ListJobsResponse> {
        let jobs = self.jobs.lock().expect("not poisoned").values().cloned().collect();
        Ok(Response::new(v1::ListJobsResponse { jobs, next_page_token: String::new() }))
    }

    /// Answers the mask in the description.
    async fn update_job(&self, request: Request<v1::UpdateJobRequest>) -> Answer<v1::Job> {
        let v1::UpdateJobRequest { job, update_mask, .. } = request.into_inner();
        let description = update_mask.unwrap_or_default().paths.join(",");
        Ok(Response::new(v1::Job { description, ..job.unwrap_or_default() }))
    }

    /// Answers who asked, in the pause.
    async fn pause_job(&self, request: Request<v1::PauseJobRequest>) -> Answer<v1::Job> {
        let metadata = |name: &str| request.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let certificate = request.extensions().get::<Arc<PeerCertificate>>();
        let certificate = certificate.and_then(|certificate| certificate.common_name.clone()).unwrap_or_default();
        let author = format!("{} {}{certificate}", metadata("authorization"), metadata("traceparent"));
        let peer = request.remote_addr().is_some_and(|address| address.ip().is_loopback());
        let request = request.get_ref();
        let note = format!("{} (peer known: {peer})", request.note);
        let pause = Some(v1::Pause { note, author, time: None });
        Ok(Response::new(v1::Job { job_id: request.job_id.clone(), pause, ..Default::default() }))
    }

    async fn trigger_job(&self, request: Request<v1::TriggerJobRequest>) -> Answer<v1::Run> {
        let v1::TriggerJobRequest { job_id, payload, request_id, .. } = request.into_inner();
        let result =
            payload.map(|payload| prost_types::Value { kind: Some(prost_types::value::Kind::StructValue(payload)) });
        Ok(Response::new(v1::Run { job_id, run_id: request_id, result, ..Default::default() }))
    }

    /// Never answers.
    async fn list_namespaces(&self, _: Request<v1::ListNamespacesRequest>) -> Answer<v1::ListNamespacesResponse> {
        std::future::pending().await
    }

    async fn explain_fire(&self, _: Request<v1::ExplainFireRequest>) -> Answer<v1::ExplainFireResponse> {
        panic!("a bug, for this test")
    }

    async fn delete_job(&self, _: Request<v1::DeleteJobRequest>) -> Answer<v1::Job> {
        not_here()
    }

    async fn undelete_job(&self, _: Request<v1::UndeleteJobRequest>) -> Answer<v1::Job> {
        not_here()
    }

    async fn resume_job(&self, _: Request<v1::ResumeJobRequest>) -> Answer<v1::Job> {
        not_here()
    }

    async fn enable_job(&self, _: Request<v1::EnableJobRequest>) -> Answer<v1::Job> {
        not_here()
    }

    async fn disable_job(&self, _: Request<v1::DisableJobRequest>) -> Answer<v1::Job> {
        not_here()
    }

    async fn backfill_job(&self, _: Request<v1::BackfillJobRequest>) -> Answer<v1::BackfillJobResponse> {
        not_here()
    }

    async fn preview_schedule(&self, _: Request<v1::PreviewScheduleRequest>) -> Answer<v1::PreviewScheduleResponse> {
        not_here()
    }

    async fn list_upcoming_fires(
        &self,
        _: Request<v1::ListUpcomingFiresRequest>,
    ) -> Answer<v1::ListUpcomingFiresResponse> {
        not_here()
    }

    async fn list_job_revisions(
        &self,
        _: Request<v1::ListJobRevisionsRequest>,
    ) -> Answer<v1::ListJobRevisionsResponse> {
        not_here()
    }

    async fn restore_job_revision(&self, _: Request<v1::RestoreJobRevisionRequest>) -> Answer<v1::Job> {
        not_here()
    }
}

struct Runs;

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl v1::run_service_server::RunService for Runs {
    type WatchRunsStream = Messages<v1::WatchRunsResponse>;
    type TailRunLogsStream = Messages<v1::TailRunLogsResponse>;

    /// One run whose id is the token that the client came with, a bookmark, and then a refusal; with the token
    /// `forever` nothing comes, and with `old` it is refused at once.
    async fn watch_runs(&self, request: Request<v1::WatchRunsRequest>) -> Answer<Self::WatchRunsStream> {
        let token = request.into_inner().resume_token;
        match token.as_str() {
            "forever" => return Ok(Response::new(Box::pin(futures::stream::pending()))),
            "old" => return Err(Status::out_of_range("the token is too old")),
            _ => {}
        }
        let run = Some(v1::Run { run_id: token, ..Default::default() });
        let messages = [
            Ok(v1::WatchRunsResponse { run, resume_token: "t1".to_owned() }),
            Ok(v1::WatchRunsResponse { run: None, resume_token: "t2".to_owned() }),
            Err(Status::unavailable("the leader went away")),
        ];
        Ok(Response::new(Box::pin(futures::stream::iter(messages))))
    }

    /// Three pages of a chunk each.
    async fn get_run_logs(&self, request: Request<v1::GetRunLogsRequest>) -> Answer<v1::GetRunLogsResponse> {
        if request.get_ref().run_id == "none" {
            return Err(refused("run_id", "there is no such run"));
        }
        let (data, next): (&[u8], &str) = match request.get_ref().page_token.as_str() {
            "" => (b"first\n", "2"),
            "2" => (b"\xff\x00", "3"),
            _ => (b"last", ""),
        };
        let chunk = v1::RunLogChunk { data: data.into(), ..Default::default() };
        Ok(Response::new(v1::GetRunLogsResponse { chunks: vec![chunk], next_page_token: next.to_owned() }))
    }

    async fn get_run(&self, _: Request<v1::GetRunRequest>) -> Answer<v1::Run> {
        not_here()
    }

    async fn list_runs(&self, _: Request<v1::ListRunsRequest>) -> Answer<v1::ListRunsResponse> {
        not_here()
    }

    async fn cancel_run(&self, _: Request<v1::CancelRunRequest>) -> Answer<v1::Run> {
        not_here()
    }

    async fn retry_run(&self, _: Request<v1::RetryRunRequest>) -> Answer<v1::Run> {
        not_here()
    }

    async fn tail_run_logs(&self, _: Request<v1::TailRunLogsRequest>) -> Answer<Self::TailRunLogsStream> {
        not_here()
    }

    async fn get_run_stats(&self, _: Request<v1::GetRunStatsRequest>) -> Answer<v1::GetRunStatsResponse> {
        not_here()
    }

    async fn purge_runs(&self, _: Request<v1::PurgeRunsRequest>) -> Answer<v1::PurgeRunsResponse> {
        not_here()
    }
}
