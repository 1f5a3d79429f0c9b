//! A Postgres of one test: its own folder, its own port, dead when the test ends.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, getuid};

use crate::tools::missing;
use crate::{Host, Port, Process, lives, until};

/// Postgres refuses to be run by root; this user (`nobody`) is on every machine.
const SOMEBODY: u32 = 65_534;
const USER: &str = "punctual";

/// One server with one database that has nothing in it; `None` where Postgres is not on the machine.
pub struct Postgres {
    process: Option<Process>,
    programs: PathBuf,
    host: Host,
    port: Port,
    settings: Vec<&'static str>,
    /// Deleted last.
    folder: tempfile::TempDir,
}

impl Postgres {
    /// One that does not sync: a test that needs no loss of power is faster so.
    #[track_caller]
    pub fn start() -> Option<Self> {
        Self::at(Host::loopback())
    }

    /// The same on a host, where it believes everybody.
    #[track_caller]
    pub fn at(host: Host) -> Option<Self> {
        Self::prepared(host, &["fsync=off"], &[])
    }

    /// With lines of `postgresql.conf`.
    #[track_caller]
    pub fn with(settings: &[&'static str]) -> Option<Self> {
        Self::with_files(settings, &[])
    }

    /// With files that only its own user may read, beside its data.
    #[track_caller]
    pub fn with_files(settings: &[&'static str], files: &[(&str, String)]) -> Option<Self> {
        Self::prepared(Host::loopback(), settings, files)
    }

    #[track_caller]
    fn prepared(host: Host, settings: &[&'static str], files: &[(&str, String)]) -> Option<Self> {
        let programs = programs()?;
        let folder = crate::folder();
        own(folder.path());
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("because the folder is the test's");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("because it is ours");
            own(&path);
        }
        let mut initdb = command(&programs.join("initdb"), folder.path());
        // Words are sorted as people do it, so that whatever takes them for bytes is found out.
        initdb.args(["--pgdata=data", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]);
        if knows_icu(&programs) {
            initdb.args(["--locale-provider=icu", "--icu-locale=en-US"]);
        }
        initdb.args(["--username", USER]);
        let said = initdb.output().expect("because initdb is there");
        assert!(said.status.success(), "initdb: {}", String::from_utf8_lossy(&said.stderr));
        if !host.is_loopback() {
            let clients = File::options().append(true).open(folder.path().join("data/pg_hba.conf"));
            let believed = clients.and_then(|mut clients| clients.write_all(b"host all all all trust\n"));
            believed.expect("because initdb has made the file");
        }
        let (port, settings) = (host.run(Port::free), settings.to_vec());
        let mut postgres = Self { process: None, programs, host, port, settings, folder };
        postgres.come_back();
        Some(postgres)
    }

    /// `kill -9` of all that it is.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("because the test knows that its Postgres runs");
        let children = children(process.pid());
        process.kill();
        // They would see the end of their parent, and end: but when? Until then the memory that they share is in the way of the
        // next start.
        for &child in &children {
            if let Some(pid) = rustix::process::Pid::from_raw(child) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        until("the end of all that Postgres was", 10, || {
            (!children.iter().any(|&child| lives(child.cast_unsigned()))).then_some(())
        });
    }

    /// Starts it again, and waits until it takes connections.
    #[track_caller]
    pub fn come_back(&mut self) {
        let port = self.port.number().to_string();
        let mut command = command(&self.programs.join("postgres"), self.folder.path());
        let listen = format!("listen_addresses={}", self.host.address());
        command.args(["-D", "data", "-p", &port, "-c", &listen, "-c", "unix_socket_directories="]);
        command.args(["-c", "max_connections=60", "-c", "shared_buffers=64MB"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut process = self.host.run(|| Process::run("postgres", self.folder.path(), command));
        until("a Postgres that takes connections", 60, || {
            assert!(process.status().is_none(), "Postgres has ended: {}", process.log());
            self.answers().then_some(())
        });
        self.process = Some(process);
    }

    /// A standby that receives nothing from now on. There can be one.
    #[track_caller]
    pub fn copy(&self) {
        let mut backup = command(&self.programs.join("pg_basebackup"), self.folder.path());
        let url = self.url();
        backup.args(["--pgdata=copy", "--checkpoint=fast", "--wal-method=stream", "--no-sync", "--dbname", &url]);
        let said = backup.output().expect("because pg_basebackup comes with Postgres");
        assert!(said.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&said.stderr));
    }

    /// The copy takes its place, after a kill -9.
    #[track_caller]
    pub fn fail_over(&mut self) {
        self.kill();
        for (from, to) in [("data", "dead"), ("copy", "data")] {
            let [from, to] = [from, to].map(|name| self.folder.path().join(name));
            fs::rename(from, to).expect("because the test has made the copy");
        }
        self.come_back();
    }

    /// SIGSTOP of all that it is: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn wake(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("because the test knows that its Postgres runs");
        let pid = process.pid();
        // The parent first, so that it starts no more of them.
        for pid in [pid.cast_signed()].into_iter().chain(children(pid)) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    pub fn url(&self) -> String {
        self.url_at(self.port.number())
    }

    /// Where a wire to it begins.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://{USER}@{}:{port}/postgres", self.host.address())
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// One of those that come with it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A shell that is told to do something, all of it in one session.
    #[track_caller]
    pub fn psql(&self, text: &str) -> Process {
        Process::run("psql", self.folder.path(), self.shell(text))
    }

    /// What a shell prints that is asked something.
    #[track_caller]
    pub fn answer(&self, text: &str) -> String {
        let mut shell = self.shell(text);
        let said = shell.args(["--no-align", "--tuples-only"]).output().expect("because psql is there");
        assert!(said.status.success(), "{text}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    /// A backup, as pg_dump makes it, which empties the database before it fills it.
    #[track_caller]
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = Command::new(self.programs.join("pg_dump"));
        let said = dump.args(["--clean", "--if-exists", "--dbname", &self.url()]).output();
        let said = said.expect("because pg_dump comes with Postgres");
        assert!(said.status.success(), "pg_dump: {}", String::from_utf8_lossy(&said.stderr));
        said.stdout
    }

    /// Puts a backup back. Nobody else may use the database.
    #[track_caller]
    pub fn restore(&self, dump: &[u8]) {
        let path = self.folder.path().join("dump.sql");
        fs::write(&path, dump).expect("because the folder is ours");
        own(&path);
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &self.url(), "--file"]).arg(&path);
        let said = psql.output().expect("because psql comes with Postgres");
        assert!(said.status.success(), "psql: {}", String::from_utf8_lossy(&said.stderr));
    }

    fn shell(&self, text: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--dbname", &self.url(), "--command", text]);
        command
    }

    /// Its data, and what it needs beside them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        let address = format!("--host={}", self.host.address());
        ready.args(["--quiet", &address, &format!("--port={}", self.port.number())]);
        ready.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// Gives a file or folder to who runs Postgres.
fn own(path: &Path) {
    if getuid().is_root() {
        chown(path, Some(SOMEBODY), Some(SOMEBODY)).expect("because root may give away what is its own");
    }
}

fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
    if getuid().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    command
}

/// The folder of the newest server that is installed: `PUNCTUAL_TEST_POSTGRES`, where Debian puts them, or on PATH.
fn programs() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("PUNCTUAL_TEST_POSTGRES") {
        return Some(given.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse::<u32>().ok()?, version.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    newest.map(|(_, programs)| programs).or(on_path).or_else(|| missing("the server of Postgres"))
}

/// From Postgres 15 on.
fn knows_icu(programs: &Path) -> bool {
    let help = Command::new(programs.join("initdb")).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--locale-provider"))
}

fn children(parent: u32) -> Vec<i32> {
    let file = format!("/proc/{parent}/task/{parent}/children");
    let listed = fs::read_to_string(file).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_after_it_was_killed() {
        let Some(mut postgres) = Postgres::start() else { return };
        assert!(postgres.answers());
        postgres.kill();
        assert!(!postgres.answers());
        postgres.come_back();
        assert!(postgres.answers());
    }
}
