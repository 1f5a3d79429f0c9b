//! Tools that live inside the checkout or in cargo's own folder: kept where they were put, installed again when they
//! no longer run or their lock file has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::step;

/// Where the tests find grpcurl. Set by hand, it is believed, and nothing is installed.
pub(crate) const GRPCURL_VARIABLE: &str = "PUNCTUAL_TEST_GRPCURL";
/// Where they find a Python that has the packages of [`REQUIREMENTS`]. It, too, is believed.
pub(crate) const PYTHON_VARIABLE: &str = "PUNCTUAL_TEST_PYTHON";
const REQUIREMENTS: &str = "tests/clients/python/requirements.txt";

/// The Python clients of the tests. grpcurl, a Go program, comes as a package with the real one inside.
pub(crate) struct Clients {
    pub(crate) python: PathBuf,
    pub(crate) grpcurl: PathBuf,
}

/// Those of the variables, or else of a private environment with the packages that the tests name.
pub(crate) fn clients() -> Result<Clients> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let (Some(python), Some(grpcurl)) = (given(PYTHON_VARIABLE), given(GRPCURL_VARIABLE)) {
        return Ok(Clients { python, grpcurl });
    }
    let venv = step::target()?.join("tools/clients");
    let (python, grpcurl) = (venv.join("bin/python"), venv.join("bin/grpcurl"));
    let requirements = step::root().join(REQUIREMENTS);
    let wanted = fs::read(&requirements).with_context(|| format!("there is no {REQUIREMENTS}"))?;
    // Written last, so that it is there only if the install came to its end.
    let installed = venv.join("installed.txt");
    let is_current = fs::read(&installed).is_ok_and(|installed| installed == wanted);
    if !is_current || !step::succeeds(Command::new(&python).arg("--version")) {
        step::run(
            "make a Python environment for the clients of the tests",
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv),
        )?;
        step::run(
            "install them into it",
            Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements),
        )
        .with_context(|| {
            format!("no clients: set {PYTHON_VARIABLE} and {GRPCURL_VARIABLE} to your own, or see what pip says")
        })?;
        fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    }
    Ok(Clients {
        python: given(PYTHON_VARIABLE).unwrap_or(python),
        grpcurl: given(GRPCURL_VARIABLE).unwrap_or(grpcurl),
    })
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
