//! A task's folder, with the files through which it answers: its result, and lines of progress.
//!
//! The task may do there what it wants, and the agent may be allowed more than the task: so the agent reads regular
//! files of the task's own user only, follows no link, and waits for no pipe.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::handler::result;
use crate::handler::secrets::Mask;
use crate::isolation::{Confinement, User, remove_tree};
use crate::session::{Failure, Task};

/// Bytes of progress that are read at a time: only the last line counts.
const MAX_PROGRESS: u64 = 64 << 10;

/// Where a task with a folder of its own starts.
const WORK: &str = "work";

/// A task's folder; it goes with this value.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Hides what the task was given and must not give away.
    mask: Mask,
    has_work_dir: bool,
    /// Whose files are read; `None`: anybody's.
    owner: Option<u32>,
    /// Bytes of the progress file that have been read.
    read: Mutex<u64>,
}

impl Files {
    /// In the folder of the confinement, if it has one, else in `parent`.
    pub(super) fn create(parent: &Path, confinement: &Confinement, task: &Task, mask: Mask) -> io::Result<Self> {
        let parent = confinement.work_dir.as_deref().unwrap_or(parent);
        let folder = parent.join(task.key.to_string());
        let files = Self {
            folder,
            has_work_dir: confinement.work_dir.is_some(),
            owner: confinement.user.as_ref().map(|user| user.identity.uid),
            mask,
            read: Mutex::new(0),
        };
        files.make(&files.folder, confinement.user.as_ref())?;
        if files.has_work_dir {
            files.make(&files.folder.join(WORK), confinement.user.as_ref())?;
        }
        Ok(files)
    }

    fn make(&self, folder: &Path, user: Option<&User>) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(folder)?;
        match user {
            Some(user) => chown(folder, Some(user.identity.uid), Some(user.identity.gid)),
            None => Ok(()),
        }
    }

    pub(super) fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The folder that the task has to itself, if it has one.
    pub(super) fn working_dir(&self) -> Option<String> {
        self.has_work_dir.then(|| self.path(WORK))
    }

    pub(super) fn result_path(&self) -> String {
        self.path("result.json")
    }

    pub(super) fn progress_path(&self) -> String {
        self.path("progress")
    }

    /// The result as JSON; empty when the task wrote none.
    pub(super) fn result(&self) -> Result<Vec<u8>, Failure> {
        let invalid = |message: String| Failure::new("RESULT_INVALID", message);
        let file = match self.open("result.json") {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(invalid(format!("the result file cannot be read: {error}"))),
        };
        let mut json = Vec::new();
        file.take(result::MAX_BYTES as u64 + 1)
            .read_to_end(&mut json)
            .map_err(|error| invalid(format!("the result file cannot be read: {error}")))?;
        if json.len() > result::MAX_BYTES {
            return Err(invalid(format!("the result is larger than {} bytes", result::MAX_BYTES)));
        }
        if json.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        let value =
            serde_json::from_slice(&json).map_err(|error| invalid(format!("the result file is not JSON: {error}")))?;
        if self.mask.is_empty() { Ok(json) } else { Ok(self.mask.json(value).to_string().into_bytes()) }
    }

    /// The last whole line of progress that has not been read.
    pub(super) fn new_progress(&self) -> Option<(f64, String)> {
        let mut read = self.read.lock().expect("because no holder panics");
        let mut file = self.open("progress").ok()?;
        let length = file.metadata().ok()?.len();
        // A file that was written anew is read anew.
        let from = if length < *read { 0 } else { *read }.max(length.saturating_sub(MAX_PROGRESS));
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut text = Vec::new();
        file.take(MAX_PROGRESS).read_to_end(&mut text).ok()?;
        let whole = text.iter().rposition(|byte| *byte == b'\n')? + 1;
        *read = from + whole as u64;
        let (percent, message) = String::from_utf8_lossy(&text[..whole]).lines().rev().find_map(parse_progress)?;
        Some((percent, self.mask.text(&message)))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).expect("because the flags of open are an int");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.folder.join(name))?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if self.owner.is_some_and(|owner| owner != found.uid()) {
            return Err(io::Error::other("it does not belong to the user that tasks run as"));
        }
        Ok(file)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.folder) {
            // It goes when the next instance of the agent cleans up.
            tracing::warn!(folder = %self.folder.display(), %error, "a task's folder could not be removed");
        }
    }
}

fn parse_progress(line: &str) -> Option<(f64, String)> {
    let (percent, message) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let percent: f64 = percent.trim_end_matches('%').parse().ok()?;
    percent.is_finite().then(|| (percent, message.trim_start().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines_are_percent_and_text() {
        assert_eq!(parse_progress("42.5 copying  files"), Some((42.5, "copying  files".to_owned())));
        assert_eq!(parse_progress("100%"), Some((100.0, String::new())));
        assert_eq!(parse_progress("soon"), None);
        assert_eq!(parse_progress("NaN x"), None);
    }
}
