//! What is in a ledger, all of it, to be compared.

use std::process::Command;

use crate::node::Node;

/// Python has SQLite with it. The leader's row is left out: its watermark moves by itself.
const DUMP: &str = "import sqlite3, sys
for line in sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True).iterdump():
    if not line.startswith('INSERT INTO \"leadership\"'):
        print(line)
";

/// All rows of all tables.
pub(crate) fn dump(node: &Node) -> String {
    let output = Command::new("python3").args(["-c", DUMP]).arg(node.ledger()).output();
    let output = output.expect("because the tests need Python 3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dump = String::from_utf8(output.stdout).expect("because the ledger has text only");
    assert!(dump.contains("CREATE TABLE"), "{dump}");
    dump
}
