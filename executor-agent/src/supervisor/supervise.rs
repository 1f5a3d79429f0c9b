//! The supervisor's own process: one thread, one task.
//!
//! It ends the task, with all its descendants, when the agent says so, when the agent is gone (end of the socket), and
//! when the deadline has come by its own clock, which goes on while the agent is frozen. Then it ends itself.

use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitStatus, getpid, kill_process_group, pidfd_open, set_child_subreaper, setsid,
};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::orders::{Command, End, Order, Word, line};
use super::{launcher, tree};

/// How often the orphans that a task leaves behind are reaped, at least.
const REAP_EVERY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

pub(super) fn run() -> io::Result<()> {
    // The agent's terminal is not ours: what is typed there must not reach the task.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut supervisor = Supervisor::new(control)?;
    supervisor.receive_lock()?;
    supervisor.control.set_nonblocking(true)?;
    supervisor.obey_until_the_end()
}

struct Supervisor {
    control: UnixStream,
    /// Read, not yet a whole line.
    unread: Vec<u8>,
    timer: OwnedFd,
    /// Held, never used: while it is open, nobody can prove that the agent's instance and its tasks are gone. Tasks do
    /// not inherit it.
    _lock: Option<OwnedFd>,
    task: Option<Task>,
}

struct Task {
    pid: Pid,
    handle: OwnedFd,
    end: Option<End>,
}

/// What an event asks for.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    KillAll,
}

impl Supervisor {
    fn new(control: UnixStream) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self { control, unread: Vec::new(), timer, _lock: None, task: None })
    }

    /// The first byte brings the lock; nothing is started before it is here.
    fn receive_lock(&mut self) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.control, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)?;
        if received.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self._lock = descriptors.into_iter().next();
            }
        }
        if self._lock.is_none() {
            return Err(io::Error::other("the agent sent no lock"));
        }
        Ok(())
    }

    /// Whatever goes wrong, nothing of the task outlives this: its end is what lets others have its slot.
    fn obey_until_the_end(mut self) -> io::Result<()> {
        let obeyed = self.obey_until_all_is_to_be_killed();
        let mut end = self.task.as_ref().and_then(|task| task.end);
        let main = self.task.as_ref().map(|task| task.pid);
        tree::kill_descendants(|pid, status| {
            if Some(pid) == main {
                end.get_or_insert(how(status));
            }
        });
        if main.is_some() {
            self.say(&Word::Ended(end.unwrap_or(End::Unknown)));
        }
        obeyed
    }

    fn obey_until_all_is_to_be_killed(&mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            if self.reap() == Go::KillAll || self.read_orders()? == Go::KillAll || self.deadline_came()? == Go::KillAll
            {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut watched = vec![PollFd::new(&self.control, PollFlags::IN), PollFd::new(&self.timer, PollFlags::IN)];
        watched.extend(self.task.as_ref().map(|task| PollFd::new(&task.handle, PollFlags::IN)));
        match poll(&mut watched, Some(&REAP_EVERY)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The task is over when its first process is: what else it has started goes with it.
    fn reap(&mut self) -> Go {
        let Some(task) = &mut self.task else { return Go::On };
        tree::reap(&mut |pid, status| {
            if pid == task.pid {
                task.end = Some(how(status));
            }
        });
        if task.end.is_some() { Go::KillAll } else { Go::On }
    }

    fn read_orders(&mut self) -> io::Result<Go> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.control.read(&mut buffer) {
                Ok(0) => return Ok(Go::KillAll),
                Ok(read) => self.unread.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The other end is gone in a bad way.
                Err(_) => return Ok(Go::KillAll),
            }
        }
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let order: Vec<u8> = self.unread.drain(..=end).collect();
            if self.obey(serde_json::from_slice(&order)?)? == Go::KillAll {
                return Ok(Go::KillAll);
            }
        }
        Ok(Go::On)
    }

    fn obey(&mut self, order: Order) -> io::Result<Go> {
        match order {
            Order::Run(command) => return self.start(&command),
            Order::Deadline(deadline) => self.set_deadline(deadline)?,
            Order::Cancel => {
                if let Some(task) = &self.task {
                    // Its first process leads its own group, which shares its fate as at a terminal.
                    let _ = kill_process_group(task.pid, Signal::TERM);
                }
            }
            Order::Kill => return Ok(Go::KillAll),
        }
        Ok(Go::On)
    }

    fn start(&mut self, command: &Command) -> io::Result<Go> {
        self.set_deadline(command.deadline)?;
        match spawn(command) {
            Ok(task) => {
                self.task = Some(task);
                self.say(&Word::Started);
                Ok(Go::On)
            }
            Err(error) => {
                let retryable = !matches!(
                    error.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::PermissionDenied
                        | ErrorKind::NotADirectory
                        | ErrorKind::InvalidInput
                );
                self.say(&Word::NotStarted { message: why_not(command, &error), retryable });
                Ok(Go::KillAll)
            }
        }
    }

    fn set_deadline(&self, micros: i64) -> io::Result<()> {
        // Zero would disarm the timer.
        let micros = micros.max(1);
        let it_value = Timespec { tv_sec: micros / 1_000_000, tv_nsec: micros % 1_000_000 * 1_000 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }

    fn deadline_came(&self) -> io::Result<Go> {
        match rustix::io::read(&self.timer, &mut [0; 8]) {
            Ok(_) => Ok(Go::KillAll),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(Go::On),
            Err(error) => Err(error.into()),
        }
    }

    fn say(&mut self, word: &Word) {
        // A handful of short lines fit any socket; an agent that is gone needs none.
        let _ = self.control.write_all(&line(word));
    }
}

fn spawn(command: &Command) -> io::Result<Task> {
    if let Some(folder) = &command.working_dir
        && !Path::new(folder).is_dir()
    {
        return Err(ErrorKind::NotADirectory.into());
    }
    let child = launcher::start(command)?;
    let pid = Pid::from_child(&child);
    // A child that has ended stays until we reap it, so its id is still its own here.
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(Task { pid, handle, end: None })
}

fn why_not(command: &Command, error: &io::Error) -> String {
    let program = &command.program;
    match error.kind() {
        ErrorKind::NotADirectory => {
            format!("working_dir {:?} is no folder on this machine", command.working_dir.as_deref().unwrap_or_default())
        }
        ErrorKind::NotFound if program.contains('/') => format!("there is no program {program:?} on this machine"),
        ErrorKind::NotFound => {
            let path =
                command.environment.iter().find(|(name, _)| name == "PATH").map_or("", |(_, path)| path.as_str());
            format!("there is no program {program:?} in PATH ({path}); a shell's own command needs `shell`")
        }
        ErrorKind::PermissionDenied if command.identity.is_some() => {
            format!("{program:?} may not be executed by the user that tasks run as, or not from that folder: {error}")
        }
        ErrorKind::PermissionDenied => format!("{program:?} may not be executed: {error}"),
        ErrorKind::WouldBlock if command.limits.processes.is_some() => {
            format!("{program:?} could not be started: the user has as many processes as it may")
        }
        _ => format!("{program:?} could not be started: {error}"),
    }
}

fn how(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exit(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Unknown,
    }
}
