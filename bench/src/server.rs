//! A server of the benchmark's own: `scheduler-server dev` in a temporary folder, on a free port.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use punctual_proto::v1;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint};
use v1::job_service_client::JobServiceClient;
use v1::run_service_client::RunServiceClient;
use v1::scheduler_service_client::SchedulerServiceClient;

use crate::clock::Watch;

const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// A page of 1,000 runs with their attempts.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Who runs the tasks.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Workers {
    /// Run the tasks on an agent of its own with so many slots, rather than on the embedded one
    #[arg(long)]
    slots: Option<u32>,
}

/// It ends with this value, and its folder goes with it.
pub(crate) struct Server {
    child: Child,
    agent: Option<Child>,
    slots: i32,
    address: String,
    channel: Channel,
    folder: TempDir,
}

impl Server {
    /// Returns when the server leads and an agent takes work.
    pub(crate) async fn start(workers: Workers) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let address = free_address()?;
        let log = File::create(folder.path().join("log")).context("cannot create the server's log")?;
        let url = format!("http://{address}");
        let mut server = dev(&address, folder.path(), log.try_clone()?)?;
        let agent = workers.slots.map(|slots| {
            server.arg("--no-agent");
            let mut agent = command("executor-agent", log)?;
            // It would warn that no server listens yet.
            agent.env("RUST_LOG", "error");
            agent.args(["--server", &url, "--id", "bench", "--slots", &slots.to_string(), "--state-dir"]);
            agent.arg(folder.path().join("agent")).spawn().context("cannot start an agent")
        });
        let child = server.spawn().context("cannot start a server")?;
        let agent = agent.transpose()?;
        let channel = Endpoint::from_shared(url)?.tcp_nodelay(true).connect_lazy();
        let mut server = Self { child, agent, slots: 0, address, channel, folder };
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&mut self) -> Result<()> {
        let watch = Watch::start();
        while watch.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status}): {}", self.log());
            }
            let status = self.scheduler().get_status(v1::GetStatusRequest {}).await;
            let agents = status.ok().and_then(|status| status.into_inner().agents);
            if let Some(agents) = agents.filter(|agents| agents.alive > 0) {
                self.slots = agents.slots;
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("the server was not ready within {} s: {}", READY_WITHIN.as_secs(), self.log())
    }

    /// `kill -9`, and how long the next start takes until it leads.
    pub(crate) async fn kill_and_start(&mut self) -> Result<Duration> {
        self.child.kill().await.context("cannot end the server")?;
        let log = File::options().append(true).open(self.folder.path().join("log"))?;
        let watch = Watch::start();
        self.child = dev(&self.address, self.folder.path(), log)?.spawn().context("cannot start a server")?;
        while watch.elapsed() < READY_WITHIN {
            let status = self.scheduler().get_status(v1::GetStatusRequest {}).await;
            if status.is_ok_and(|status| status.into_inner().leader.is_some()) {
                return Ok(watch.elapsed());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("the server did not lead within {} s: {}", READY_WITHIN.as_secs(), self.log())
    }

    /// Memory that the server's process has in use, and that it had at most, in bytes.
    pub(crate) fn resident(&self) -> Result<(u64, u64)> {
        let pid = self.child.id().context("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| -> Result<u64> {
            let kibibytes = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
            let kibibytes: u64 = kibibytes.context("/proc does not tell the memory")?.trim().parse()?;
            Ok(kibibytes << 10)
        };
        Ok((bytes("VmRSS:")?, bytes("VmHWM:")?))
    }

    pub(crate) fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel.clone())
    }

    pub(crate) fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn scheduler(&self) -> SchedulerServiceClient<Channel> {
        SchedulerServiceClient::new(self.channel.clone())
    }

    /// How many attempts can run at a time.
    pub(crate) fn slots(&self) -> i32 {
        self.slots
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder whose file system the ledger is on.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many transactions the leader has asked of the ledger so far.
    pub(crate) async fn transactions(&self) -> Result<u64> {
        let text = self.metrics().await?;
        let line = text.lines().find_map(|line| line.strip_prefix("punctual_ledger_transactions_total "));
        line.and_then(|value| value.trim().parse().ok()).context("/metrics has no count of the ledger's transactions")
    }

    async fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// Ends the server and says what it has warned of, if anything.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().await.context("cannot end the agent")?;
        }
        self.child.kill().await.context("cannot end the server")?;
        let log = self.log();
        if !log.is_empty() {
            println!("  the server's warnings:\n{log}");
        }
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_else(|error| error.to_string())
    }
}

fn dev(address: &str, folder: &Path, log: File) -> Result<Command> {
    let mut server = command("scheduler-server", log)?;
    server.args(["dev", "--listen", address, "--data-dir"]).arg(folder.join("data"));
    Ok(server)
}

/// A program of the same build; it ends when its handle is dropped.
fn command(name: &str, log: File) -> Result<Command> {
    let mut command = Command::new(beside_us(name)?);
    command.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    Ok(command)
}

/// The path of a program of the same build.
pub(crate) fn beside_us(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot tell where this program lies")?;
    let path = here.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: `cargo xtask bench` builds it", path.display());
    }
    Ok(path)
}

/// Free a moment ago: should another program take it, the server says so and ends.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on loopback")?;
    Ok(listener.local_addr()?.to_string())
}
