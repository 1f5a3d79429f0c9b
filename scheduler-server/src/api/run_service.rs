use std::sync::Arc;

use punctual_proto::v1;
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::answer::{answer, received, received_stream, until};
use crate::service::Service;

pub(super) struct Runs {
    pub(super) service: Arc<Service>,
    pub(super) drain: CancellationToken,
}

#[tonic::async_trait]
impl v1::run_service_server::RunService for Runs {
    type WatchRunsStream = BoxStream<v1::WatchRunsResponse>;
    type TailRunLogsStream = BoxStream<v1::TailRunLogsResponse>;

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.get_run(request)).await
    }

    async fn list_runs(&self, request: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.list_runs(&call, request)).await
    }

    async fn get_run_logs(
        &self,
        request: Request<v1::GetRunLogsRequest>,
    ) -> Result<Response<v1::GetRunLogsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.get_run_logs(request)).await
    }

    async fn cancel_run(&self, request: Request<v1::CancelRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.cancel_run(&call, request)).await
    }

    async fn retry_run(&self, request: Request<v1::RetryRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.retry_run(&call, request)).await
    }

    async fn get_run_stats(
        &self,
        request: Request<v1::GetRunStatsRequest>,
    ) -> Result<Response<v1::GetRunStatsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.get_run_stats(&call, request)).await
    }

    async fn purge_runs(
        &self,
        request: Request<v1::PurgeRunsRequest>,
    ) -> Result<Response<v1::PurgeRunsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.service.purge_runs(&call, request)).await
    }

    async fn watch_runs(
        &self,
        request: Request<v1::WatchRunsRequest>,
    ) -> Result<Response<Self::WatchRunsStream>, Status> {
        let (caller, (call, deadline, request)) = received_stream(request)?;
        let stream = answer(&call, deadline, self.service.watch_runs(&call, request)).await?;
        Ok(until(self.drain.clone(), caller, stream))
    }

    async fn tail_run_logs(
        &self,
        request: Request<v1::TailRunLogsRequest>,
    ) -> Result<Response<Self::TailRunLogsStream>, Status> {
        let (caller, (call, deadline, request)) = received_stream(request)?;
        let stream = answer(&call, deadline, self.service.tail_run_logs(request)).await?;
        Ok(until(self.drain.clone(), caller, stream))
    }
}
