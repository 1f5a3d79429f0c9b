//! A program that runs as long as the test wants it to, and not longer than the test.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{program, until};

/// How much of a log is shown when its test fails.
const SHOWN_LINES: usize = 80;

/// A process in a group of its own, whose output goes to `<name>.log` in its working folder.
///
/// Dropped, its group is killed; when the test is killed itself, a watchdog does that.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    watchdog: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a program of this workspace in `folder`. A file `clock` there says by how many seconds its wall clock is
    /// wrong.
    #[track_caller]
    pub fn start(name: &str, folder: &Path, of: &str, args: &[&str]) -> Self {
        Self::start_other(name, folder, program(of), args)
    }

    /// The same of a program that is on the machine.
    #[track_caller]
    pub fn start_other(name: &str, folder: &Path, of: impl AsRef<Path>, args: &[&str]) -> Self {
        let mut command = Command::new(of.as_ref());
        command.args(args).current_dir(folder);
        undisturbed(&mut command, folder);
        let clock = folder.join("clock");
        if clock.exists() {
            command.env("PUNCTUAL_TEST_CLOCK", clock);
        }
        Self::run(name, folder, command)
    }

    /// Starts any program, with its log in `folder`.
    #[track_caller]
    pub(crate) fn run(name: &str, folder: &Path, mut command: Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("because the folder is the test's");
        let errors = output.try_clone().expect("because a file can be opened twice");
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let watchdog = watchdog(child.id());
        Self { name: name.to_owned(), log, child, watchdog, ended: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, and what those that ran under its name before it had written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// `kill -9`, of this process alone: what it has started is left to itself.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exit(10);
    }

    pub fn signal(&mut self, signal: Signal) {
        if self.status().is_none() {
            kill_process(self.id(), signal).expect("because a child that was not waited for keeps its pid");
        }
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("because it is a child");
        }
        self.ended
    }

    /// Waits for its end.
    #[track_caller]
    pub fn exit(&mut self, seconds: u64) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, seconds, || self.status())
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status().is_none() {
            let _ = kill_process_group(self.id(), Signal::KILL);
        }
        // Before the child is waited for: until then nobody else can have its pid.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if self.ended.is_none() {
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- the end of {}:\n{}\n---", self.log.display(), shown.join("\n"));
        }
    }
}

/// Without the settings of whoever runs the tests.
pub(crate) fn undisturbed(command: &mut Command, home: &Path) {
    let is_setting = |name: &str| name.starts_with("PUNCTUAL_") || name.starts_with("ETCD_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE").env("HOME", home);
}

/// Kills a process group when the test is gone: then the pipe that it reads from ends.
fn watchdog(group: u32) -> Child {
    Command::new("sh")
        .args(["-c", "read -r _; kill -s KILL -- -$1", "watchdog", &group.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("because a shell is always there")
}

/// Memory that a process has in use, in bytes.
#[track_caller]
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("because Linux tells it");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("because it is a number");
    kibibytes << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_killed_takes_its_processes_along() {
        let mut group = Command::new("sh").args(["-c", "sleep 300 & wait"]).process_group(0).spawn().unwrap();
        let mut watchdog = watchdog(group.id());
        // The death of a test closes its end of the pipe.
        drop(watchdog.stdin.take());
        let ended = until("the end of the group", 10, || group.try_wait().unwrap());
        assert!(!ended.success());
        watchdog.wait().unwrap();
    }
}
