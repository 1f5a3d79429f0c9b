//! The step between a supervisor and a task with limits, or one from which something is hidden: this program once more,
//! which binds itself and then becomes the task. The supervisor must not be bound, or it could not do its work; and a
//! process that was bound only after its start could have escaped before.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process, Stdio};

use rustix::fs::{MemfdFlags, fchown, memfd_create};
use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

use super::LAUNCHER;
use super::orders::{Command, line};

/// Why a task did not come to run, told over the socket. Its end alone means that the task runs: the socket closes with
/// the execution of the task's program.
#[derive(Debug, Deserialize, Serialize)]
struct Failure {
    os_error: Option<i32>,
    message: String,
}

/// Starts a command as it is to run.
pub(super) fn start(command: &Command) -> io::Result<Child> {
    if let Some(identity) = command.identity {
        // No program that belongs to somebody else lends its rights to the task.
        set_no_new_privs(true)?;
        // Opened by name (`/dev/stderr`), its own output would be somebody else's.
        let (user, group) = (rustix::fs::Uid::from_raw(identity.uid), rustix::fs::Gid::from_raw(identity.gid));
        fchown(io::stdout(), Some(user), Some(group))?;
        fchown(io::stderr(), Some(user), Some(group))?;
    }
    if command.limits.is_none() && command.hidden.is_empty() {
        program(command)?.process_group(0).spawn()
    } else {
        start_bound(command)
    }
}

fn start_bound(command: &Command) -> io::Result<Child> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut launcher = Process::new("/proc/self/exe");
    launcher.arg0(LAUNCHER).env_clear().process_group(0).stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    let mut child = launcher.spawn()?;
    // It keeps a copy of its end of the socket otherwise.
    drop(launcher);
    ours.write_all(&line(command))?;
    let mut told = String::new();
    ours.read_to_string(&mut told)?;
    if told.is_empty() {
        return Ok(child);
    }
    child.wait()?;
    let failure: Failure = serde_json::from_str(&told)?;
    Err(failure.os_error.map_or_else(|| io::Error::other(failure.message), io::Error::from_raw_os_error))
}

/// The launcher's own process: it becomes the task, or says why not.
pub(super) fn run() -> io::Error {
    // A copy that does not outlive the execution of the task; the task gets a standard input of its own.
    let mut socket = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => UnixStream::from(socket),
        Err(error) => return error,
    };
    let error = become_the_task(&socket);
    let failure = Failure { os_error: error.raw_os_error(), message: error.to_string() };
    // A supervisor that is gone needs no word.
    let _ = socket.write_all(&line(&failure));
    error
}

fn become_the_task(socket: &UnixStream) -> io::Error {
    let execute = || -> io::Result<io::Error> {
        let mut command = String::new();
        BufReader::new(socket).read_line(&mut command)?;
        let command: Command = serde_json::from_str(&command)?;
        let mut task = program(&command)?;
        command.hidden.hide()?;
        command.limits.bind()?;
        Ok(task.exec())
    };
    execute().unwrap_or_else(|error| error)
}

/// The task's program with its arguments, environment, input, folder and user.
fn program(command: &Command) -> io::Result<Process> {
    let stdin = match &command.stdin {
        None => Stdio::null(),
        Some(text) => {
            // A file in memory, so that a task that does not read never blocks us.
            let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
            file.write_all(text.as_bytes())?;
            file.rewind()?;
            Stdio::from(file)
        }
    };
    let mut process = Process::new(&command.program);
    process.args(&command.arguments).env_clear().envs(command.environment.iter().map(|(name, value)| (name, value)));
    process.stdin(stdin);
    if let Some(folder) = &command.working_dir {
        process.current_dir(folder);
    }
    if let Some(identity) = command.identity {
        // With the user, the groups of the agent's own user are left, too.
        process.uid(identity.uid).gid(identity.gid);
    }
    Ok(process)
}
