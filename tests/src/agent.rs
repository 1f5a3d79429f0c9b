//! An executor agent of one test.

use std::path::Path;

use crate::{Process, Server};

pub struct Agent {
    pub process: Process,
}

impl Agent {
    /// `executor-agent --id ID`, with its state in `folder`: a second one of the same id and folder is its next instance.
    #[track_caller]
    pub fn start(folder: &Path, id: &str, server: &Server, flags: &[&str]) -> Self {
        let url = server.url();
        let mut args = vec!["--server", &url, "--id", id];
        args.extend(flags);
        Self { process: Process::start(&format!("agent-{id}"), folder, "executor-agent", &args) }
    }
}
