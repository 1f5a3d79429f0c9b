//! `cargo xtask soak`: random harm to a cluster under load, for as long as asked.

use std::process::Command;

use anyhow::Result;

use crate::{need, step};

pub(crate) fn run(args: &[String]) -> Result<()> {
    need::meet(need::CLUSTER)?;
    let built = ["-p", "scheduler-server", "-p", "executor-agent", "-p", "punctual-tests"];
    step::run(
        "build scheduler-server, executor-agent and the soak",
        step::cargo().args(["build", "--bins"]).args(built),
    )?;
    let binaries = step::debug_binaries()?;
    step::exec("soak; it begins in some seconds", Command::new(binaries.join("punctual-soak")).args(args))
}
