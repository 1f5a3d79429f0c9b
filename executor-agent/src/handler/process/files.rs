//! The files through which a process task answers: its result, and lines of progress.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::handler::result;
use crate::handler::secrets::Mask;
use crate::session::{Failure, Task};

/// Bytes of progress that are read at a time: only the last line counts.
const MAX_PROGRESS: u64 = 64 << 10;

/// A task's folder; it goes with this value.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Hides what the task was given and must not give away.
    mask: Mask,
    /// Bytes of the progress file that have been read.
    read: Mutex<u64>,
}

impl Files {
    pub(super) fn create(parent: &Path, task: &Task, mask: Mask) -> io::Result<Self> {
        let folder = parent.join(task.key.to_string());
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, mask, read: Mutex::new(0) })
    }

    pub(super) fn mask(&self) -> &Mask {
        &self.mask
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
        let file = match File::open(self.result_path()) {
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
        let mut file = File::open(self.progress_path()).ok()?;
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

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left goes when the next instance of the agent cleans up.
        let _ = fs::remove_dir_all(&self.folder);
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
