//! A scheduler server of one test, which can die and come back.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Host, Port, Process, Rest, until};

pub struct Server {
    pub rest: Rest,
    /// `None` while it is dead.
    process: Option<Process>,
    folder: PathBuf,
    command: &'static str,
    flags: Vec<String>,
    host: Host,
    port: Port,
}

impl Server {
    /// `scheduler-server dev` with its data in `folder`; answers when it is ready.
    #[track_caller]
    pub fn dev(folder: &Path, flags: &[&str]) -> Self {
        Self::of("dev", folder, &[&["--data-dir", "data"], flags].concat())
    }

    /// `scheduler-server serve` on `ledger.db` in `folder`.
    #[track_caller]
    pub fn serving(folder: &Path, flags: &[&str]) -> Self {
        let ledger = format!("--database-url=sqlite://{}/ledger.db", folder.display());
        Self::of("serve", folder, &[&[ledger.as_str()], flags].concat())
    }

    /// `scheduler-server serve` with its ledger in a database.
    #[track_caller]
    pub fn on_database(folder: &Path, url: &str, flags: &[&str]) -> Self {
        Self::at(Host::loopback(), folder, url, flags)
    }

    /// The same on a host, where it takes all who reach it for friends.
    #[track_caller]
    pub fn at(host: Host, folder: &Path, url: &str, flags: &[&str]) -> Self {
        Self::on("serve", host, folder, &[&["--database-url", url], flags].concat())
    }

    /// One that lets nobody in without a token.
    #[track_caller]
    pub fn signed_in(folder: &Path) -> Self {
        Self::serving(folder, &["--sign-in"])
    }

    #[track_caller]
    fn of(command: &'static str, folder: &Path, flags: &[&str]) -> Self {
        Self::on(command, Host::loopback(), folder, flags)
    }

    #[track_caller]
    fn on(command: &'static str, host: Host, folder: &Path, flags: &[&str]) -> Self {
        let port = host.run(Port::free);
        let url = format!("http://{}:{}", host.address(), port.number());
        let public = ["--insecure", "--advertise", &url];
        let flags = flags.iter().chain(public.iter().filter(|_| !host.is_loopback()));
        let mut server = Self {
            rest: Rest::new(&url),
            process: None,
            folder: folder.to_owned(),
            command,
            flags: flags.map(|&flag| flag.to_owned()).collect(),
            host,
            port,
        };
        server.start();
        server
    }

    /// A server without an agent in it.
    #[track_caller]
    pub fn bare(folder: &Path, flags: &[&str]) -> Self {
        Self::dev(folder, &[&["--no-agent"], flags].concat())
    }

    /// A server with an agent in it that has connected.
    #[track_caller]
    pub fn with_agent(folder: &Path) -> Self {
        let server = Self::dev(folder, &[]);
        server.has_agents(1);
        server
    }

    /// From its next start on it has its ledger in a database; its address stays.
    pub fn goes_on_in(&mut self, url: &str, flags: &[&str]) {
        let flags = [&["--database-url", url], flags].concat();
        self.flags = flags.into_iter().map(str::to_owned).collect();
    }

    #[track_caller]
    pub fn start(&mut self) {
        self.launch();
        self.wait_until_ready();
    }

    /// Starts it, and does not wait until it is ready.
    #[track_caller]
    pub fn launch(&mut self) {
        let listen = self.address();
        let mut args = vec![self.command, "--listen", &listen];
        args.extend(self.flags.iter().map(String::as_str));
        let start = || Process::start("server", &self.folder, "scheduler-server", &args);
        self.process = Some(self.host.run(start));
    }

    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        let rest = self.rest.clone();
        let process = self.process();
        until("a server that is ready", 30, || {
            assert!(process.status().is_none(), "the server has ended instead of getting ready");
            rest.try_call("GET", "/readyz", &[], None).ok().filter(|answer| answer.status == 200)
        });
    }

    /// Starts it as a supervisor does: again, whenever it ends because it does not reach in time what it needs.
    #[track_caller]
    pub fn start_again_and_again(&mut self) {
        self.launch();
        until("a server that is ready", 60, || {
            if self.process().status().is_some() {
                self.launch();
            }
            self.rest.try_call("GET", "/readyz", &[], None).ok().filter(|answer| answer.status == 200)
        });
    }

    /// Whether it has been started, and has not ended.
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.status().is_none())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// `kill -9`, and back at once.
    #[track_caller]
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start();
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("because the test knows that its server runs")
    }

    /// Where its data and its log are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The fields of all lines of its log that say `message`, in their order.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let fields = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["fields"].take());
        self.log().lines().filter_map(fields).filter(|fields| fields["message"] == message).collect()
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.host.address(), self.port.number())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Waits until so many agents are connected.
    #[track_caller]
    pub fn has_agents(&self, number: u64) {
        until(&format!("{number} agents"), 30, || {
            let status = self.rest.get("/status");
            (status["agents"]["alive"].as_u64() == Some(number)).then_some(())
        });
    }
}
