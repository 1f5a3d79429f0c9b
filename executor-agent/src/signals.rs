//! Running an agent as what a program is there for, with the signals that end it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::agent::Agent;
use crate::runtime::SessionFailed;

/// Why an agent did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("signals cannot be listened to: {0}")]
    Signals(#[source] io::Error),
    #[error("the agent cannot be started: {0}")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Session(#[from] SessionFailed),
}

impl Agent {
    /// Starts it, and waits until it has left. The first SIGTERM or SIGINT drains it, the next kills its tasks.
    ///
    /// A program with signals of its own [starts](Agent::start) it instead, and says itself when it is to
    /// [drain](crate::Running::drain).
    pub async fn run(self) -> Result<(), RunError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
        let mut running = self.start().map_err(RunError::Start)?;
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                ended = running.ended() => {
                    ended?;
                    info!("this agent has left");
                    return Ok(());
                }
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_draining {
                info!("stopping at once: tasks are killed");
                running.stop();
            } else {
                info!("draining: no new work, tasks are finished; another signal kills them");
                running.drain();
            }
            is_draining = true;
        }
    }
}
