//! Completions for the shells that clap knows.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::app::App;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // Into memory first: the generator panics when the pipe it writes to is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut App::command(), "punctual", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(())
}
