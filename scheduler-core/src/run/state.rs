//! The state machines of runs and attempts. Every legal transition is in one of two matches.

use crate::text_enum::text_enum;

text_enum! {
    /// A run's state.
    RunState {
        /// Waits: for its time, a slot, an agent, its agent's word that it started, or the next attempt.
        Pending = "PENDING",
        Running = "RUNNING",
        Succeeded = "SUCCEEDED",
        Failed = "FAILED",
        TimedOut = "TIMED_OUT",
        Cancelled = "CANCELLED",
        /// A recorded non-run: due, and not entered to run.
        Skipped = "SKIPPED",
        /// A recorded non-run: found due too late.
        Missed = "MISSED",
        /// Waited longer than `start_deadline`.
        Expired = "EXPIRED",
    }
}

text_enum! {
    /// An attempt's state.
    AttemptState {
        /// Handed out; its agent has not said yet that it started.
        Pending = "PENDING",
        Running = "RUNNING",
        Succeeded = "SUCCEEDED",
        Failed = "FAILED",
        TimedOut = "TIMED_OUT",
        Cancelled = "CANCELLED",
        /// Its agent is gone, or stopped it for want of the right to run, or never got it.
        Lost = "LOST",
    }
}

/// What happens to an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttemptEvent {
    Started,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    Lost,
}

impl AttemptEvent {
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Cancelled, Self::Lost];
}

/// What happens to a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunEvent {
    /// Its attempt started.
    Started,
    /// Its attempt ended, and another will follow.
    WillRetry,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    /// Its job was paused or changed before it was handed out.
    Skipped,
    /// Its `start_deadline` passed.
    Expired,
}

impl RunEvent {
    pub const ALL: [Self; 8] = [
        Self::Started,
        Self::WillRetry,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Skipped,
        Self::Expired,
    ];
}

/// An event that the state has no transition for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} is no event of a {kind} that is {state}")]
pub struct IllegalTransition {
    pub kind: &'static str,
    pub state: &'static str,
    pub event: String,
}

impl RunState {
    /// Whether nothing can happen to the run any more.
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded
            | Self::Failed
            | Self::TimedOut
            | Self::Cancelled
            | Self::Skipped
            | Self::Missed
            | Self::Expired => true,
        }
    }

    /// The state after `event`.
    pub fn on(self, event: RunEvent) -> Result<Self, IllegalTransition> {
        use RunEvent as E;
        match (self, event) {
            (Self::Pending, E::Started) => Ok(Self::Running),
            // A report of the end may be the first that is heard of an attempt.
            (Self::Pending | Self::Running, E::WillRetry) => Ok(Self::Pending),
            (Self::Pending | Self::Running, E::Succeeded) => Ok(Self::Succeeded),
            (Self::Pending | Self::Running, E::Failed) => Ok(Self::Failed),
            (Self::Pending | Self::Running, E::TimedOut) => Ok(Self::TimedOut),
            (Self::Pending | Self::Running, E::Cancelled) => Ok(Self::Cancelled),
            (Self::Pending, E::Skipped) => Ok(Self::Skipped),
            (Self::Pending, E::Expired) => Ok(Self::Expired),
            (Self::Running, E::Started | E::Skipped | E::Expired)
            | (
                Self::Succeeded
                | Self::Failed
                | Self::TimedOut
                | Self::Cancelled
                | Self::Skipped
                | Self::Missed
                | Self::Expired,
                E::Started
                | E::WillRetry
                | E::Succeeded
                | E::Failed
                | E::TimedOut
                | E::Cancelled
                | E::Skipped
                | E::Expired,
            ) => Err(IllegalTransition { kind: "run", state: self.as_str(), event: format!("{event:?}") }),
        }
    }
}

impl AttemptState {
    /// Whether the attempt holds nothing any more: no slot of its job, no slot of its agent.
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Lost => true,
        }
    }

    /// The state after `event`.
    pub fn on(self, event: AttemptEvent) -> Result<Self, IllegalTransition> {
        use AttemptEvent as E;
        match (self, event) {
            (Self::Pending, E::Started) => Ok(Self::Running),
            (Self::Pending | Self::Running, E::Succeeded) => Ok(Self::Succeeded),
            (Self::Pending | Self::Running, E::Failed) => Ok(Self::Failed),
            (Self::Pending | Self::Running, E::TimedOut) => Ok(Self::TimedOut),
            (Self::Pending | Self::Running, E::Cancelled) => Ok(Self::Cancelled),
            (Self::Pending | Self::Running, E::Lost) => Ok(Self::Lost),
            (Self::Running, E::Started)
            | (
                Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Lost,
                E::Started | E::Succeeded | E::Failed | E::TimedOut | E::Cancelled | E::Lost,
            ) => Err(IllegalTransition { kind: "attempt", state: self.as_str(), event: format!("{event:?}") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_run_never_changes_and_an_unended_one_can_always_end() {
        for state in RunState::ALL {
            let legal = RunEvent::ALL.iter().filter(|event| state.on(**event).is_ok()).count();
            assert_eq!(legal == 0, state.is_ended(), "{state}");
            assert_eq!(state.on(RunEvent::Cancelled).is_ok(), !state.is_ended(), "{state}");
        }
    }

    #[test]
    fn a_running_run_is_never_skipped_or_expired() {
        assert!(RunState::Running.on(RunEvent::Skipped).is_err());
        assert!(RunState::Running.on(RunEvent::Expired).is_err());
    }

    #[test]
    fn an_ended_attempt_never_changes_and_an_unended_one_can_always_be_lost() {
        for state in AttemptState::ALL {
            let legal = AttemptEvent::ALL.iter().filter(|event| state.on(**event).is_ok()).count();
            assert_eq!(legal == 0, state.is_ended(), "{state}");
            assert_eq!(state.on(AttemptEvent::Lost).is_ok(), !state.is_ended(), "{state}");
        }
    }
}
