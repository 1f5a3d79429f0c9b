use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct Audit(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::audit_service_server::AuditService for Audit {
    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Result<Response<v1::ListAuditEventsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_audit_events(&call, request)).await
    }
}
