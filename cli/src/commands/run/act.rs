//! What operators do with a run: cancel it, or have it done again.

use punctual_proto::v1::{CancelRunRequest, RetryRunRequest, run};

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, clap::Args)]
pub(crate) struct Cancel {
    /// Id of the run
    run_id: String,
    /// Why; shown with the run
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Retry {
    /// Id of the run, which must have ended
    run_id: String,
}

pub(crate) async fn cancel(args: Cancel, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = CancelRunRequest { namespace: settings.namespace.clone(), run_id: args.run_id, note: args.note };
    let run = server.answer(server.runs().cancel_run(request).await)?;
    view::show(settings.output, &run, |run, _| match run.state() {
        run::State::Cancelled => format!("cancelled {} of {}/{}\n", run.run_id, run.namespace, run.job_id),
        state => format!(
            "asked {} to end {}, now {}. See what comes of it: punctual run get {1}\n",
            run.agent_id,
            run.run_id,
            state.as_str_name()
        ),
    })
}

pub(crate) async fn retry(args: Retry, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = RetryRunRequest {
        namespace: settings.namespace.clone(),
        run_id: args.run_id.clone(),
        request_id: String::new(),
    };
    let run = server.answer(server.runs().retry_run(request).await)?;
    view::show(settings.output, &run, |run, _| {
        format!("{} repeats {}. See what comes of it: punctual run get {0}\n", run.run_id, args.run_id)
    })
}
