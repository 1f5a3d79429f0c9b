//! Every enum of the protos that has a twin in the core, both ways, exhaustively: a value that is added on
//! one side only does not compile.

use punctual_proto::v1;
use scheduler_core::agent::LogSource;
use scheduler_core::job::{JobState, OnLost, OverlapPolicy};
use scheduler_core::run::{AttemptState, Reason, RunState, Trigger};
use scheduler_core::schedule::{Gap, Overlap};
use scheduler_core::txn::Change;

macro_rules! twins {
    ($($proto:path, $core:path, $to_proto:ident, $to_core:ident, $unspecified:ident, [$($value:ident),+ $(,)?];)+) => {
        $(
            pub fn $to_proto(value: $core) -> $proto {
                use $core as Core;
                use $proto as Proto;
                match value {
                    $(Core::$value => Proto::$value),+
                }
            }

            /// `None` for the unspecified value.
            pub fn $to_core(value: $proto) -> Option<$core> {
                use $core as Core;
                use $proto as Proto;
                match value {
                    Proto::$unspecified => None,
                    $(Proto::$value => Some(Core::$value)),+
                }
            }
        )+
    };
}

twins! {
    v1::job::State, JobState, proto_job_state, job_state, Unspecified,
        [Active, Paused, Disabled, Completed, Deleted];
    v1::job::OverlapPolicy, OverlapPolicy, proto_overlap_policy, overlap_policy, Unspecified,
        [Skip, Queue, CancelRunning];
    v1::job::OnLost, OnLost, proto_on_lost, on_lost, Unspecified,
        [Retry, Fail];
    v1::schedule::dst::Gap, Gap, proto_gap, gap, Unspecified,
        [NextValid, Skip];
    v1::schedule::dst::Overlap, Overlap, proto_overlap, overlap, Unspecified,
        [First, Last, Both];
    v1::run::State, RunState, proto_run_state, run_state, Unspecified,
        [Pending, Running, Succeeded, Failed, TimedOut, Cancelled, Skipped, Missed, Expired];
    v1::run::Trigger, Trigger, proto_trigger, trigger, Unspecified,
        [Schedule, Manual, Backfill, Retry, AfterJob];
    v1::run::Reason, Reason, proto_reason, reason, Unspecified,
        [
            NotDue, WaitingForSlot, NoAgent, UnknownTaskType, AgentsBusy, BackfillConcurrency, RetryBackoff,
            CoordinatorAway, Late, TooManyDue, JobChanged, LedgerRestored, Overlap, QueueFull, Paused, Disabled,
            Deleted, StartDeadline, CancelledByUser, CancelledByOverlap, TaskFailed, Timeout, AgentLost,
            RightToRunEnded, NotStarted, LockNotTaken, RefusedByAgent, Revoked, RefusedByLedger, Internal,
        ];
    v1::attempt::State, AttemptState, proto_attempt_state, attempt_state, Unspecified,
        [Pending, Running, Succeeded, Failed, TimedOut, Cancelled, Lost];
    v1::run_log_chunk::Stream, LogSource, proto_log_source, log_source, Unspecified,
        [Stdout, Stderr];
}

/// The ledger names what was done, the API what came of it.
pub fn proto_change(change: Change) -> v1::job_revision::Change {
    use v1::job_revision::Change as Proto;
    match change {
        Change::Create => Proto::Created,
        Change::Update => Proto::Updated,
        Change::Pause => Proto::Paused,
        Change::Resume => Proto::Resumed,
        Change::Enable => Proto::Enabled,
        Change::Disable => Proto::Disabled,
        Change::Delete => Proto::Deleted,
        Change::Undelete => Proto::Undeleted,
        Change::Restore => Proto::Restored,
        Change::Calendar => Proto::CalendarChanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_and_proto_spell_every_value_alike() {
        for &value in Reason::ALL {
            assert_eq!(value.as_str(), proto_reason(value).as_str_name());
        }
        for &value in RunState::ALL {
            assert_eq!(value.as_str(), proto_run_state(value).as_str_name());
        }
        for &value in AttemptState::ALL {
            assert_eq!(value.as_str(), proto_attempt_state(value).as_str_name());
        }
        for &value in Trigger::ALL {
            assert_eq!(value.as_str(), proto_trigger(value).as_str_name());
        }
        for &value in JobState::ALL {
            assert_eq!(value.as_str(), proto_job_state(value).as_str_name());
        }
        for &value in OverlapPolicy::ALL {
            assert_eq!(value.as_str(), proto_overlap_policy(value).as_str_name());
        }
        for &value in OnLost::ALL {
            assert_eq!(value.as_str(), proto_on_lost(value).as_str_name());
        }
        for &value in LogSource::ALL {
            assert_eq!(value.as_str(), proto_log_source(value).as_str_name());
        }
    }
}
