//! The agent's state folder: who it is, and the proof that earlier instances are gone.
//!
//! ```text
//! lock                   held by the living agent; contains its process id
//! instance               its instance
//! instances/<uuid>.lock  held by that instance and by the supervisors of its tasks
//! instances/<uuid>/      the files of its tasks
//! ```
//!
//! Who can lock an earlier instance's file knows that its agent and all its supervisors are gone, and so its tasks. Locks
//! are of the open file, so a supervisor that was handed it holds it too, and the kernel lets go with the last holder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

/// How long supervisors of an instance that was just killed get to kill their tasks, before it counts as not proved gone.
const SUPERVISORS_END_IN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Proofs that are kept for a leader, the newest: an agent that does not stay up cannot hand them over, and each of its
/// instances leaves one more. What is older was lost by time long ago.
const MAX_PROOFS: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct StateDir {
    instances: PathBuf,
    instance: Uuid,
    lock: Arc<OwnedFd>,
    proved_gone: Vec<Uuid>,
    _folder_lock: File,
}

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[error(
        "the state folder {folder} is in use by the agent with process id {pid}: give this one another --id or --state-dir"
    )]
    InUse { folder: String, pid: String },
    #[error("the state folder {folder} cannot be used: {error}")]
    Io { folder: String, error: io::Error },
}

impl StateDir {
    /// Takes the folder for a new instance. Blocks for up to a second while an instance that was just killed ends.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateDirError> {
        let shown = || folder.display().to_string();
        let in_words = |error| StateDirError::Io { folder: shown(), error };
        let instances = folder.join("instances");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&instances).map_err(in_words)?;
        // No task that runs as another user has any business here, whoever made the folder.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(in_words)?;
        // Paths are given to tasks, which may work elsewhere.
        let instances = instances.canonicalize().map_err(in_words)?;
        let Some(folder_lock) = try_lock(&folder.join("lock")).map_err(in_words)? else {
            let pid = fs::read_to_string(folder.join("lock")).unwrap_or_default();
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(StateDirError::InUse { folder: shown(), pid });
        };
        Self::take(folder, instances, folder_lock).map_err(in_words)
    }

    fn take(folder: &Path, instances: PathBuf, mut folder_lock: File) -> io::Result<Self> {
        folder_lock.set_len(0)?;
        writeln!(folder_lock, "{}", std::process::id())?;
        let mut proved_gone = prove_gone(&instances)?;
        for gone in &proved_gone {
            remove_dir(&instances.join(gone.to_string()))?;
        }
        // By age: their names begin with it.
        proved_gone.sort();
        for old in proved_gone.drain(..proved_gone.len().saturating_sub(MAX_PROOFS)) {
            fs::remove_file(lock_path(&instances, old))?;
        }
        let instance = Uuid::now_v7();
        let lock =
            try_lock(&lock_path(&instances, instance))?.ok_or_else(|| io::Error::other("a new file is locked"))?;
        fs::write(folder.join("instance"), format!("{instance}\n"))?;
        fs::create_dir_all(instances.join(instance.to_string()))?;
        Ok(Self { instances, instance, lock: Arc::new(lock.into()), proved_gone, _folder_lock: folder_lock })
    }

    pub(crate) fn instance(&self) -> Uuid {
        self.instance
    }

    /// What supervisors hold too.
    pub(crate) fn lock(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.lock)
    }

    /// Where the files of this instance's tasks go.
    pub(crate) fn tasks(&self) -> PathBuf {
        self.instances.join(self.instance.to_string())
    }

    pub(crate) fn proved_gone(&self) -> &[Uuid] {
        &self.proved_gone
    }

    /// No leader needs the proofs any more.
    pub(crate) fn forget_proofs(&mut self) {
        for gone in self.proved_gone.drain(..) {
            if let Err(error) = fs::remove_file(lock_path(&self.instances, gone)) {
                tracing::warn!(instance = %gone, %error, "the lock file of an earlier instance could not be removed");
            }
        }
    }
}

fn lock_path(instances: &Path, instance: Uuid) -> PathBuf {
    instances.join(format!("{instance}.lock"))
}

/// The earlier instances whose locks nobody holds.
fn prove_gone(instances: &Path) -> io::Result<Vec<Uuid>> {
    let mut open: Vec<Uuid> = Vec::new();
    for entry in fs::read_dir(instances)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".lock"));
        open.extend(stem.and_then(|stem| Uuid::try_parse(stem).ok()));
    }
    open.sort();
    let mut gone = Vec::new();
    let mut patience = SUPERVISORS_END_IN;
    loop {
        let mut held = Vec::new();
        for instance in open {
            // Nobody else looks: we hold the folder. So the lock may be let go at once.
            match try_lock(&lock_path(instances, instance))? {
                Some(_) => gone.push(instance),
                None => held.push(instance),
            }
        }
        if held.is_empty() || patience.is_zero() {
            return Ok(gone);
        }
        open = held;
        std::thread::sleep(LOOK_EVERY);
        patience = patience.saturating_sub(LOOK_EVERY);
    }
}

/// The file, locked; none when somebody else holds it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_cannot_share_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateDir::open(folder.path()).expect("free");
        let error = StateDir::open(folder.path()).expect_err("taken").to_string();
        assert!(error.contains(&format!("process id {}", std::process::id())), "{error}");
        drop(first);
        StateDir::open(folder.path()).expect("free again");
    }

    #[test]
    fn an_instance_counts_as_gone_only_when_nothing_holds_its_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateDir::open(folder.path()).expect("free");
        let (gone, supervisor) = (first.instance(), first.lock());
        drop(first);
        let second = StateDir::open(folder.path()).expect("free");
        assert!(second.proved_gone().is_empty(), "a supervisor holds it");
        let next = second.instance();
        drop((second, supervisor));
        let mut third = StateDir::open(folder.path()).expect("free");
        assert_eq!(third.proved_gone(), &[gone, next]);
        third.forget_proofs();
        drop(third);
        let fourth = StateDir::open(folder.path()).expect("free");
        assert_eq!(fourth.proved_gone().len(), 1, "only the third is left to prove");
    }

    #[test]
    fn an_agent_that_never_stays_up_does_not_gather_proofs_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let instances = folder.path().join("instances");
        fs::create_dir(&instances).expect("free");
        for n in 0..MAX_PROOFS as u128 + 7 {
            File::create(lock_path(&instances, Uuid::from_u128(n))).expect("free");
        }
        let state = StateDir::open(folder.path()).expect("free");
        assert_eq!(state.proved_gone().len(), MAX_PROOFS);
        assert_eq!(state.proved_gone()[0], Uuid::from_u128(7), "the oldest go first");
        assert!(!lock_path(&instances, Uuid::from_u128(6)).exists());
    }
}
