use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct Agents(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::agent_service_server::AgentService for Agents {
    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_agents(&call, request)).await
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.get_agent(&call, request)).await
    }

    async fn cordon_agent(&self, request: Request<v1::CordonAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.cordon_agent(&call, request)).await
    }

    async fn uncordon_agent(&self, request: Request<v1::UncordonAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.uncordon_agent(&call, request)).await
    }

    async fn drain_agent(&self, request: Request<v1::DrainAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.drain_agent(&call, request)).await
    }
}
