//! What tasks wrote themselves about what they did: believed more than the ledger.

use std::fs;
use std::path::{Path, PathBuf};

/// A file to which tasks append lines, each with one write (`echo … >> file` in `sh`).
#[derive(Clone)]
pub struct Witness {
    path: PathBuf,
}

impl Witness {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("witness");
        fs::write(&path, "").expect("because the folder is the test's");
        Self { path }
    }

    /// For scripts.
    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// The words of each whole line.
    pub fn lines(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(&self.path).expect("because it was made");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    }
}

/// Whether a process runs: one that has ended and that nobody has waited for does not.
pub fn lives(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    !status.lines().any(|line| line.starts_with("State:") && line.contains(['Z', 'X']))
}
