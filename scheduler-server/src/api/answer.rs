//! One call: its caller, its deadline, its answer or its stream of answers.

use std::time::Duration;

use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{StreamExt, unfold};
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::access::{Admission, Caller};
use crate::service::{Call, Error, Stream};

/// An answer needs this much of the client's time to get there, or a tenth if that is less.
const WAY_BACK: Duration = Duration::from_millis(50);

/// How long the client still waits.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Option<Duration>);

/// A request as the use cases take it.
///
/// One that did not come through the gate is answered nothing, whatever was left out in front of the services.
pub(super) fn received<M>(request: Request<M>) -> Result<(Call, Deadline, M), Status> {
    let timeout = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(timeout);
    let deadline = timeout.map(|timeout| timeout - WAY_BACK.min(timeout / 10));
    let admission = request.extensions().get::<Admission>().cloned();
    let admission = admission.ok_or_else(|| Status::unauthenticated("nobody has looked at who calls"))?;
    Ok((Call::new(admission), Deadline(deadline), request.into_inner()))
}

/// As [`received`], of a method whose answers are a stream: it ends when the caller is signed out.
pub(super) fn received_stream<M>(request: Request<M>) -> Result<(Caller, (Call, Deadline, M)), Status> {
    let caller = request.extensions().get::<Admission>().map(|admission| admission.caller.clone());
    let received = received(request)?;
    let caller = caller.expect("because it was received");
    Ok((caller, received))
}

/// Waits for the use case, as long as the client does. A write that is with the leader then has an unknown
/// outcome, and the client is told how to find it out.
pub(super) async fn answer<T>(
    call: &Call,
    deadline: Deadline,
    use_case: impl Future<Output = Result<T, Error>>,
) -> Result<Response<T>, Status> {
    let outcome = match deadline.0 {
        None => use_case.await,
        Some(timeout) => tokio::time::timeout(timeout, use_case).await.unwrap_or_else(|_| Err(given_up(call))),
    };
    outcome.map(Response::new).map_err(Status::from)
}

/// A stream of answers that ends with `drain`, and says so: clients go on at another server, or at the next start. It ends,
/// too, when the caller's token does.
pub(super) fn until<T: Send + 'static>(
    drain: CancellationToken,
    caller: Caller,
    stream: Response<Stream<T>>,
) -> Response<BoxStream<T>> {
    stream.map(|stream| {
        let signed_out = async move { caller.signed_out().await }.boxed();
        let next = move |(stream, mut signed_out): (Option<Stream<T>>, BoxFuture<'static, ()>)| {
            let drain = drain.clone();
            async move {
                let mut open = stream?;
                tokio::select! {
                    biased;
                    () = drain.cancelled() => Some((Err(Status::from(Error::Stopping)), (None, signed_out))),
                    () = &mut signed_out => Some((Err(Status::from(Error::SignedOut)), (None, future::pending().boxed()))),
                    answer = open.next() => match answer? {
                        Ok(answer) => Some((Ok(answer), (Some(open), signed_out))),
                        Err(error) => Some((Err(Status::from(error)), (None, signed_out))),
                    },
                }
            }
        };
        unfold((Some(stream), signed_out), next).boxed() as BoxStream<T>
    })
}

fn given_up(call: &Call) -> Error {
    match call.handed() {
        Some(handed) => Error::OutcomeUnknown { request_id: handed.request_id },
        None => Error::DeadlineExceeded,
    }
}

/// Up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3_600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}
