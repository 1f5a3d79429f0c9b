//! What a process of a task may use up.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::IsolationError;

/// A program of the C library needs more than this to come to its first line.
const LEAST_MEMORY: u64 = 1 << 20;
/// Standard input, output and error, and the libraries that are opened on the way to a program's first line.
const LEAST_OPEN_FILES: u64 = 8;
/// After its limit of CPU time a process gets SIGXCPU every second; who takes no notice is killed when this has passed.
const CPU_GRACE: u64 = 5;

/// Limits of each process of a task, each inherited by what it starts. Default: those of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLimits {
    /// Bytes that a process may have to itself for writing (`RLIMIT_DATA`): its heap, stacks of its threads, private
    /// mappings. What it only reserves or shares is not counted.
    pub memory: Option<u64>,
    /// Time on a CPU.
    pub cpu_time: Option<Duration>,
    /// Files, sockets and the like that a process has open.
    pub open_files: Option<u64>,
    /// Processes and threads of the user that tasks run as, those of all its tasks together.
    pub processes: Option<u64>,
}

impl TaskLimits {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self) -> Result<(), IsolationError> {
        if self.memory.is_some_and(|bytes| bytes < LEAST_MEMORY) {
            return Err(IsolationError::TooLow("--task-memory", "1MiB"));
        }
        if self.cpu_time.is_some_and(|time| time < Duration::from_secs(1)) {
            return Err(IsolationError::TooLow("--task-cpu-time", "1s"));
        }
        if self.open_files.is_some_and(|files| files < LEAST_OPEN_FILES) {
            return Err(IsolationError::TooLow("--task-open-files", "8"));
        }
        if self.processes.is_some_and(|processes| processes < 1) {
            return Err(IsolationError::TooLow("--task-processes", "1"));
        }
        Ok(())
    }

    /// Binds this process, and what it will execute, for good. What is bound already is not loosened.
    pub(crate) fn bind(&self) -> io::Result<()> {
        if let Some(bytes) = self.memory {
            set(Resource::Data, bytes, bytes)?;
        }
        if let Some(time) = self.cpu_time {
            // Parts of a second are no limit to the system.
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            set(Resource::Cpu, seconds, seconds.saturating_add(CPU_GRACE))?;
        }
        if let Some(files) = self.open_files {
            set(Resource::Nofile, files, files)?;
        }
        if let Some(processes) = self.processes {
            set(Resource::Nproc, processes, processes)?;
        }
        Ok(())
    }
}

fn set(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let bound = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let (current, maximum) = (current.min(bound), maximum.min(bound));
    Ok(setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })?)
}
