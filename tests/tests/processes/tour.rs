//! The README promises that a test runs every command of its tour. This is the test.

use std::env;
use std::process::Command;

use punctual_tests::{Said, Server, folder, program, root};

const PORT: &str = "127.0.0.1:7117";

/// The blocks of shell under the heading `## Tour`.
fn blocks(readme: &str) -> Vec<String> {
    let tour = readme.lines().skip_while(|line| *line != "## Tour").skip(1).take_while(|line| !line.starts_with("## "));
    let mut blocks = Vec::new();
    let mut open = None;
    for line in tour {
        match (line, &mut open) {
            ("```sh", None) => open = Some(String::new()),
            ("```", Some(_)) => blocks.extend(open.take()),
            (line, Some(block)) => {
                block.push_str(line);
                block.push('\n');
            }
            (_, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the tour has no end");
    blocks
}

#[test]
fn every_command_of_the_readmes_tour_works() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    let blocks = blocks(&readme);
    assert!(!blocks.is_empty(), "the README has a tour");
    assert!(!readme.contains("```sh no-test"), "a tour that is not run promises too much");
    let folder = folder();
    let server = Server::with_agent(folder.path());
    let programs = program("punctual").parent().expect("because it is in a folder").display().to_string();
    let path = format!("{programs}:{}", env::var("PATH").expect("a PATH"));
    for block in blocks {
        let mut shell = Command::new("sh");
        // -e: the first command that fails ends it; -v: and is the last that it has shown.
        shell.args(["-evc", &block.replace(PORT, &server.address())]).current_dir(folder.path());
        shell.env("PATH", &path).env("HOME", folder.path()).env("PUNCTUAL_SERVER", server.url());
        let said = Said::of(&mut shell);
        assert_eq!(said.code, Some(0), "{block}\n{}\n{}", said.out, said.err);
    }
}
