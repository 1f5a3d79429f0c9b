use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use super::later::later;
use crate::service::Service;

pub(super) struct Agents(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::agent_service_server::AgentService for Agents {
    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let (call, deadline, request) = received(request);
        answer(&call, deadline, self.0.list_agents(&call, request)).await
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (call, deadline, request) = received(request);
        answer(&call, deadline, self.0.get_agent(&call, request)).await
    }

    async fn cordon_agent(&self, _: Request<v1::CordonAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        Err(later("AgentService.CordonAgent"))
    }

    async fn uncordon_agent(&self, _: Request<v1::UncordonAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        Err(later("AgentService.UncordonAgent"))
    }

    async fn drain_agent(&self, _: Request<v1::DrainAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        Err(later("AgentService.DrainAgent"))
    }
}
