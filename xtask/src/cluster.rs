//! `cargo xtask cluster`: a cluster to play with, on a machine that may have nothing but Rust.

use std::process::Command;

use anyhow::Result;

use crate::{need, step};

pub(crate) fn run() -> Result<()> {
    need::meet(need::CLUSTER)?;
    let built = ["-p", "scheduler-server", "-p", "executor-agent", "-p", "punctual-cli", "-p", "punctual-tests"];
    step::run(
        "build scheduler-server, executor-agent, punctual and the cluster",
        step::cargo().args(["build", "--bins"]).args(built),
    )?;
    let binaries = step::debug_binaries()?;
    step::exec("run the cluster; it takes some seconds", &mut Command::new(binaries.join("punctual-cluster")))
}
