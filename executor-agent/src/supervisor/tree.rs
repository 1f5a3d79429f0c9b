//! The processes of this machine as a tree, read from `/proc`, and the end of parts of it.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait, waitpid};

/// Between two looks at what is left.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// Parent and session are unknown where they are outside of our pid namespace, and of a process that is just going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: Option<Pid>,
    session: Option<Pid>,
}

/// Kills all descendants of this process and reaps them; returns when it has none. A process that starts others faster
/// than it is killed cannot get away: what it leaves becomes our child, since we are a subreaper.
pub(super) fn kill_descendants(mut reaped: impl FnMut(Pid, WaitStatus)) {
    loop {
        if reap(&mut reaped) == Children::None {
            return;
        }
        for process in below(getpid(), &processes(), |_| true) {
            kill(process);
        }
        if reap(&mut reaped) == Children::None {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Kills what dead supervisors have left to this process: its children in a foreign session, `spared` aside, and all
/// below them. False when there was none: otherwise it is to be called again, for what they leave in turn.
pub(super) fn kill_orphans(spared: &HashSet<Pid>) -> bool {
    let processes = processes();
    // Not by `getsid`: the leader of our session may be outside of our pid namespace, and it knows no answer then.
    let Some(own) = processes.iter().find(|process| process.pid == getpid()) else { return false };
    let is_orphan = |process: &Process| process.session != own.session && !spared.contains(&process.pid);
    let orphans = below(own.pid, &processes, is_orphan);
    for pid in &orphans {
        kill(*pid);
        // Only our own children can be waited for; the others come to us when their parents are gone.
        let _ = waitpid(Some(*pid), WaitOptions::NOHANG);
    }
    !orphans.is_empty()
}

#[derive(PartialEq, Eq)]
pub(super) enum Children {
    Some,
    None,
}

/// Takes note of the children that have ended.
pub(super) fn reap(reaped: &mut impl FnMut(Pid, WaitStatus)) -> Children {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => reaped(pid, status),
            Ok(None) => return Children::Some,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Children::None,
        }
    }
}

/// The children of `root` that are chosen, and all their descendants.
fn below(root: Pid, processes: &[Process], chosen: impl Fn(&Process) -> bool) -> Vec<Pid> {
    let is_chosen = |process: &&Process| process.parent == Some(root) && chosen(process);
    let mut found: Vec<Pid> = processes.iter().filter(is_chosen).map(|process| process.pid).collect();
    let mut next = 0;
    while next < found.len() {
        let parent = Some(found[next]);
        found.extend(processes.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        next += 1;
    }
    found
}

fn kill(pid: Pid) {
    // It may be gone by now, which is as good.
    let _ = kill_process(pid, Signal::KILL);
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// `pid (name) state parent group session …`, where the name may be anything.
fn parse(stat: &str) -> Option<Process> {
    let pid = stat.split_once(' ')?.0.parse().ok().and_then(Pid::from_raw)?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(1);
    // Zero is outside of the namespace, -1 what the kernel says of a process that is gone by then.
    let mut id = || fields.next()?.parse().ok().map(|raw: i32| Pid::from_raw(raw.max(0)));
    let parent = id()?;
    let _group = id()?;
    let session = id()?;
    Some(Process { pid, parent, session })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pid(raw: i32) -> Option<Pid> {
        Pid::from_raw(raw)
    }

    #[test]
    fn a_process_cannot_hide_behind_its_name() {
        let stat = "42 (a) Z 1 (b) c) S 7 42 9 0 -1 4194560";
        let expected = Process { pid: pid(42).expect("valid"), parent: pid(7), session: pid(9) };
        assert_eq!(parse(stat), Some(expected));
    }

    #[test]
    fn a_process_that_is_gone_when_it_is_looked_at_has_no_parent_and_no_session() {
        let stat = "42 (sh) X 0 -1 -1 0 -1 4194304 85 76 0 0";
        let expected = Process { pid: pid(42).expect("valid"), parent: None, session: None };
        assert_eq!(parse(stat), Some(expected));
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let process = |own, parent| Process { pid: pid(own).expect("valid"), parent: pid(parent), session: pid(1) };
        let all = [process(9, 8), process(8, 2), process(2, 1), process(3, 1), process(7, 3), process(4, 5)];
        let found: BTreeSet<i32> = below(pid(1).expect("valid"), &all, |process| process.pid != pid(3).expect("valid"))
            .into_iter()
            .map(Pid::as_raw_nonzero)
            .map(i32::from)
            .collect();
        assert_eq!(found, BTreeSet::from([2, 8, 9]));
    }
}
