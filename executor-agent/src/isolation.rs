//! What keeps process tasks away from the agent, and within bounds: another user, a folder of their own, limits. Without
//! another user a task may do whatever the agent may, but for reading the agent's own secrets.

mod hidden;
mod limits;
mod user;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use uuid::Uuid;

pub(crate) use self::hidden::{Hidden, Hiding};
pub use self::limits::TaskLimits;
pub use self::user::UserError;
pub(crate) use self::user::{Identity, User};

/// How process tasks are isolated. Default: from the agent's secrets only.
#[derive(Clone, Debug, Default)]
pub struct Isolation {
    /// `USER` or `USER:GROUP`, by name or number, that tasks run as. Only for an agent that runs as root, and with a
    /// `work_dir`.
    pub run_as: Option<String>,
    /// Each attempt gets an empty folder below this one, which is where it starts and which is gone after it.
    pub work_dir: Option<PathBuf>,
    /// What each process of a task may use up.
    pub limits: TaskLimits,
    /// Tasks may read the agent's own secrets, if its user can: the files of its token and of its certificate's key.
    pub trust_tasks: bool,
}

/// Why tasks cannot be isolated in this way.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    #[error(transparent)]
    User(#[from] UserError),
    #[error("--run-as needs --work-dir: another user's tasks have no way into the agent's own folder")]
    NoWorkDir,
    #[error("--task-processes needs --run-as: the system counts a user's processes, and those of root without limit")]
    UncountedProcesses,
    #[error(
        "{}: process tasks could read it, and this kernel has no Landlock to keep them from that: run them as another user \
         (--run-as), or say that you --trust-tasks with it",
        .0.display()
    )]
    Readable(PathBuf),
    #[error("{file}: {error}", file = file.display())]
    Path { file: PathBuf, error: io::Error },
    #[error("{0}: at least {1}")]
    TooLow(&'static str, &'static str),
    #[error("--work-dir {folder}: {error}")]
    WorkDir { folder: String, error: io::Error },
}

/// An [`Isolation`] that has been found possible, for one instance of an agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confinement {
    pub(crate) user: Option<User>,
    /// Where the folders of this instance's attempts go; `None`: in the agent's own folder, and tasks start elsewhere.
    pub(crate) work_dir: Option<PathBuf>,
    pub(crate) limits: TaskLimits,
    pub(crate) hiding: Hiding,
}

impl Isolation {
    /// Checks it, makes the folders, and removes those of instances that are gone.
    pub(crate) fn take(&self, instance: Uuid, gone: &[Uuid]) -> Result<Confinement, IsolationError> {
        self.limits.check()?;
        let user = self.run_as.as_deref().map(User::look_up).transpose()?;
        if user.is_some() && self.work_dir.is_none() {
            return Err(IsolationError::NoWorkDir);
        }
        if self.limits.processes.is_some() && user.is_none() {
            return Err(IsolationError::UncountedProcesses);
        }
        let work_dir = self.work_dir.as_deref().map(|folder| {
            let prepared = prepare(folder, instance, gone);
            prepared.map_err(|error| IsolationError::WorkDir { folder: folder.display().to_string(), error })
        });
        Ok(Confinement { user, work_dir: work_dir.transpose()?, limits: self.limits, hiding: Hiding::default() })
    }

    /// What of the agent's secrets is hidden from its process tasks.
    pub(crate) fn hide(&self, secrets: &[PathBuf], is_possible: bool) -> Result<Hiding, IsolationError> {
        let secrets: Vec<PathBuf> = secrets.iter().filter(|path| stays(path)).cloned().collect();
        let Some(first) = secrets.first() else { return Ok(Hiding::default()) };
        if self.trust_tasks {
            tracing::warn!("--trust-tasks: process tasks can read {} if this agent's user can", listed(&secrets));
            return Ok(Hiding::default());
        }
        match (is_possible, &self.run_as) {
            (true, _) => {}
            // They are another user's.
            (false, Some(_)) => return Ok(Hiding::default()),
            (false, None) => return Err(IsolationError::Readable(first.clone())),
        }
        if self.run_as.is_none() && geteuid().is_root() {
            tracing::warn!(
                "process tasks run as root: they cannot read {}, but who is root has other ways to it: --run-as USER",
                listed(&secrets)
            );
        }
        Hiding::new(secrets.iter().cloned()).map_err(|error| IsolationError::Path { file: first.clone(), error })
    }
}

