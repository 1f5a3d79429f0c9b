//! A network of one test: hosts that can be cut off from each other.
//!
//! A host is a network namespace of Linux, and the test itself is the router between them: its thread, with all that it
//! starts, is in a namespace too, from which every host is reached whatever they are cut off from. Namespaces have no names
//! and go with the last process in them, however that ends; the machine's own network is not touched.
//!
//! What is cut is cut on the way: both ends keep their links, addresses and connections, and hear nothing.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::geteuid;
use rustix::thread::UnshareFlags;

use crate::host::{Host, Inside, current};
use crate::tools::{missing, on_path};

/// These addresses are for tests of networks (RFC 2544), and no machine's own.
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const REFUSER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const HOSTS: &str = "198.18.1.0/24";
/// By which route what is refused goes.
const REFUSED: u32 = 7;

#[derive(Debug)]
pub struct Network {
    hosts: Cell<u8>,
    /// What is in force of cuts.
    rules: RefCell<Vec<String>>,
    /// Answers in everybody's name that nobody listens.
    _refuser: Host,
    _router: Inside,
}

impl Network {
    /// `None` where it cannot be had: it takes root, and a kernel and a container that let it be made.
    pub fn start() -> Option<Self> {
        on_path("ip").or_else(|| missing("iproute2"))?;
        if !geteuid().is_root() {
            return skipped("only root may make networks");
        }
        let router = match namespace() {
            Ok(namespace) => Inside::enter(&namespace),
            Err(error) => return skipped(&format!("networks cannot be made here: {error}")),
        };
        let forwards = [("ip_forward", "1"), ("conf/all/accept_local", "1"), ("conf/default/accept_local", "1")];
        for (setting, value) in forwards {
            if let Err(error) = set(setting, value) {
                return skipped(&format!("nothing can be made to forward here: {setting}: {error}"));
            }
        }
        match refuser() {
            Ok(refuser) => {
                Some(Self { hosts: Cell::new(0), rules: RefCell::default(), _refuser: refuser, _router: router })
            }
            Err(error) => skipped(&format!("namespaces cannot be joined here: {error}")),
        }
    }

    /// Another host, which reaches all others.
    #[track_caller]
    pub fn host(&self) -> Host {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let host = join(Ipv4Addr::new(198, 18, 1, number), &format!("host{number}"), "via 198.18.0.1");
        host.unwrap_or_else(|error| panic!("no host {number}: {error}"))
    }

    /// Nothing comes through between them.
    pub fn cut(&self, one: &Host, other: &Host) {
        self.cut_way(one, other);
        self.cut_way(other, one);
    }

    /// Nothing comes through that one sends to the other; that one's packets do, unless they have to be answered.
    pub fn cut_way(&self, from: &Host, to: &Host) {
        self.rule(format!("from {} to {} blackhole", from.address(), to.address()));
    }

    /// It is alone.
    pub fn isolate(&self, host: &Host) {
        self.rule(format!("from {} to {HOSTS} blackhole", host.address()));
        self.rule(format!("from {HOSTS} to {} blackhole", host.address()));
    }

    /// What one sends to the other is answered as if nobody listened there, and breaks what is connected.
    pub fn reject(&self, from: &Host, to: &Host) {
        self.rule(format!("from {} to {} lookup {REFUSED}", from.address(), to.address()));
    }

    /// All that was cut or rejected comes through again.
    pub fn heal(&self) {
        let rules = self.rules.take();
        change(&rules.iter().map(|rule| format!("rule del {rule}")).collect::<Vec<_>>());
    }

    fn rule(&self, rule: String) {
        change(&[format!("rule add {rule}")]);
        self.rules.borrow_mut().push(rule);
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    eprintln!("SKIPPED: this test needs a network of its own, and {why}");
    None
}

/// A new one, in which nothing but loopback is there.
fn namespace() -> Result<File, String> {
    let made = thread::spawn(|| {
        #[expect(deprecated, reason = "it is unsafe to part files, not networks, and tests have no unsafe code")]
        rustix::thread::unshare(UnshareFlags::NEWNET).map_err(|error| error.to_string())?;
        // Answers may come another way than questions go.
        set("conf/all/rp_filter", "0").map_err(|error| error.to_string())?;
        set("conf/default/rp_filter", "0").map_err(|error| error.to_string())?;
        ip(&["link set lo up".to_owned()])?;
        current().map_err(|error| error.to_string())
    });
    made.join().expect("because nothing in it panics")
}

/// A host of the router's: `device` there leads to it, and `default` leads away from it.
fn join(address: Ipv4Addr, device: &str, default: &str) -> Result<Host, String> {
    let namespace = namespace()?;
    let place = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&namespace));
    ip(&[
        format!("link add {device} type veth peer name eth0 netns {place}"),
        format!("address add {ROUTER}/32 dev {device}"),
        format!("link set {device} up"),
        format!("route add {address}/32 dev {device}"),
    ])?;
    let host = Host::new(address, namespace);
    host.run(|| {
        ip(&[
            format!("address add {address}/32 dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add {ROUTER}/32 dev eth0"),
            format!("route add default {default}"),
        ])
    })?;
    Ok(host)
}

