//! What the engine asks the coordinator about locks. A call that fails has no answer: the engine asks again.

use std::sync::Arc;

use coordination::{Coordinator, Error};
use scheduler_core::engine::{CandidacyId, Input, LockCallId};
use scheduler_core::lock::HeldLock;

pub(super) async fn read(coordinator: Arc<dyn Coordinator>, candidacy: CandidacyId, id: LockCallId) -> Option<Input> {
    match coordinator.locks()?.held(candidacy).await {
        Ok(held) => {
            tracing::info!(locks = held.len(), "the locks are read");
            Some(Input::LocksRead(id, held))
        }
        Err(error) => unanswered("read", &error),
    }
}

pub(super) async fn take(
    coordinator: Arc<dyn Coordinator>,
    candidacy: CandidacyId,
    id: LockCallId,
    locks: Vec<HeldLock>,
) -> Option<Input> {
    match coordinator.locks()?.take(candidacy, &locks).await {
        Ok(refused) => {
            for lock in &refused {
                tracing::warn!(job = %lock.name.job, slot = lock.name.slot, holder = %lock.holder.instance,
                    "a lock is held otherwise than expected");
            }
            Some(Input::LocksTaken(id, refused))
        }
        Err(Error::NoLease) => Some(Input::LocksNotTaken(id)),
        Err(error) => unanswered("take", &error),
    }
}

pub(super) async fn release(
    coordinator: Arc<dyn Coordinator>,
    candidacy: CandidacyId,
    id: LockCallId,
    locks: Vec<HeldLock>,
) -> Option<Input> {
    match coordinator.locks()?.release(candidacy, &locks).await {
        Ok(()) => Some(Input::LocksReleased(id)),
        Err(error) => unanswered("release", &error),
    }
}

fn unanswered(what: &'static str, error: &Error) -> Option<Input> {
    let told = "the coordinator does not do what it is asked about locks; asking again";
    match error {
        // A node without its coordinator says so once, and asks often.
        Error::NotLeading(_) | Error::Unreachable(_) => tracing::debug!(what, %error, "{told}"),
        Error::NoLease | Error::Refused(_) => tracing::warn!(what, %error, "{told}"),
    }
    None
}
