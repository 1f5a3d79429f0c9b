//! Where the programs under test are.

use std::path::{Path, PathBuf};

/// The path of a program of this workspace, an example being `examples/<name>`: in `PUNCTUAL_TEST_BIN_DIR`, else where cargo puts it.
pub fn program(name: &str) -> PathBuf {
    let program = folder().join(name);
    assert!(
        program.exists(),
        "there is no {}: build it with `cargo build --workspace --bins --examples`, or run `cargo xtask test`",
        program.display()
    );
    program
}

/// The folder of the programs. A test's executable is in its subfolder `deps`.
pub(crate) fn folder() -> PathBuf {
    if let Some(given) = std::env::var_os("PUNCTUAL_TEST_BIN_DIR") {
        return given.into();
    }
    let test = std::env::current_exe().expect("because the system knows which program runs");
    test.parent().and_then(Path::parent).expect("because cargo builds tests into target/<profile>/deps").to_owned()
}
