//! The `scheduler-server` program.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use scheduler_server::settings::{Command, LogFormat, Program, TokenCommand};
use scheduler_server::{bootstrap, moving, restored, server, store};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // First: this may be the supervisor of one of the embedded agent's tasks.
    executor_agent::init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// The whole chain of causes, without those that the words before have told already.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

fn run() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = match Program::parse().command {
        Command::Dev(flags) => flags.resolve()?,
        Command::Serve(flags) => flags.resolve()?,
        Command::Migrate(flags) => {
            let settings = flags.resolve()?;
            return match settings.restored {
                true => runtime.block_on(restored::run(&settings.ledger)),
                false => runtime.block_on(store::migrate(&settings.ledger)),
            };
        }
        Command::Move(flags) => return runtime.block_on(moving::run(&flags.resolve()?)),
        Command::Token(TokenCommand::Bootstrap(flags)) => return runtime.block_on(bootstrap::run(flags.resolve()?)),
    };
    log_to_stderr(settings.log_format);
    runtime.block_on(server::run(settings))
}

fn log_to_stderr(format: Option<LogFormat>) {
    let is_terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => builder.with_ansi(is_terminal).init(),
        LogFormat::Json => builder.json().init(),
    }
}
