//! Methods that this release does not have yet: they are there, and say so.

use punctual_proto::v1;
use tonic::{Request, Response, Status};

use crate::service::Error;

pub(super) fn later(method: &'static str) -> Status {
    Status::from(Error::Later(method))
}

/// Services of which no method is there yet.
pub(super) struct Later;

macro_rules! later {
    ($($server:ident :: $service:ident { $($rpc:literal $method:ident($request:ident) -> $response:ident;)+ })+) => {
        $(#[tonic::async_trait]
        impl v1::$server::$service for Later {
            $(async fn $method(&self, _: Request<v1::$request>) -> Result<Response<v1::$response>, Status> {
                Err(later(concat!(stringify!($service), ".", $rpc)))
            })+
        })+
    };
}

later! {
    token_service_server::TokenService {
        "CreateToken" create_token(CreateTokenRequest) -> Token;
        "ListTokens" list_tokens(ListTokensRequest) -> ListTokensResponse;
        "RevokeToken" revoke_token(RevokeTokenRequest) -> Token;
    }
    audit_service_server::AuditService {
        "ListAuditEvents" list_audit_events(ListAuditEventsRequest) -> ListAuditEventsResponse;
    }
}
