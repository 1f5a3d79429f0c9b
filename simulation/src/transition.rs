//! What states may do, taken from where it is declared: the matches of `run::state` and the enums of states and changes.
//! The seeds must meet all of it, and nothing else.

use std::fmt;

use scheduler_core::job::JobState;
use scheduler_core::run::{AttemptEvent, AttemptState, RunEvent, RunState};
use scheduler_core::txn::Change;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transition {
    RunEntered(RunState),
    /// Each event of a run leads to a state of its own, so that the state names the event.
    Run(RunState, RunState),
    HandedOut(AttemptState),
    Attempt(AttemptState, AttemptState),
    JobCreated,
    /// A job that was shown in this state, and the change.
    Job(JobState, Change),
}

impl Transition {
    /// All that are legal.
    pub fn legal() -> Vec<Self> {
        let mut legal: Vec<Self> =
            RunState::ALL.iter().copied().filter(|state| is_entered(*state)).map(Self::RunEntered).collect();
        for state in RunState::ALL {
            let next = RunEvent::ALL.iter().filter_map(|event| state.on(*event).ok());
            legal.extend(next.map(|next| Self::Run(*state, next)));
        }
        legal.push(Self::HandedOut(AttemptState::Pending));
        for state in AttemptState::ALL {
            let next = AttemptEvent::ALL.iter().filter_map(|event| state.on(*event).ok());
            legal.extend(next.map(|next| Self::Attempt(*state, next)));
        }
        legal.push(Self::JobCreated);
        for state in JobState::ALL {
            let changes = Change::ALL.iter().filter(|change| can_change(*state, **change));
            legal.extend(changes.map(|change| Self::Job(*state, *change)));
        }
        legal
    }
}

/// Which states a run's row can begin with.
fn is_entered(state: RunState) -> bool {
    match state {
        // One that a later fire displaces at once, under CANCEL_RUNNING, is entered as cancelled.
        RunState::Pending | RunState::Skipped | RunState::Missed | RunState::Cancelled => true,
        RunState::Running | RunState::Succeeded | RunState::Failed | RunState::TimedOut | RunState::Expired => false,
    }
}

fn can_change(state: JobState, change: Change) -> bool {
    match (state, change) {
        (JobState::Deleted, Change::Undelete) => true,
        // A job is created once, and what is deleted can only be brought back.
        (_, Change::Create | Change::Undelete) | (JobState::Deleted, _) => false,
        (
            JobState::Active | JobState::Paused | JobState::Disabled | JobState::Completed,
            Change::Update | Change::Restore | Change::Delete | Change::Pause | Change::Calendar,
        )
        | (JobState::Paused | JobState::Disabled, Change::Resume)
        | (JobState::Disabled, Change::Enable)
        | (JobState::Active | JobState::Paused | JobState::Completed, Change::Disable) => true,
        // Nothing would change.
        (JobState::Active | JobState::Completed, Change::Resume | Change::Enable)
        | (JobState::Paused, Change::Enable)
        | (JobState::Disabled, Change::Disable) => false,
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunEntered(state) => write!(f, "run entered {state}"),
            Self::Run(from, to) => write!(f, "run {from} to {to}"),
            Self::HandedOut(state) => write!(f, "attempt handed out {state}"),
            Self::Attempt(from, to) => write!(f, "attempt {from} to {to}"),
            Self::JobCreated => f.write_str("job created"),
            Self::Job(state, change) => write!(f, "job {state}, {change}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_event_leads_to_a_state_of_its_own() {
        let legal = Transition::legal();
        let distinct: BTreeSet<_> = legal.iter().collect();
        assert_eq!(legal.len(), distinct.len());
    }
}
