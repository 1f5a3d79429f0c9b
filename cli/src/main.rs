//! The binary `punctual`.

use std::process::ExitCode;

use punctual_cli::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match App::called().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut anstream::stderr()),
    }
}
