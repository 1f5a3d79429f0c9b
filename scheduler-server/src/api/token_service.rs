use std::sync::Arc;

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use super::answer::{answer, received};
use crate::service::Service;

pub(super) struct Tokens(pub(super) Arc<Service>);

#[tonic::async_trait]
impl v1::token_service_server::TokenService for Tokens {
    async fn create_token(&self, request: Request<v1::CreateTokenRequest>) -> Result<Response<v1::Token>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.create_token(&call, request)).await
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.list_tokens(request)).await
    }

    async fn revoke_token(&self, request: Request<v1::RevokeTokenRequest>) -> Result<Response<v1::Token>, Status> {
        let (call, deadline, request) = received(request)?;
        answer(&call, deadline, self.0.revoke_token(&call, request)).await
    }
}
