//! What the session has to say to people, in words.

use tracing::{info, warn};

use crate::session::Notice;

pub(super) fn log(notice: &Notice) {
    match notice {
        Notice::NoServer { tried, last_error } => {
            let tried = tried.join(", ");
            warn!(%tried, error = %last_error, "no server can be reached: going on trying, and running tasks while the right to run lasts");
        }
        Notice::Welcomed { server, node } => info!(%server, %node, "a leader took this agent on"),
        Notice::AlreadyExists { server, message } => {
            warn!(%server, %message, "another agent with this id is alive: going on trying; give one of them another --id");
        }
        Notice::LeftStaleServer { server } => info!(%server, "left a server that has been deposed"),
        Notice::RightEnding { attempts } => {
            warn!(attempts, "no leader has confirmed this agent for too long: stopping its tasks");
        }
        Notice::ClockWrong { by, ahead } => {
            let side = if *ahead { "ahead of" } else { "behind" };
            let by = by.as_secs_f64();
            warn!(
                "this machine's clock is {by:.3} s {side} the server's, by which tasks start: set it right, with a time service"
            );
        }
        Notice::ClockRight => info!("this machine's clock is the server's again"),
    }
}
