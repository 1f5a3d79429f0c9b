//! `cargo xtask dev`: one node with an embedded agent, from a fresh clone.
//!
//! The version of Rust is not looked at: cargo has compared it with `rust-version` before this was built.

use std::process::Command;

use anyhow::Result;

use crate::step;
use crate::tool;

pub(crate) fn run(args: &[String]) -> Result<()> {
    dashboard()?;
    let packages = ["scheduler-server", "executor-agent", "punctual-cli"];
    let binaries = step::build("scheduler-server, executor-agent and punctual", &packages)?;
    step::say(&format!("the binaries are in {}", binaries.display()));
    let shown: String = args.iter().flat_map(|arg| [" ", arg]).collect();
    step::exec(
        &format!("run scheduler-server dev{shown}"),
        Command::new(binaries.join("scheduler-server")).arg("dev").args(args),
    )
}

/// The server embeds the dashboard's assets when they are there, and serves a page that says so when they are not:
/// a machine without Node still gets everything else.
fn dashboard() -> Result<()> {
    let web = step::root().join("web");
    if !web.join("package.json").exists() {
        return Ok(());
    }
    if !step::succeeds(Command::new("npm").arg("--version")) {
        step::say("no dashboard: it is built with Node and npm, which are not on this machine");
        return Ok(());
    }
    tool::npm_ci(&web)?;
    step::run("build the dashboard", Command::new("npm").args(["run", "--silent", "build"]).current_dir(&web))
}
