//! What must be on the machine, and the packages that bring it. A new need is a new row.

use std::process::Command;

use anyhow::{Result, bail};

use crate::step;

pub(crate) struct Need {
    name: &'static str,
    /// Succeeds when the need is met.
    probe: &'static [&'static str],
    /// The packages of Debian and Ubuntu that meet it.
    packages: &'static [&'static str],
    why: &'static str,
}

impl Need {
    pub(crate) const fn new(
        name: &'static str,
        probe: &'static [&'static str],
        packages: &'static [&'static str],
        why: &'static str,
    ) -> Self {
        Self { name, probe, packages, why }
    }
}

const POSTGRES: Need = Need {
    name: "Postgres's server",
    probe: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb || command -v initdb"],
    // The cluster that Debian makes with it, on its own port, is in nobody's way.
    packages: &["postgresql"],
    why: "ledgers are in private Postgres servers",
};
const ETCD: Need = Need {
    name: "etcd",
    probe: &["sh", "-c", "etcd --version && etcdctl version"],
    packages: &["etcd-server", "etcd-client"],
    why: "clusters have private ones",
};

/// What a cluster to play with is made of.
pub(crate) const CLUSTER: &[Need] = &[POSTGRES, ETCD];

/// What the tests use.
pub(crate) const TEST: &[Need] = &[
    Need {
        name: "Python 3 with venv",
        probe: &["python3", "-c", "import ensurepip, venv"],
        packages: &["python3", "python3-venv"],
        why: "the clients and checkers of the API that the tests call are Python packages",
    },
    Need {
        name: "Node",
        probe: &["node", "--version"],
        packages: &["nodejs"],
        why: "the gRPC-Web client of the tests runs on it",
    },
    Need {
        name: "npm",
        probe: &["npm", "--version"],
        packages: &["npm"],
        why: "it brings the gRPC-Web client and buf",
    },
    POSTGRES,
    Need {
        name: "SQLite's shell",
        probe: &["sqlite3", "--version"],
        packages: &["sqlite3"],
        why: "the tests back ledgers up with it, as the page on operating says",
    },
    ETCD,
    Need {
        name: "ip",
        probe: &["ip", "-Version"],
        packages: &["iproute2"],
        why: "the networks that tests cut are made with it",
    },
];

/// Installs what is missing where apt-get can, and otherwise says in a line each how to get it.
pub(crate) fn meet(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        step::say(&format!("{} is missing: {}", need.name, need.why));
    }
    if let Err(error) = install(missing.iter().flat_map(|need| need.packages)) {
        step::say(&format!("{error:#}"));
    }
    let missing: Vec<String> = missing.iter().filter(|need| !need.is_met()).map(|need| need.advice()).collect();
    if !missing.is_empty() {
        bail!("{}", missing.join("\nxtask: "));
    }
    Ok(())
}

fn install(packages: impl Iterator<Item = &'static &'static str>) -> Result<()> {
    if !step::succeeds(Command::new("apt-get").arg("--version")) {
        bail!("there is no apt-get on this machine to install it with");
    }
    step::run("refresh the list of packages", apt_get().arg("update"))?;
    let packages: Vec<&str> = packages.copied().collect();
    step::run(
        &format!("install {}", packages.join(", ")),
        apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages),
    )
}

fn apt_get() -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    if !is_root {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    command
}

impl Need {
    fn is_met(&self) -> bool {
        let (program, args) = self.probe.split_first().expect("because a probe names its program");
        step::succeeds(Command::new(program).args(args))
    }

    fn advice(&self) -> String {
        let packages = self.packages.join(" ");
        format!(
            "{} is needed ({}): install it, on Debian or Ubuntu with `apt-get install {packages}`",
            self.name, self.why
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MET: Need = Need { name: "sh", probe: &["sh", "-c", "true"], packages: &[], why: "a shell is always there" };
    const UNMET: Need =
        Need { name: "a unicorn", probe: &["sh", "-c", "false"], packages: &["unicorn"], why: "it is pretty" };

    #[test]
    fn a_need_that_is_met_installs_nothing() {
        meet(&[MET]).unwrap();
    }

    #[test]
    fn the_advice_names_the_thing_its_reason_and_its_package() {
        assert!(!UNMET.is_met());
        let advice = UNMET.advice();
        for part in [UNMET.name, UNMET.why, "apt-get install unicorn"] {
            assert!(advice.contains(part), "{advice}");
        }
    }
}