/// All addresses of hosts are its own where something comes in, and none where it answers.
fn refuser() -> Result<Host, String> {
    let host = join(REFUSER, "refuser", &format!("via {ROUTER} table {REFUSED}"))?;
    host.run(|| {
        ip(&[
            format!("rule add iif lo lookup {REFUSED} priority 1"),
            "rule add lookup local priority 2".to_owned(),
            "rule del priority 0".to_owned(),
            format!("route add local {HOSTS} dev lo table local"),
        ])
    })?;
    ip(&[format!("route add default via {REFUSER} table {REFUSED}")])?;
    Ok(host)
}

/// Of the namespace that this thread is in.
fn set(setting: &str, value: &str) -> std::io::Result<()> {
    fs::write(format!("/proc/sys/net/ipv4/{setting}"), value)
}

#[track_caller]
fn change(commands: &[String]) {
    ip(commands).unwrap_or_else(|error| panic!("{commands:?}: {error}"));
}

/// In the namespace that this thread is in.
fn ip(commands: &[String]) -> Result<(), String> {
    let mut ip = Command::new("ip");
    ip.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut ip = ip.spawn().map_err(|error| error.to_string())?;
    if let Some(mut commands_in) = ip.stdin.take() {
        let _ = commands_in.write_all((commands.join("\n") + "\n").as_bytes());
    }
    let said = ip.wait_with_output().map_err(|error| error.to_string())?;
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use super::*;
    use crate::until;

    const PORT: u16 = 7_117;
    /// Far more than a packet takes.
    const PATIENCE: Duration = Duration::from_millis(500);

    fn connect(from: &Host, to: &Host) -> Result<TcpStream, ErrorKind> {
        from.run(|| TcpStream::connect_timeout(&(to.address(), PORT).into(), PATIENCE)).map_err(|error| error.kind())
    }

    fn here() -> u64 {
        current().unwrap().metadata().unwrap().ino()
    }

    #[test]
    fn what_is_cut_is_silent_and_what_is_rejected_refuses() {
        let before = here();
        let Some(network) = Network::start() else { return };
        let [a, b, c] = [(); 3].map(|()| network.host());
        let listener = b.run(|| TcpListener::bind((b.address(), PORT)).unwrap());
        let accept = || listener.accept().unwrap().0;

        let mut sender = connect(&a, &b).unwrap();
        let mut receiver = accept();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut passes = |passes: bool| {
            sender.write_all(b"x").unwrap();
            let read = receiver.read(&mut [0; 8]).map_err(|error| error.kind());
            assert_eq!(read, if passes { Ok(1) } else { Err(ErrorKind::WouldBlock) });
        };
        passes(true);
        network.cut(&a, &b);
        passes(false);
        assert_eq!(connect(&a, &b).unwrap_err(), ErrorKind::TimedOut);
        connect(&c, &b).expect("the third is not cut off");
        drop(accept());
        network.heal();
        until("what was sent to arrive after all", 10, || receiver.read(&mut [0; 8]).ok());

        network.isolate(&b);
        assert_eq!(connect(&c, &b).unwrap_err(), ErrorKind::TimedOut);
        TcpStream::connect_timeout(&(b.address(), PORT).into(), PATIENCE).expect("the test reaches everybody");
        drop(accept());
        network.heal();
        network.cut_way(&b, &c);
        assert_eq!(connect(&c, &b).unwrap_err(), ErrorKind::TimedOut, "answers do not arrive");
        network.heal();

        network.reject(&a, &b);
        assert_eq!(connect(&a, &b).unwrap_err(), ErrorKind::ConnectionRefused);
        connect(&c, &b).expect("the third is not rejected");
        until("what was connected to break", 10, || sender.write_all(b"x").is_err().then_some(()));
        drop(network);
        assert_eq!(here(), before, "the test is where it was");
    }
}
