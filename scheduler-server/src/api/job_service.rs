use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct Jobs(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::job_service_server::JobService for Jobs {
    async fn create_job(&self, request: Request<v1::CreateJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.create_job(&call, request)).await
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.get_job(request)).await
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_jobs(&call, request)).await
    }

    async fn update_job(&self, request: Request<v1::UpdateJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.update_job(&call, request)).await
    }

    async fn delete_job(&self, request: Request<v1::DeleteJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.delete_job(&call, request)).await
    }

    async fn pause_job(&self, request: Request<v1::PauseJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.pause_job(&call, request)).await
    }

    async fn resume_job(&self, request: Request<v1::ResumeJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.resume_job(&call, request)).await
    }

    async fn enable_job(&self, request: Request<v1::EnableJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.enable_job(&call, request)).await
    }

    async fn disable_job(&self, request: Request<v1::DisableJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.disable_job(&call, request)).await
    }

    async fn trigger_job(&self, request: Request<v1::TriggerJobRequest>) -> Result<Response<v1::Run>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.trigger_job(&call, request)).await
    }

    async fn preview_schedule(
        &self,
        request: Request<v1::PreviewScheduleRequest>,
    ) -> Result<Response<v1::PreviewScheduleResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.preview_schedule(request)).await
    }

    async fn undelete_job(&self, request: Request<v1::UndeleteJobRequest>) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.undelete_job(&call, request)).await
    }

    async fn backfill_job(
        &self,
        request: Request<v1::BackfillJobRequest>,
    ) -> Result<Response<v1::BackfillJobResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.backfill_job(&call, request)).await
    }

    async fn explain_fire(
        &self,
        request: Request<v1::ExplainFireRequest>,
    ) -> Result<Response<v1::ExplainFireResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.explain_fire(request)).await
    }

    async fn list_upcoming_fires(
        &self,
        request: Request<v1::ListUpcomingFiresRequest>,
    ) -> Result<Response<v1::ListUpcomingFiresResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_upcoming_fires(&call, request)).await
    }

    async fn list_job_revisions(
        &self,
        request: Request<v1::ListJobRevisionsRequest>,
    ) -> Result<Response<v1::ListJobRevisionsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_job_revisions(request)).await
    }

    async fn restore_job_revision(
        &self,
        request: Request<v1::RestoreJobRevisionRequest>,
    ) -> Result<Response<v1::Job>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.restore_job_revision(&call, request)).await
    }

    async fn list_namespaces(
        &self,
        request: Request<v1::ListNamespacesRequest>,
    ) -> Result<Response<v1::ListNamespacesResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_namespaces(&call, request)).await
    }
}
