//! One attempt from its Assign to its last acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use punctual_proto::v1::TaskError;
use punctual_proto::v1::report::Finished;
use punctual_proto::v1::report::finished::Outcome;

use super::logs::Logs;
use super::reports::Reports;
use super::task::{Completion, Task};
use crate::time::Boot;

/// Bytes of an error message that are passed on.
const MAX_MESSAGE: usize = 4096;

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) task: Arc<Task>,
    pub(super) in_process: bool,
    pub(super) phase: Phase,
    pub(super) stop: Option<Stop>,
    pub(super) reports: Reports,
    pub(super) logs: Logs,
    /// The instant in the session's timers that is this attempt's.
    pub(super) timer: Option<Boot>,
    /// Whether it stands in the queue of attempts that have something to send.
    pub(super) queued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its instant has not come.
    Waiting { start_at: Boot, timeout: Option<Duration> },
    /// The shell has been told to start it.
    Running { deadline: Option<Boot> },
    /// It has ended; reports or logs are left.
    Ended,
}

/// Why an attempt is being ended. A later reason never replaces an earlier one, but for [`Why::Lost`], which replaces all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Cancelled,
    TimedOut,
    AgentStopped,
    Lost,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) why: Why,
    pub(super) kill_at: Boot,
    pub(super) killed: bool,
    /// Set with the kill of a task in this process.
    pub(super) abort_at: Option<Boot>,
}

impl Attempt {
    pub(super) fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether its last report was acknowledged, or it has none left to send.
    pub(super) fn is_reported(&self) -> bool {
        self.is_ended() && !self.reports.is_finish_unsent() && self.reports.unacknowledged().next().is_none()
    }

    /// The next instant at which something is to be done about it, the right to run aside.
    pub(super) fn next_timer(&self) -> Option<Boot> {
        let own = match (self.phase, self.stop) {
            (Phase::Ended, _) => None,
            (Phase::Waiting { start_at, .. }, _) => Some(start_at),
            (Phase::Running { deadline }, None) => deadline,
            (Phase::Running { .. }, Some(stop)) if stop.killed => stop.abort_at,
            (Phase::Running { .. }, Some(stop)) => Some(stop.kill_at),
        };
        [own, self.reports.started_due()].into_iter().flatten().min()
    }

    /// Files the last report, for a task that ended or was never started.
    pub(super) fn end(&mut self, time: Timestamp, finished: Finished) {
        self.phase = Phase::Ended;
        self.logs.finish(self.task.key, time);
        self.reports.finished(time, finished);
    }
}

/// The last report of an attempt: what its handler says, unless it was ended from outside.
pub(super) fn finished(why: Option<Why>, completion: Completion) -> Finished {
    let exit_code = completion.exit_code;
    let Some(why) = why else {
        return match completion.result {
            Ok(result) => Finished { outcome: Outcome::Succeeded.into(), result, exit_code, ..Finished::default() },
            Err(failure) => Finished {
                outcome: Outcome::Failed.into(),
                error: Some(TaskError { code: failure.code, message: shorten(failure.message) }),
                retryable: Some(failure.retryable),
                exit_code,
                ..Finished::default()
            },
        };
    };
    Finished { exit_code, ..stopped(why) }
}

/// The last report of an attempt that was ended from outside.
pub(super) fn stopped(why: Why) -> Finished {
    let (outcome, error) = match why {
        Why::Cancelled => (Outcome::Cancelled, None),
        Why::TimedOut => (Outcome::TimedOut, Some(("TIMEOUT", "the task ran longer than its timeout and was stopped"))),
        Why::Lost => {
            (Outcome::Lost, Some(("RIGHT_TO_RUN_ENDED", "the agent heard from no leader in time and stopped the task")))
        }
        Why::AgentStopped => (Outcome::Lost, Some(("AGENT_STOPPED", "the agent was told to stop at once"))),
    };
    let error = error.map(|(code, message)| TaskError { code: code.to_owned(), message: message.to_owned() });
    Finished { outcome: outcome.into(), error, ..Finished::default() }
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}
