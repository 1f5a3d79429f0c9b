//! The agent's own secrets, which its tasks may not read although they have its rights: the files of its token and of its
//! certificate's key ([ADR 15](../../../docs/adr/0015-tasks-do-not-read-the-agents-secrets.md)).
//!
//! Landlock only allows, so a task may read everything that is beside the way to those files. What comes to be there later
//! is not allowed: a new token that takes the old one's name is hidden from tasks that run already. A process in such a
//! bond reaches into none outside of it either, so that the memory of the agent and of supervisors is closed, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use landlock::{
    AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError,
};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};

/// Folders can be mounted into themselves.
const DEEPEST: usize = 64;

/// What is to be hidden from all tasks of an agent, which remembers what it has seen: a task may give it another name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hiding {
    /// Absolute paths of files and folders.
    paths: BTreeSet<PathBuf>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    spared: Spared,
    /// So that no other file gets the number of one that was deleted.
    kept: BTreeMap<Inode, OwnedFd>,
}

/// What is to be hidden from one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Hidden {
    paths: BTreeSet<PathBuf>,
    spared: Spared,
}

/// A file by what it is rather than by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Inode {
    device: u64,
    number: u64,
}

/// What is not allowed as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Spared {
    hidden: BTreeSet<Inode>,
    /// Folders on the way there.
    on_the_way: BTreeSet<Inode>,
}

impl Hiding {
    /// Takes a first look at them.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let paths = paths.into_iter().map(std::path::absolute).collect::<io::Result<_>>()?;
        let hiding = Self { paths, seen: Arc::default() };
        hiding.look()?;
        Ok(hiding)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// For a task that is started now.
    pub(crate) fn look(&self) -> io::Result<Hidden> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { spared, kept } = &mut *seen;
        for path in &self.paths {
            if let Some((inode, file)) = spared.add(path)? {
                kept.entry(inode).or_insert(file);
            }
        }
        Ok(Hidden { paths: self.paths.clone(), spared: spared.clone() })
    }
}

impl Hidden {
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether this machine's kernel can hide anything.
    pub(crate) fn is_possible() -> bool {
        ruleset().is_ok()
    }

    /// Hides them from this process, and from what it will execute, for good.
    pub(crate) fn hide(&self) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut spared = self.spared.clone();
        for path in &self.paths {
            spared.add(path)?;
        }
        let mut ruleset = ruleset().map_err(io::Error::other)?;
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        spared.allow_the_rest(&mut ruleset, &root, Path::new("/"), 0)?;
        // Files may be moved anywhere but to where more may be read.
        let moves = PathBeneath::new(root, AccessFs::Refer).set_compatibility(CompatLevel::BestEffort);
        let ruleset = ruleset.add_rule(moves).map_err(io::Error::other)?;
        let may_keep_rights = capabilities(None)?.effective.contains(CapabilitySet::SYS_ADMIN);
        ruleset.no_new_privs(!may_keep_rights).restrict_self().map_err(io::Error::other)?;
        Ok(())
    }
}

fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::ReadFile)?
        // Without this right no file is moved from folder to folder; Linux before 5.19 does not know it.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::Refer)?
        .create()
}

impl Inode {
    fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, number: stat.st_ino }
    }
}

impl Spared {
    /// What the path leads to now, and the folders that lead there. Where there is nothing, something may come to be.
    fn add(&mut self, path: &Path) -> io::Result<Option<(Inode, OwnedFd)>> {
        let mut there = path;
        let found = loop {
            match there.canonicalize() {
                Ok(found) => break found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            there = there.parent().ok_or(io::ErrorKind::NotFound)?;
        };
        let mut itself = None;
        if there == path {
            let file = rustix::fs::open(&found, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let inode = Inode::of(&fstat(&file)?);
            self.hidden.insert(inode);
            itself = Some((inode, file));
        }
        let folders = if there == path { found.parent() } else { Some(found.as_path()) };
        for folder in folders.into_iter().flat_map(Path::ancestors) {
            self.on_the_way.insert(Inode::of(&rustix::fs::stat(folder)?));
        }
        Ok(itself)
    }

    fn allow_the_rest(
        &self,
        ruleset: &mut RulesetCreated,
        folder: &OwnedFd,
        name: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let entries = match fs::read_dir(name) {
            Ok(entries) if depth < DEEPEST => entries,
            // What cannot be listed is not allowed.
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // Gone meanwhile, or of a file system that does not answer: then it is not allowed.
            let Ok(file) = openat(folder, entry.file_name(), flags, Mode::empty()) else { continue };
            let stat = fstat(&file)?;
            let inode = Inode::of(&stat);
            // A link's goal is allowed where it is, or not.
            if self.hidden.contains(&inode) || FileType::from_raw_mode(stat.st_mode).is_symlink() {
                continue;
            }
            if self.on_the_way.contains(&inode) {
                self.allow_the_rest(ruleset, &file, &name.join(entry.file_name()), depth + 1)?;
            } else {
                ruleset.add_rule(PathBeneath::new(file, AccessFs::ReadFile)).map_err(io::Error::other)?;
            }
        }
        Ok(())
    }
}
