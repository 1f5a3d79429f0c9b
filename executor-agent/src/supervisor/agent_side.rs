//! The agent's end of its supervisors.

use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, getpid, set_child_subreaper};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command as Process};

use super::orders::{Command, Order, Word, line};
use super::{NAME, tree};

/// The living supervisors of this process. A child that is not among them, in a session of its own, was left by a dead one.
/// Locked while one is being started, so that none is taken for such a child.
static LIVING: LazyLock<Mutex<HashSet<Pid>>> = LazyLock::new(Mutex::default);

fn living() -> MutexGuard<'static, HashSet<Pid>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts supervisors.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    lock: Arc<OwnedFd>,
}

/// A task under its supervisor.
#[derive(Debug)]
pub(crate) struct Supervised {
    pub(crate) control: Control,
    pub(crate) words: Words,
    pub(crate) process: Watched,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// Where orders go.
#[derive(Debug)]
pub(crate) struct Control(OwnedWriteHalf);

/// Where the supervisor's words come from.
#[derive(Debug)]
pub(crate) struct Words(Lines<BufReader<OwnedReadHalf>>);

/// The supervisor's process.
#[derive(Debug)]
pub(crate) struct Watched {
    child: Child,
    pid: Pid,
}

impl Supervisor {
    /// `lock` is what proves, when it can be locked, that this agent and its tasks are gone. Makes this process a child
    /// subreaper, so that what a dead supervisor leaves comes here.
    pub(crate) fn new(lock: Arc<OwnedFd>) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { lock })
    }

    /// Starts the task. `label` is shown in the list of processes.
    pub(crate) async fn start(&self, command: Command, label: &str) -> io::Result<Supervised> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let mut process = Process::new("/proc/self/exe");
        process.arg0(NAME).arg(label).env_clear();
        process.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, pid) = {
            let mut living = living();
            let child = process.spawn()?;
            let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            let pid = pid.ok_or_else(|| io::Error::other("a supervisor without a process id"))?;
            living.insert(pid);
            (child, pid)
        };
        // It keeps a copy of its end of the socket otherwise, and the supervisor's death would go unnoticed.
        drop(process);
        let stdout = child.stdout.take().expect("because it is piped");
        let stderr = child.stderr.take().expect("because it is piped");
        let process = Watched { child, pid };
        send_lock(&ours, &self.lock)?;
        ours.set_nonblocking(true)?;
        let (words, control) = UnixStream::from_std(ours)?.into_split();
        let mut control = Control(control);
        control.order(&Order::Run(Box::new(command))).await;
        Ok(Supervised { control, words: Words(BufReader::new(words).lines()), process, stdout, stderr })
    }
}

impl Control {
    /// Gives an order. One that cannot be given was to a supervisor that is gone, which its words show.
    pub(crate) async fn order(&mut self, order: &Order) {
        let _ = self.0.write_all(&line(order)).await;
    }
}

impl Words {
    /// The next word; none when the supervisor is gone.
    pub(crate) async fn next(&mut self) -> Option<Word> {
        let line = self.0.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}

impl Watched {
    /// Waits until the supervisor is gone.
    pub(crate) async fn gone(&mut self) {
        // It can only fail when the process was reaped already.
        let _ = self.child.wait().await;
        living().remove(&self.pid);
    }

    /// Kills the supervisor itself; what it leaves must be swept.
    pub(crate) fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.start_kill();
    }
}

impl Drop for Watched {
    /// Without its agent's end of the socket the supervisor goes by itself; it is only no longer ours to spare.
    fn drop(&mut self) {
        living().remove(&self.pid);
    }
}

/// Kills what dead supervisors have left; returns when nothing of it is.
pub(crate) async fn sweep() {
    loop {
        // Locked for each look, so that a supervisor that is starting is not taken for what is left.
        let looking = tokio::task::spawn_blocking(|| tree::kill_orphans(&living()));
        match looking.await {
            Ok(true) => tokio::time::sleep(tree::PAUSE).await,
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, "what a dead supervisor left could not be killed");
                return;
            }
        }
    }
}

fn send_lock(socket: &StdUnixStream, lock: &OwnedFd) -> io::Result<()> {
    let descriptors = [lock.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(socket, &[IoSlice::new(b"\n")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
