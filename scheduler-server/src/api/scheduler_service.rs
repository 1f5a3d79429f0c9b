use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct Scheduler(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::scheduler_service_server::SchedulerService for Scheduler {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.get_status(&call, request)).await
    }

    async fn list_locks(
        &self,
        request: Request<v1::ListLocksRequest>,
    ) -> Result<Response<v1::ListLocksResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_locks(&call, request)).await
    }

    async fn step_down(&self, request: Request<v1::StepDownRequest>) -> Result<Response<v1::StepDownResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.step_down(&call, request)).await
    }
}
