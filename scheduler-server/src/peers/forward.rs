//! Passing a call on to the leader, and again to the next one if that is safe.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use punctual_proto::v1::ErrorReason;
use tls::ClientFiles;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::leaders::{Carried, Leaders, NoAnswer};
use super::methods::{self, Method};
use super::proof::{self, CalledFrom, PeerSecret};
use super::{Whereabouts, numbering};
use crate::access::Caller;

/// Says that a call was passed on, and by whom: it is passed on once.
pub(crate) const FORWARDED: &str = "punctual-forwarded-by";
const LEADER_WAIT: Duration = Duration::from_secs(10);
/// Before a leader that has not taken the call is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// The largest message that the services take, in its frame.
const LARGEST: usize = (4 << 20) + 5;

/// What it takes to pass calls on.
pub struct Forward {
    node_id: HeaderValue,
    whereabouts: watch::Receiver<Whereabouts>,
    leaders: Leaders,
    /// `None`: no node is believed from where a call came.
    secret: Option<PeerSecret>,
    /// How long a call waits where no leader is known.
    pub(super) patience: Duration,
}

impl Forward {
    /// `tls` is for leaders that advertise an https address.
    pub fn new(node_id: &str, whereabouts: watch::Receiver<Whereabouts>, tls: ClientFiles) -> Self {
        let node_id = HeaderValue::from_str(node_id).unwrap_or(HeaderValue::from_static("unnamed"));
        Self { node_id, whereabouts, leaders: Leaders::new(tls), secret: None, patience: LEADER_WAIT }
    }

    /// With the secret that the nodes of the cluster share.
    #[must_use]
    pub fn with_secret(self, secret: Option<PeerSecret>) -> Self {
        Self { secret, ..self }
    }

    /// From where a call came, if another node has passed it on and proves to be one.
    pub fn vouched(&self, request: &Request) -> Option<CalledFrom> {
        self.secret.as_ref()?.vouched(request.headers(), request.uri().path())
    }
}

/// Middleware of the gRPC services: a call that needs the leader goes to it, and on to the next one if this node leads and
/// gives way before it has done anything.
pub async fn pass_on(State(forward): State<Arc<Forward>>, request: Request, next: Next) -> Response {
    let Some(method) = methods::of_leader(request.uri().path()) else { return next.run(request).await };
    if request.headers().contains_key(FORWARDED) {
        return match forward.is_here() {
            true => next.run(request).await,
            false => no_leader("this node does not lead").into_http(),
        };
    }
    let (parts, body) = request.into_parts();
    let Ok(mut body) = to_bytes(body, LARGEST).await else { return too_large().into_http() };
    let mut number = None;
    // It may have been received by a leader that is gone: from then on nobody may say that it was not done.
    let mut may_be_done = false;
    loop {
        if !forward.is_here() {
            (body, number) = numbering::numbered(body, &method.descriptor.input());
            let call = forward.carried(&parts, body.clone());
            match forward.carry(method, &call, number.as_deref(), &mut may_be_done).await {
                Carry::Answered(answer) => return answer,
                Carry::Refused(status) => return status.into_http(),
                Carry::Here => {}
            }
        }
        let answer = next.clone().run(Request::from_parts(parts.clone(), Body::from(body.clone()))).await;
        if !is_not_taken(&answer) || !forward.gives_way().await {
            return if may_be_done && is_unavailable(&answer) {
                outcome_unknown(number.as_deref()).into_http()
            } else {
                answer
            };
        }
    }
}

/// What becomes of a call that was to be passed on.
enum Carry {
    Answered(Response),
    Refused(Status),
    /// This node leads by now.
    Here,
}

impl Forward {
    fn is_here(&self) -> bool {
        *self.whereabouts.borrow() == Whereabouts::Here
    }

    /// Waits until this node leads no more; `false`: that was not in time, or its process stops before it knows who leads.
    async fn gives_way(&self) -> bool {
        let mut whereabouts = self.whereabouts.clone();
        let is_elsewhere = whereabouts.wait_for(|known| *known != Whereabouts::Here);
        tokio::time::timeout(self.patience, is_elsewhere).await.is_ok_and(|known| known.is_ok())
    }

