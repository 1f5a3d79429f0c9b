//! The agent's program on this machine, and the processes that come and go with it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::fake::Fake;

/// An agent's process; killed with this value.
pub(crate) struct Agent {
    child: Child,
    pub(crate) folder: TempDir,
}

impl Agent {
    pub(crate) fn start(fake: &Fake, flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), fake, flags)
    }

    pub(crate) fn start_in(folder: TempDir, fake: &Fake, flags: &[&str]) -> Self {
        let mut command = command(folder.path(), &fake.url);
        command.args(flags);
        Self::spawn(folder, &mut command)
    }

    pub(crate) fn spawn(folder: TempDir, command: &mut Command) -> Self {
        Self { child: command.spawn().expect("the program runs"), folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// Its exit code, once it has left.
    pub(crate) async fn left(&mut self) -> Option<i32> {
        let mut code = None;
        until("the agent has left", || {
            code = self.child.try_wait().expect("a child");
            code.is_some()
        })
        .await;
        code.and_then(|status| status.code())
    }

    /// Ends it hard; its state folder stays.
    pub(crate) fn killed(mut self) -> TempDir {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
        let folder = TempDir::new().expect("a folder");
        std::mem::replace(&mut self.folder, folder)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn command(folder: &Path, server: &str) -> Command {
    command_of(env!("CARGO_BIN_EXE_executor-agent").as_ref(), folder, server)
}

/// The same of the program at another place.
pub(crate) fn command_of(program: &Path, folder: &Path, server: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--id", "tested", "--server", server, "--log-format", "text"]);
    command.arg("--state-dir").arg(folder.join("state")).env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let mut left = 2_000;
    while !condition() {
        left -= 1;
        assert!(left > 0, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a task has written its process id there.
pub(crate) async fn pid_in(file: &Path) -> i32 {
    let mut pid = None;
    until(&format!("a process id in {}", file.display()), || {
        pid =
            fs::read_to_string(file).ok().filter(|text| text.ends_with('\n')).and_then(|text| text.trim().parse().ok());
        pid.is_some()
    })
    .await;
    pid.expect("read")
}

/// Whether the process runs: one that has ended and was not reaped does not.
pub(crate) fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// The parent of a process.
pub(crate) fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let (_, rest) = stat.rsplit_once(')').expect("a stat line");
    rest.split_ascii_whitespace().nth(1).expect("a parent").parse().expect("an id")
}
