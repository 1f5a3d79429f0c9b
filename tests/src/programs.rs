//! Where the programs under test are.

use std::path::PathBuf;

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

/// The folder of the programs: this one's own, or, of a test, the one above `deps`.
pub(crate) fn folder() -> PathBuf {
    if let Some(given) = std::env::var_os("PUNCTUAL_TEST_BIN_DIR") {
        return given.into();
    }
    let program = std::env::current_exe().expect("because the system knows which program runs");
    let folder = program.parent().expect("because a program is in a folder");
    let above = folder.parent().filter(|_| folder.file_name().is_some_and(|name| name == "deps"));
    above.unwrap_or(folder).to_owned()
}
