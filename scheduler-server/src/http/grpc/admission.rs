//! Whether the caller may call the method: asked once for gRPC, gRPC-Web and REST, where all of them have become gRPC.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use punctual_proto::v1::ErrorReason;
use tonic::{Code, Status};

use super::super::denied;
use super::super::rest::errors;
use crate::access::rules::Rule;
use crate::access::{Admission, Admitted, Caller, Denied, Gate};

/// What tonic takes of a message.
pub(super) const LARGEST: usize = 4 << 20;
/// Before a message stand a flag and its length.
pub(super) const HEAD: usize = 5;
/// Of what nobody needs to sign in for: the name of a service, to ask for its health.
const LARGEST_OF_STRANGERS: usize = 4 << 10;
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn ask(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match admitted(&gate, request, BODY_TIMEOUT).await {
        Ok(request) => next.run(request).await,
        Err(status) => status.into_http(),
    }
}

async fn admitted(gate: &Gate, mut request: Request, patience: Duration) -> Result<Request, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    let admitted = gate.admit(caller.as_ref(), request.uri().path()).map_err(|refused| denied::status(&refused))?;
    let Some(caller) = caller else { return Ok(whole(request, LARGEST_OF_STRANGERS, patience).await?.0) };
    match admitted {
        Admitted::ByNamespace(rule) => request = by_namespace(gate, &caller, rule, request, patience).await?,
        Admitted::Wholly(rule) if !streams(rule) => request = whole(request, LARGEST + HEAD, patience).await?.0,
        Admitted::Wholly(_) => {}
    }
    request.extensions_mut().insert(Admission { caller, method: admitted.method() });
    Ok(request)
}

/// The request, once its message is there and names a namespace that the caller may see.
async fn by_namespace(
    gate: &Gate,
    caller: &Caller,
    rule: &'static Rule,
    request: Request,
    patience: Duration,
) -> Result<Request, Status> {
    let (request, bytes) = whole(request, LARGEST + HEAD, patience).await?;
    let message = message(&bytes).ok_or_else(|| denied::status(&Denied::Unreadable))?;
    gate.admit_to_namespace(caller, rule, message).map_err(|refused| denied::status(&refused))?;
    Ok(request)
}

/// The request with all of its body: one that does not come to its end takes no more than its time.
pub(super) async fn whole(request: Request, most: usize, patience: Duration) -> Result<(Request, Bytes), Status> {
    let (parts, body) = request.into_parts();
    let collected = tokio::time::timeout(patience, Limited::new(body, most).collect()).await;
    let bytes = match collected {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(_)) => {
            let message = "the request did not come whole, or is too large";
            return Err(errors::refuse(Code::ResourceExhausted, ErrorReason::TooLarge, message));
        }
        Err(_) => return Err(Status::deadline_exceeded("the request did not come in time")),
    };
    Ok((Request::from_parts(parts, Body::from(bytes.clone())), bytes))
}

/// Whether clients go on sending while they are answered: an agent's stream, and reflection.
fn streams(rule: &Rule) -> bool {
    rule.method.ends_with("/Connect") || rule.method.contains("ServerReflection")
}

/// The first message, which is the one that a service of one request reads. None is compressed here.
pub(super) fn message(bytes: &Bytes) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [flag, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    rest.get(..length).filter(|_| flag == 0)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::super::super::rest::routes::pool;
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    /// A request whose body begins and then comes to nothing.
    fn unfinished(path: &str) -> Request {
        let begun = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0, 0, 0, 1]))]);
        let body = Body::from_stream(begun.chain(futures::stream::pending()));
        let mut request = Request::post(path).body(body).unwrap();
        request.extensions_mut().insert(Caller::anyone(None));
        request
    }

    #[tokio::test]
    async fn a_request_is_there_whole_before_its_service_sees_it_unless_it_is_a_stream() {
        let gate = Gate::open();
        let mut streams = 0;
        for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let admitted = admitted(&gate, unfinished(&path), SOON).await.map(drop).map_err(|status| status.code());
            let expected = if method.is_client_streaming() { Ok(()) } else { Err(Code::DeadlineExceeded) };
            assert_eq!(admitted, expected, "{path}");
            streams += usize::from(method.is_client_streaming());
        }
        assert_eq!(streams, 1, "agents'");
        let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        assert!(admitted(&gate, unfinished(reflection), SOON).await.is_ok());
    }

    #[tokio::test]
    async fn what_strangers_send_is_small_and_has_its_time() {
        let gate = Gate::open();
        let health = "/grpc.health.v1.Health/Check";
        let of_nobody = |mut request: Request| {
            request.extensions_mut().remove::<Caller>();
            admitted(&gate, request, SOON)
        };
        let sized = |bytes: usize| Request::post(health).body(Body::from(vec![0; bytes])).unwrap();
        assert!(of_nobody(sized(LARGEST_OF_STRANGERS)).await.is_ok());
        let refused = of_nobody(sized(LARGEST_OF_STRANGERS + 1)).await.map(drop).map_err(|status| status.code());
        assert_eq!(refused, Err(Code::ResourceExhausted));
        let refused = of_nobody(unfinished(health)).await.map(drop).map_err(|status| status.code());
        assert_eq!(refused, Err(Code::DeadlineExceeded));
    }
}
