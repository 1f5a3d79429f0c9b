//! The cluster of `cargo xtask cluster`.

use std::net::TcpStream;

use punctual_tests::{Cli, Process, folder, lives, until};
use rustix::process::{Pid, Signal, kill_process};

/// What follows a word in a line of what the cluster says of itself.
#[track_caller]
fn after<'a>(said: &'a str, line: &str, word: &str) -> &'a str {
    let line = said.lines().find(|found| found.trim_start().starts_with(line)).expect("because it says so");
    let (_, rest) = line.split_once(word).expect("because it says so");
    rest.split_whitespace().next().expect("because something follows")
}

fn answers(url: &str) -> bool {
    let (_, address) = url.split_once("://").expect("a URL");
    let address = address.rsplit_once('@').map_or(address, |(_, address)| address);
    TcpStream::connect(address.split('/').next().expect("an address")).is_ok()
}

#[test]
fn a_cluster_to_play_with_brings_back_what_is_killed_and_leaves_nothing_running_however_it_ends() {
    for (signal, is_orderly) in [(Signal::INT, true), (Signal::KILL, false)] {
        let folder = folder();
        let mut cluster = Process::start("cluster", folder.path(), "punctual-cluster", &[]);
        let said = until("the cluster to be ready", 120, || {
            let said = cluster.log();
            assert!(cluster.status().is_none(), "it has ended: {said}");
            said.contains("\nReady.").then_some(said)
        });
        let node = after(&said, "node-1", "node-1");
        let status = Cli::new(folder.path(), node).ok(&["status"]);
        assert!(status.contains("node-"), "somebody leads: {status}");
        let urls = [node, after(&said, "Postgres", "Postgres")];
        let members = after(&said, "etcd", "etcd").split(',');
        let urls: Vec<&str> = urls.into_iter().chain(members).collect();
        let programs = ["node-0", "node-1", "node-2", "agent-a", "agent-b"];
        let pids = programs.map(|name| after(&said, name, "pid ").parse::<u32>().expect("a number"));
        assert!(pids.iter().all(|pid| lives(*pid)) && urls.iter().all(|url| answers(url)), "{said}");
        if is_orderly {
            kill_process(Pid::from_raw(pids[1].cast_signed()).expect("a pid"), Signal::KILL).expect("because it lives");
            until("the server that was killed to be back", 60, || {
                let log = cluster.log();
                let is_back = log.lines().any(|line| line.starts_with("node-1 is back"));
                (is_back && answers(node)).then_some(())
            });
        }
        let data = after(&said, "A cluster", "play with, in ").trim_end_matches('.');

        cluster.signal(signal);
        assert_eq!(cluster.exit(30).success(), is_orderly);
        until("all of it to be gone", 30, || {
            let is_there = pids.iter().any(|pid| lives(*pid)) || urls.iter().any(|url| answers(url));
            (!is_there).then_some(())
        });
        assert_eq!(std::path::Path::new(data).exists(), !is_orderly, "an orderly end leaves no data, either");
        let _ = std::fs::remove_dir_all(data);
    }
}
