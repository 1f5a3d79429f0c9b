//! `cargo xtask soak`: random harm to a cluster under load, for as long as asked.

use std::process::Command;

use anyhow::Result;

use crate::{need, step};

pub(crate) fn run(args: &[String]) -> Result<()> {
    need::meet(need::CLUSTER)?;
    let packages = ["scheduler-server", "executor-agent", "punctual-tests"];
    let binaries = step::build("scheduler-server, executor-agent and the soak", &packages)?;
    step::exec("soak; it begins in some seconds", Command::new(binaries.join("punctual-soak")).args(args))
}
