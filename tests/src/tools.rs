//! Tools of others that `cargo xtask test` installs. Without xtask a test may have to go without, and says so; under
//! xtask it fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("because the crate is in the workspace's folder")
}

/// `PUNCTUAL_TEST_GRPCURL`, else grpcurl from PATH.
pub fn grpcurl() -> Option<PathBuf> {
    let given = std::env::var_os("PUNCTUAL_TEST_GRPCURL").map(PathBuf::from);
    given.or_else(|| on_path("grpcurl")).or_else(|| missing("grpcurl"))
}

/// `PUNCTUAL_TEST_PYTHON`, which has the packages of `tests/clients/python`.
pub fn python() -> Option<PathBuf> {
    std::env::var_os("PUNCTUAL_TEST_PYTHON").map(PathBuf::from).or_else(|| missing("a Python with the clients"))
}

/// Node, if it is there together with the packages of the script that is to run on it.
pub fn node(script: &Path) -> Option<PathBuf> {
    let packages = script.parent().is_some_and(|folder| folder.join("node_modules").exists());
    on_path("node").filter(|_| packages).or_else(|| missing("node, or the packages of the script"))
}

/// SQLite's shell, which people back ledgers up with.
pub fn sqlite() -> Option<PathBuf> {
    on_path("sqlite3").or_else(|| missing("sqlite3"))
}

pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok().then(|| name.into())
}

/// xtask says where it has put the programs.
pub(crate) fn missing<T>(what: &str) -> Option<T> {
    assert!(std::env::var_os("PUNCTUAL_TEST_BIN_DIR").is_none(), "xtask has not brought {what}");
    eprintln!("SKIPPED: this test needs {what}; `cargo xtask test` brings it");
    None
}
