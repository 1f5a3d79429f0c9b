//! The coordinator of a node without etcd: whoever holds the lock on the ledger leads, until its process ends
//! (PROTOCOL.md, rule 16). Of a ledger in a file the lock is a file beside it, which the kernel gives back when the
//! process dies, however it dies. Another ledger brings its own.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use scheduler_core::engine::CandidacyId;
use scheduler_core::ids::AgentInstance;
use scheduler_core::txn::Election;

use crate::{Coordinator, Error, Locks, News, Peer, Proof};

/// A lock can outlive its process for a moment: a child that it had forked, and that has not come to its exec yet, has
/// it too. So whoever starts a killed server again at once must not be turned away at the first try. Together 2 s.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Why a ledger cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the ledger {ledger} is in use by {holder}")]
    Held { ledger: PathBuf, holder: String },
    #[error("cannot lock the ledger {ledger}: {source}")]
    Io { ledger: PathBuf, source: std::io::Error },
}

/// The lock on a ledger, which nobody else has while this lives, as long as it can be had at all.
#[async_trait]
pub trait Lock: Send + Sync {
    /// Whether it was held at some instant after the call.
    async fn prove(&self) -> Result<(), Error>;
}

/// Leads while it has the lock.
pub struct Local {
    lock: Box<dyn Lock>,
    leading: Mutex<Option<CandidacyId>>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("leading", &self.leading).finish_non_exhaustive()
    }
}

/// The file is locked while it is open.
struct Locked(#[expect(dead_code, reason = "it is closed when it is dropped")] File);

#[async_trait]
impl Lock for Locked {
    async fn prove(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Local {
    /// Takes the lock on a ledger, a file beside it; `holder` is what another process will be told of us. Blocks for
    /// up to 2 s while somebody else has it.
    pub fn lock(ledger: &Path, holder: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { ledger: ledger.to_owned(), source };
        let mut path = ledger.as_os_str().to_owned();
        path.push(".lock");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let mut tries = TRIES;
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno != Errno::WOULDBLOCK {
                return Err(failed(errno.into()));
            }
            tries -= 1;
            if tries == 0 {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                return Err(LockError::Held { ledger: ledger.to_owned(), holder: named(&holder) });
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(holder.as_bytes()).map_err(failed)?;
        Ok(Self::over(Locked(file)))
    }

    /// Leads by a lock that has been taken.
    pub fn over(lock: impl Lock + 'static) -> Self {
        Self { lock: Box::new(lock), leading: Mutex::new(None) }
    }
}

impl Local {
    fn leading(&self) -> MutexGuard<'_, Option<CandidacyId>> {
        self.leading.lock().expect("because nobody panics while holding it")
    }

    fn leads(&self, candidacy: CandidacyId) -> Result<(), Error> {
        if *self.leading() == Some(candidacy) {
            return Ok(());
        }
        Err(Error::NotLeading("it has not campaigned, or has resigned".to_owned()))
    }
}

/// A process that has just taken the lock may not have written its name yet.
fn named(holder: &str) -> String {
    if holder.is_empty() { "another process".to_owned() } else { holder.to_owned() }
}

#[async_trait]
impl Coordinator for Local {
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// Nobody else can have the lock.
    async fn campaign(&self, candidacy: CandidacyId) -> Result<Option<Election>, Error> {
        self.lock.prove().await?;
        *self.leading() = Some(candidacy);
        Ok(None)
    }

    async fn keep_alive(&self, candidacy: CandidacyId) -> Result<(), Error> {
        self.leads(candidacy)
    }

    async fn prove(&self, candidacy: CandidacyId, _: &[AgentInstance]) -> Result<Proof, Error> {
        self.leads(candidacy)?;
        self.lock.prove().await?;
        Ok(Proof::default())
    }

    /// There is no other node.
    async fn bury(&self, _: &Peer) -> Result<bool, Error> {
        Ok(false)
    }

    fn locks(&self) -> Option<&dyn Locks> {
        None
    }

    /// The lock stays with the process.
    async fn resign(&self, candidacy: CandidacyId) {
        self.leading().take_if(|leading| *leading == candidacy);
    }

    /// Nobody takes leadership away, and nobody else is there.
    async fn news(&self) -> News {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_has_the_ledger() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = directory.path().join("ledger.db");
        let first = Local::lock(&ledger, "server a, pid 1, at 127.0.0.1:7117").unwrap();
        let refused = Local::lock(&ledger, "server b").unwrap_err();
        assert!(refused.to_string().ends_with("is in use by server a, pid 1, at 127.0.0.1:7117"), "{refused}");
        drop(first);
        Local::lock(&ledger, "server b").unwrap();
    }

    #[test]
    fn a_lock_that_a_dying_process_has_for_a_moment_longer_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = directory.path().join("ledger.db");
        let first = Local::lock(&ledger, "a killed server's child").unwrap();
        let (is_waiting, waits) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            is_waiting.send(()).unwrap();
            Local::lock(&ledger, "its successor")
        });
        waits.recv().unwrap();
        drop(first);
        second.join().unwrap().unwrap();
    }
}
