//! Steps: commands that are announced in one line, so that whoever waits knows for what.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Announces the command and waits for it to succeed.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    say(what);
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Builds the programs of these packages for this machine, and says where they are.
pub(crate) fn build(what: &str, packages: &[&str]) -> Result<PathBuf> {
    let built = packages.iter().flat_map(|package| ["-p", package]);
    run(&format!("build {what}"), cargo().args(["build", "--bins"]).args(built))?;
    debug_binaries()
}

/// Announces the command and becomes it, so that signals reach it and its exit code is ours. Returns only an error.
pub(crate) fn exec(what: &str, command: &mut Command) -> Result<()> {
    say(what);
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", shown(command)))
}

/// Whether the command can be run and succeeds; what it prints is nobody's concern.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// The cargo that runs this, so that both use one toolchain.
///
/// It is not told what cargo tells the programs it runs about their package: build scripts such as ring's look at these
/// variables, and everything above ring would be built again after each change between `cargo build` and xtask.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let told =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if told {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("because xtask is a folder of the workspace")
}

/// Where debug builds of this workspace put their binaries: where this one lies. It follows every way of moving the
/// target folder, with no need to ask cargo.
pub(crate) fn debug_binaries() -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot tell where xtask lies")?;
    Ok(here.parent().expect("because an executable lies in a folder").to_path_buf())
}

/// The target folder: for binaries of other profiles, and for tools that `cargo clean` may take away.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(debug_binaries()?.parent().expect("because target/debug has a parent").to_path_buf())
}

fn shown(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_cargo_is_not_told_of_xtasks_package() {
        let cargo = cargo();
        let removed = |name: &str| cargo.get_envs().any(|(known, value)| known == name && value.is_none());
        assert!(removed("CARGO_MANIFEST_DIR") && removed("CARGO_PKG_NAME"));
    }
}
