//! The soak itself, for a moment, so that it is there when somebody wants it for hours.

use std::process::Command;

use punctual_tests::{Said, program};

#[test]
fn a_short_soak_ends_with_a_verdict() {
    let said = Said::of(Command::new(program("punctual-soak")).args(["--seed", "7", "--harms", "2", "--rounds", "2"]));
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    assert!(said.out.starts_with("seed 7\n"), "{}", said.out);
    assert_eq!(said.out.matches("Every fire is accounted for once").count(), 2, "{}", said.out);
}
