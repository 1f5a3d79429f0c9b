//! `cargo xtask bench`: measurements, in release builds.

use std::process::Command;

use anyhow::Result;

use crate::step;

/// The one benchmark that needs no server, and so is not `punctual-bench`'s.
const SCHEDULE: &str = "schedule";

pub(crate) fn run(name: Option<&str>) -> Result<()> {
    if name != Some(SCHEDULE) {
        step::run(
            "build punctual-bench and what it measures",
            step::cargo().args(["build", "--release", "--bins"]).args([
                "-p",
                "punctual-bench",
                "-p",
                "scheduler-server",
                "-p",
                "executor-agent",
                "-p",
                "punctual-cli",
            ]),
        )?;
        let what = format!("run punctual-bench {}", name.unwrap_or("(all)"));
        step::run(&what, Command::new(step::target()?.join("release/punctual-bench")).args(name))?;
    }
    if name.is_none_or(|name| name == SCHEDULE) {
        step::run("measure schedules", step::cargo().args(["bench", "--package", "scheduler-core"]))?;
    }
    Ok(())
}
