//! The binary `punctual`.

use std::process::ExitCode;

use clap::Parser;
use punctual_cli::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match App::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut anstream::stderr()),
    }
}
