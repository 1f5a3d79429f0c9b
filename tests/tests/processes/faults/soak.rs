//! The soak itself, for a moment, so that it is there when somebody wants it for hours.

use std::process::Command;

use punctual_tests::{Said, program};

#[test]
fn a_short_soak_ends_with_a_verdict() {
    let said = Said::of(Command::new(program("punctual-soak")).args(["--seed", "7", "--harms", "3"]));
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    assert!(said.out.starts_with("seed 7\n"), "{}", said.out);
    assert!(said.out.contains("Every fire is accounted for once"), "{}", said.out);
}
