//! `cargo xtask cluster`: a cluster to play with, on a machine that may have nothing but Rust.

use std::process::Command;

use anyhow::Result;

use crate::{need, step};

pub(crate) fn run() -> Result<()> {
    need::meet(need::CLUSTER)?;
    let packages = ["scheduler-server", "executor-agent", "punctual-cli", "punctual-tests"];
    let binaries = step::build("scheduler-server, executor-agent, punctual and the cluster", &packages)?;
    step::exec("run the cluster; it takes some seconds", &mut Command::new(binaries.join("punctual-cluster")))
}
