//! `punctual job trigger`.

use std::time::Duration;

use prost_types::{Struct, Timestamp};
use punctual_proto::v1::{GetRunRequest, TriggerJobRequest, run};

use crate::client::Server;
use crate::commands::run::logs::Paper;
use crate::commands::{follow, labels};
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::{value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    id: String,
    /// A JSON object, merged over the payload of the job for this run
    #[arg(long, value_name = "JSON", value_parser = value::payload)]
    payload: Option<Struct>,
    /// A label of this run; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// Do not start before this instant: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    not_before: Option<Timestamp>,
    /// Makes the call safe to repeat for 24 h: with the same id it enters no second run
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Print what the task writes until the run has ended; the exit code is 0 if it succeeded
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = TriggerJobRequest {
        namespace: settings.namespace.clone(),
        job_id: args.id,
        payload: args.payload,
        labels: labels(args.labels),
        not_before: args.not_before,
        request_id: args.request_id,
    };
    let run = server.answer(server.jobs().trigger_job(request).await)?;
    if args.wait {
        return wait(&server, settings, &run.run_id).await;
    }
    view::show(settings.output, &run, |run, _| format!("{}\n", run.run_id))
}

/// How often it is looked whether the run waits for something.
const LOOK: Duration = Duration::from_secs(1);

/// For people what the task writes, as it comes, then how the run ended; for programs the run at its end.
async fn wait(server: &Server, settings: &Settings, run_id: &str) -> Result<(), Failure> {
    let mut paper = Paper::new(settings.output);
    let output = follow::output(server, settings, run_id, |chunk| match settings.output {
        Output::Table => {
            paper.write(chunk)?;
            paper.flush()
        }
        Output::Json => Ok(()),
    });
    let request = GetRunRequest { namespace: settings.namespace.clone(), run_id: run_id.to_owned() };
    tokio::select! {
        biased;
        ended = output => ended?,
        () = say_what_it_waits_for(server, &request) => {}
    }
    let run = server.answer(server.runs().get_run(request).await)?;
    if settings.output == Output::Json {
        view::show(Output::Json, &run, view::run)?;
    }
    let ended = view::ended(&run);
    if run.state() != run::State::Succeeded {
        return Err(Failure::Unsuccessful(ended));
    }
    if settings.output == Output::Table {
        anstream::eprintln!("{ended}");
    }
    Ok(())
}

/// Without an end. A server that is not there is told of by the stream of output.
async fn say_what_it_waits_for(server: &Server, request: &GetRunRequest) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(answer) = server.runs().get_run(request.clone()).await else { continue };
        let run = answer.into_inner();
        let waits = run.state() == run::State::Pending && run.reason() != run::Reason::Unspecified;
        let why = if waits { run.reason_message.clone() } else { String::new() };
        if !why.is_empty() && why != told {
            let hint = match run.reason() {
                run::Reason::NoAgent | run::Reason::UnknownTaskType => "; see who is there: punctual agent list",
                _ => "",
            };
            anstream::eprintln!("waiting: {why}{hint}");
        }
        told = why;
    }
}
