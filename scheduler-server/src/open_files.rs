//! Room for connections: each is an open file, and systems allow a program few of them unless it asks.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::Limits;

/// Open files for everything else: the ledger, the log, what runs for a moment.
const RESERVED: u64 = 256;

/// Raises the limit of open files to what the connections need, as far as the system lets us, and lowers the number of
/// connections to what there is room for.
pub(crate) fn make_room(limits: Limits) -> Limits {
    let had = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(limits.connections).unwrap_or(u64::MAX).saturating_add(RESERVED);
    // No more than that: what this process starts inherits it, and some programs close all files that they may have.
    let wanted = wanted.max(had.current.unwrap_or(u64::MAX)).min(had.maximum.unwrap_or(u64::MAX));
    let allowed = match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: had.maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            had.current.unwrap_or(u64::MAX)
        }
    };
    let room = usize::try_from(allowed.saturating_sub(RESERVED)).unwrap_or(usize::MAX).max(1);
    if room < limits.connections {
        tracing::warn!(
            open_files = allowed,
            connections = room,
            "fewer connections than asked for: the system allows no more open files"
        );
    }
    Limits { connections: limits.connections.min(room), ..limits }
}
