//! What is said to who may not come in, or may not do what they ask for.

use std::time::Duration;

use punctual_proto::v1::ErrorReason;
use tonic::{Code, Status};

use super::rest::errors;
use crate::access::{Denied, SignInError};

pub(super) fn status(denied: &Denied) -> Status {
    let message = denied.to_string();
    let (code, reason) = match denied {
        Denied::NoMethod => return Status::unimplemented(message),
        Denied::Unreadable => (Code::InvalidArgument, ErrorReason::MalformedRequest),
        Denied::NotAllowed(_) => (Code::PermissionDenied, ErrorReason::NotAllowed),
        Denied::SignIn(error) => match error {
            SignInError::NoToken | SignInError::NotRight(_) | SignInError::NoCertificate(_) => {
                (Code::Unauthenticated, ErrorReason::NotSignedIn)
            }
            SignInError::Ended => (Code::Unauthenticated, ErrorReason::TokenExpired),
            SignInError::TooManyFailures(wait) | SignInError::TooFast(wait) => return too_fast(*wait, message),
            SignInError::Unavailable(_) => (Code::Unavailable, ErrorReason::LedgerUnavailable),
        },
    };
    errors::refuse(code, reason, message)
}

fn too_fast(wait: Duration, message: String) -> Status {
    errors::refuse_for_now(Code::ResourceExhausted, ErrorReason::RateLimited, message, wait)
}
