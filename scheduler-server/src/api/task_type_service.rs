use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct TaskTypes(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::task_type_service_server::TaskTypeService for TaskTypes {
    async fn list_task_types(
        &self,
        request: Request<v1::ListTaskTypesRequest>,
    ) -> Result<Response<v1::ListTaskTypesResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_task_types(&call, request)).await
    }

    async fn get_task_type(&self, request: Request<v1::GetTaskTypeRequest>) -> Result<Response<v1::TaskType>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.get_task_type(&call, request)).await
    }
}
