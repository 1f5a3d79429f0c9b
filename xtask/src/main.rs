//! The chores of the repository, run as `cargo xtask <command>`: set-up, and then what was asked for.
//!
//! It exists so that a fresh machine with Rust needs two commands and no page of instructions. It has next to no
//! dependencies, because everything else waits for it to be built. It is not part of the product: nothing that a
//! deployed server, agent or client needs belongs here.

use std::process::ExitCode;

mod bench;
mod cluster;
mod dev;
mod instructions;
mod need;
mod soak;
mod step;
mod test;
mod tool;

const USAGE: &str = "\
usage: cargo xtask <command>

  dev [-- ARGS]   builds and runs `scheduler-server dev ARGS`: one node with an embedded agent
  cluster         runs three servers, three members of etcd, Postgres and two agents to play with,
                  and prints their addresses and what to try
  soak [ARGS]     does harm to such a cluster under load, at random, and judges what has come of it:
                  --minutes N (default 10), --seed S
  test [ARGS]     gets what the tests need, then runs every test; ARGS go to `cargo nextest run`
                  and leave the doc tests out (for example: -E 'package(ledger)')
  bench [NAME]    runs all benchmarks or one, in release builds
  bench instructions [--write]
                  counts the instructions of a schedule's step against the stored baseline
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match Chore::parse(&args) {
        Some(Chore::Dev(args)) => dev::run(args),
        Some(Chore::Cluster) => cluster::run(),
        Some(Chore::Soak(args)) => soak::run(args),
        Some(Chore::Test(args)) => test::run(args),
        Some(Chore::Bench(name)) => bench::run(name),
        Some(Chore::Instructions { write }) => instructions::run(write),
        Some(Chore::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        None => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Chore<'a> {
    Dev(&'a [String]),
    Cluster,
    Soak(&'a [String]),
    Test(&'a [String]),
    Bench(Option<&'a str>),
    Instructions { write: bool },
    Help,
}

impl<'a> Chore<'a> {
    /// None is a mistake in the command line.
    fn parse(args: &'a [String]) -> Option<Self> {
        let (command, rest) = args.split_first()?;
        // `cargo xtask dev -- --listen X` and `cargo xtask dev --listen X` mean the same.
        let rest = match rest.split_first() {
            Some((first, rest)) if first == "--" => rest,
            _ => rest,
        };
        match (command.as_str(), rest) {
            ("dev", args) => Some(Self::Dev(args)),
            ("cluster", []) => Some(Self::Cluster),
            ("soak", args) => Some(Self::Soak(args)),
            ("test", args) => Some(Self::Test(args)),
            ("bench", []) => Some(Self::Bench(None)),
            ("bench", [name]) if name == "instructions" => Some(Self::Instructions { write: false }),
            ("bench", [name, flag]) if name == "instructions" && flag == "--write" => {
                Some(Self::Instructions { write: true })
            }
            ("bench", [name]) => Some(Self::Bench(Some(name))),
            ("help" | "--help" | "-h", []) => Some(Self::Help),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_double_dash_is_optional_and_later_ones_are_kept() {
        let wanted = strings(&["--listen", "127.0.0.1:0", "--", "x"]);
        for line in [
            &["dev", "--listen", "127.0.0.1:0", "--", "x"][..],
            &["dev", "--", "--listen", "127.0.0.1:0", "--", "x"][..],
        ] {
            assert_eq!(Chore::parse(&strings(line)), Some(Chore::Dev(&wanted)), "{line:?}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        for line in [&[][..], &["tets"], &["bench", "one", "two"], &["cluster", "me"], &["--", "dev"], &["help", "me"]]
        {
            assert_eq!(Chore::parse(&strings(line)), None, "{line:?}");
        }
    }
}