    fn carried(&self, parts: &Parts, body: Bytes) -> Carried {
        let mut headers = parts.headers.clone();
        headers.insert(HeaderName::from_static(FORWARDED), self.node_id.clone());
        proof::strip(&mut headers);
        if let Some((secret, caller)) = self.secret.as_ref().zip(parts.extensions.get::<Caller>())
            && let Some(from) = caller.called_from()
        {
            secret.vouch(&mut headers, parts.uri.path(), from);
        }
        Carried { path: parts.uri.clone(), headers, body }
    }

    async fn carry(&self, method: &Method, call: &Carried, number: Option<&str>, may_be_done: &mut bool) -> Carry {
        let given_up = |may_be_done: bool, message: &str| {
            Carry::Refused(if may_be_done { outcome_unknown(number) } else { no_leader(message) })
        };
        let mut whereabouts = self.whereabouts.clone();
        let patience = sleep(self.patience);
        tokio::pin!(patience);
        loop {
            let leader = whereabouts.borrow_and_update().clone();
            let is_known = matches!(leader, Whereabouts::Here | Whereabouts::There(_));
            match leader {
                Whereabouts::Here => return Carry::Here,
                Whereabouts::Nowhere | Whereabouts::Soon => {}
                Whereabouts::There(peer) => {
                    let asked = self.leaders.ask(&peer.address, call);
                    let answer = tokio::select! {
                        biased;
                        answer = asked => answer,
                        // Another one leads, to whom it can be said again.
                        Ok(()) = whereabouts.changed(), if method.is_repeatable => {
                            *may_be_done |= number.is_some();
                            continue;
                        }
                    };
                    match answer {
                        Ok(answer) if is_not_taken(&answer) => {}
                        Ok(answer) if *may_be_done && is_unavailable(&answer) => {
                            return Carry::Refused(outcome_unknown(number));
                        }
                        Ok(answer) => return Carry::Answered(answer),
                        Err(NoAnswer::NotSent) => {}
                        Err(NoAnswer::Broken) if method.is_repeatable => *may_be_done |= number.is_some(),
                        Err(NoAnswer::Broken) => return Carry::Refused(outcome_unknown(number)),
                    }
                }
            }
            tokio::select! {
                biased;
                () = &mut patience => {
                    return given_up(*may_be_done, "no leader is known, and none was found in time");
                }
                changed = whereabouts.changed() => match changed {
                    Ok(()) => {}
                    // This node stops, and does not hear of other leaders any more.
                    Err(_) if is_known => sleep(PAUSE).await,
                    Err(_) => return given_up(*may_be_done, "this server is stopping"),
                },
                () = sleep(PAUSE), if is_known => {}
            }
        }
    }
}

/// The leader has not done it now; an earlier one may have.
fn is_unavailable(answer: &Response) -> bool {
    Status::from_header_map(answer.headers()).is_some_and(|status| status.code() == Code::Unavailable)
}

/// The node asked does not lead, or not any more, and has not done it.
fn is_not_taken(answer: &Response) -> bool {
    let status = Status::from_header_map(answer.headers()).filter(|status| status.code() == Code::Unavailable);
    let info = status.and_then(|status| status.get_details_error_info());
    let reasons = [ErrorReason::NoLeader, ErrorReason::ShuttingDown];
    info.is_some_and(|info| reasons.iter().any(|reason| reason.as_str_name() == info.reason))
}

pub(super) fn no_leader(message: &str) -> Status {
    refusal(Code::Unavailable, ErrorReason::NoLeader, message)
}

fn outcome_unknown(number: Option<&str>) -> Status {
    let message = "the connection to the leader broke; whether this was done is not known: look, or repeat it with the \
                   request_id that this names";
    let metadata = number.map(|number| ("request_id".to_owned(), number.to_owned()));
    let reason = ErrorReason::OutcomeUnknown.as_str_name();
    let details = ErrorDetails::with_error_info(reason, "punctual", metadata.into_iter().collect::<HashMap<_, _>>());
    Status::with_error_details(Code::Unknown, message, details)
}

fn too_large() -> Status {
    refusal(Code::ResourceExhausted, ErrorReason::TooLarge, "the message is larger than 4 MiB")
}

fn refusal(code: Code, reason: ErrorReason, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason.as_str_name(), "punctual", []);
    Status::with_error_details(code, message, details)
}