/// What came over a pipe is not there to be read again, and its name means something else to every process.
fn stays(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir())
}

fn listed(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The instance's folder: tasks may pass through to their own, and see nothing of the others'.
fn prepare(folder: &Path, instance: Uuid, gone: &[Uuid]) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
    let folder = folder.canonicalize()?;
    let found = fs::metadata(&folder)?;
    if found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        let why = format!(
            "{}: others could put their own in place of what is in it: it must be the agent's user's alone to \
             write",
            folder.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    for gone in gone {
        remove_tree(&folder.join(gone.to_string()))?;
    }
    let own = folder.join(instance.to_string());
    fs::create_dir(&own)?;
    fs::set_permissions(&own, Permissions::from_mode(0o711))?;
    Ok(own)
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(isolation: &Isolation) -> String {
        isolation.take(Uuid::now_v7(), &[]).expect_err("refused").to_string()
    }

    #[test]
    fn what_would_not_isolate_is_refused() {
        let run_as = Isolation { run_as: Some("no-such-user-here".to_owned()), ..Isolation::default() };
        assert!(refusal(&run_as).contains("--run-as"));
        let limits = TaskLimits { processes: Some(5), ..TaskLimits::default() };
        assert!(refusal(&Isolation { limits, ..Isolation::default() }).contains("--run-as"));
        let limits = TaskLimits { memory: Some(1), ..TaskLimits::default() };
        assert!(refusal(&Isolation { limits, ..Isolation::default() }).contains("--task-memory"));
    }

    #[test]
    fn an_agent_that_cannot_hide_its_token_does_not_start_unless_told_so() {
        let secrets = [PathBuf::from("/etc/punctual/agent.token")];
        let (bare, trusting) = (Isolation::default(), Isolation { trust_tasks: true, ..Isolation::default() });
        let refused = bare.hide(&secrets, false).expect_err("refused").to_string();
        assert!(refused.contains("agent.token") && refused.contains("--trust-tasks"), "{refused}");
        for nothing in [&[][..], &["/dev/null".into()]] {
            assert!(bare.hide(nothing, false).expect("there is nothing to hide").is_empty());
        }
        assert!(trusting.hide(&secrets, false).expect("told so").is_empty());
        assert!(!bare.hide(&secrets, true).expect("possible").is_empty());
        let other = Isolation { run_as: Some("nobody".to_owned()), ..Isolation::default() };
        assert!(other.hide(&secrets, false).expect("the files are closed to it").is_empty());
    }

    #[test]
    fn a_work_dir_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let isolation = Isolation { work_dir: Some(folder.path().to_owned()), ..Isolation::default() };
        for (mode, is_taken) in [(0o711, true), (0o731, false), (0o713, false), (0o1777, false), (0o755, true)] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).expect("its own");
            let taken = isolation.take(Uuid::now_v7(), &[]);
            assert_eq!(taken.is_ok(), is_taken, "{mode:o}");
            if let Err(refused) = taken {
                assert!(refused.to_string().contains("--work-dir"), "{refused}");
            }
        }
    }

    #[test]
    fn what_an_instance_that_is_gone_has_left_is_removed_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let isolation = Isolation { work_dir: Some(folder.path().to_owned()), ..Isolation::default() };
        let (gone, other) = (Uuid::now_v7(), Uuid::now_v7());
        for instance in [gone, other] {
            fs::create_dir_all(folder.path().join(instance.to_string()).join("attempt")).expect("made");
        }
        let confinement = isolation.take(Uuid::now_v7(), &[gone]).expect("possible");
        assert!(confinement.work_dir.expect("asked for").is_dir());
        assert!(!folder.path().join(gone.to_string()).exists());
        assert!(folder.path().join(other.to_string()).exists(), "an agent that lives may use it");
    }
}
