//! An executor agent of one test.

use std::path::Path;

use crate::{Host, Process, Server};

pub struct Agent {
    pub process: Process,
    host: Host,
}

impl Agent {
    /// `executor-agent --id ID`, with its state in `folder`: a second one of the same id and folder is its next instance.
    #[track_caller]
    pub fn start(folder: &Path, id: &str, server: &Server, flags: &[&str]) -> Self {
        Self::at(Host::loopback(), folder, id, server, flags)
    }

    /// The same on a host.
    #[track_caller]
    pub fn at(host: Host, folder: &Path, id: &str, server: &Server, flags: &[&str]) -> Self {
        let url = server.url();
        let mut args = vec!["--server", &url, "--id", id];
        args.extend(flags);
        let process = host.run(|| Process::start(&format!("agent-{id}"), folder, "executor-agent", &args));
        Self { process, host }
    }

    pub fn host(&self) -> &Host {
        &self.host
    }
}
