//! A private etcd of one member or several, on loopback or each on its host, which can be killed, frozen, restarted and rebuilt.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::tools::{missing, on_path};
use crate::{Host, Port, Process, folder, until};

/// Settings under which a member is lost and replaced as leader in well under a second, and one that comes back to the others
/// costs them no election (the default from 3.5 on).
const SWIFT: &[&str] = &["--heartbeat-interval=50", "--election-timeout=500", "--pre-vote"];
/// Without it etcd grows for ever.
const COMPACTION: &[&str] = &["--auto-compaction-mode=periodic", "--auto-compaction-retention=5m"];

#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    tls: Option<Certificates>,
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    host: Host,
    client: Port,
    peer: Port,
    process: Option<Process>,
}

/// Files in PEM. Whoever has no certificate of this authority is turned away.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Etcd {
    /// `None`: etcd is not on this machine, and xtask was not asked to bring it.
    pub fn start(members: usize) -> Option<Self> {
        Self::at(vec![Host::loopback(); members])
    }

    /// A member on each.
    pub fn at(hosts: Vec<Host>) -> Option<Self> {
        Self::ready(hosts, None)
    }

    pub fn start_with_tls(tls: Certificates) -> Option<Self> {
        Self::ready(vec![Host::loopback()], Some(tls))
    }

    fn ready(hosts: Vec<Host>, tls: Option<Certificates>) -> Option<Self> {
        on_path("etcd").filter(|_| on_path("etcdctl").is_some()).or_else(|| missing("etcd and etcdctl"))?;
        let member = |host: Host| {
            let [client, peer] = host.run(|| [Port::free(), Port::free()]);
            Member { host, client, peer, process: None }
        };
        let mut etcd = Self { members: hosts.into_iter().map(member).collect(), tls, folder: folder() };
        for member in 0..etcd.members.len() {
            etcd.launch(member);
        }
        etcd.await_health();
        Some(etcd)
    }

    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|member| self.endpoint(member)).collect()
    }

    pub fn port(&self, member: usize) -> u16 {
        self.members[member].client.number()
    }

    fn endpoint(&self, member: usize) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host(member).address(), self.port(member))
    }

    pub fn host(&self, member: usize) -> &Host {
        &self.members[member].host
    }

    fn launch(&mut self, member: usize) {
        let peer = |member: usize| {
            let Member { host, peer, .. } = &self.members[member];
            format!("http://{}:{}", host.address(), peer.number())
        };
        let all: Vec<String> = (0..self.members.len()).map(|member| format!("m{member}={}", peer(member))).collect();
        let name = format!("m{member}");
        let mut args = vec![
            format!("--name={name}"),
            format!("--data-dir={}", self.folder.path().join(&name).display()),
            format!("--listen-client-urls={}", self.endpoint(member)),
            format!("--advertise-client-urls={}", self.endpoint(member)),
            format!("--listen-peer-urls={}", peer(member)),
            format!("--initial-advertise-peer-urls={}", peer(member)),
            format!("--initial-cluster={}", all.join(",")),
            "--logger=zap".to_owned(),
        ];
        args.extend(SWIFT.iter().chain(COMPACTION).map(|arg| (*arg).to_owned()));
        if let Some(tls) = &self.tls {
            args.extend([
                format!("--cert-file={}", tls.certificate.display()),
                format!("--key-file={}", tls.key.display()),
                format!("--trusted-ca-file={}", tls.authority.display()),
                "--client-cert-auth".to_owned(),
            ]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let start = || Process::start_other(&name, self.folder.path(), "etcd", &args);
        self.members[member].process = Some(self.host(member).run(start));
    }

    /// Waits until a majority answers.
    #[track_caller]
    pub fn await_health(&self) {
        until("a healthy etcd", 60, || self.try_ctl(&["get", "health"]));
    }

    /// `kill -9`
    pub fn kill(&mut self, member: usize) {
        if let Some(mut process) = self.members[member].process.take() {
            process.kill();
        }
    }

    pub fn restart(&mut self, member: usize) {
        self.kill(member);
        self.launch(member);
    }

    pub fn freeze(&mut self, member: usize) {
        self.signal(member, Signal::STOP);
    }

    pub fn wake(&mut self, member: usize) {
        self.signal(member, Signal::CONT);
    }

    fn signal(&mut self, member: usize, signal: Signal) {
        if let Some(process) = &mut self.members[member].process {
            process.signal(signal);
        }
    }

    /// All that it knew is gone, and its revisions begin anew.
    pub fn rebuild(&mut self) {
        for member in 0..self.members.len() {
            self.kill(member);
            fs::remove_dir_all(self.folder.path().join(format!("m{member}"))).expect("because etcd has written there");
        }
        for member in 0..self.members.len() {
            self.launch(member);
        }
        self.await_health();
    }

    /// The member that leads the others.
    #[track_caller]
    pub fn leader(&self) -> usize {
        until("a leader among etcd's members", 60, || {
            (0..self.members.len()).filter(|member| self.members[*member].process.is_some()).find(|member| {
                let status = self.try_ctl_at(&self.endpoint(*member), &["endpoint", "status", "--write-out=fields"]);
                status.is_some_and(|status| {
                    let field = |name: &str| {
                        let line = status.lines().find(|line| line.starts_with(&format!("\"{name}\"")))?;
                        line.split(':').next_back().map(|value| value.trim().to_owned())
                    };
                    field("Leader").is_some() && field("Leader") == field("MemberID")
                })
            })
        })
    }

    /// What is below a prefix, by key.
    #[track_caller]
    pub fn below(&self, prefix: &str) -> BTreeMap<String, String> {
        let said = self.ctl(&["get", "--prefix", prefix]);
        let mut lines = said.lines().map(str::to_owned);
        std::iter::from_fn(|| Some((lines.next()?, lines.next()?))).collect()
    }

    /// Runs etcdctl, as an operator would.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> String {
        self.try_ctl(args).unwrap_or_else(|| panic!("etcdctl {args:?} fails"))
    }

    fn try_ctl(&self, args: &[&str]) -> Option<String> {
        self.try_ctl_at(&self.endpoints().join(","), args)
    }

    fn try_ctl_at(&self, endpoints: &str, args: &[&str]) -> Option<String> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", endpoints, "--command-timeout=5s"]).args(args);
        if let Some(tls) = &self.tls {
            command.arg("--cacert").arg(&tls.authority).arg("--cert").arg(&tls.certificate).arg("--key").arg(&tls.key);
        }
        let output = command.stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
