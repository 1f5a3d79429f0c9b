//! Streams of the server that go on over broken connections and restarts: each message says where to go on from.

use std::io;
use std::time::Duration;

use punctual_proto::v1::{Run, RunLogChunk, TailRunLogsRequest, WatchRunsRequest};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::Settings;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// When to try again, and whether the user has been told that it must be.
struct Patience {
    server: String,
    pause: Duration,
    told: bool,
}

impl Patience {
    fn new(settings: &Settings) -> Self {
        Self { server: settings.server.clone(), pause: FIRST_PAUSE, told: false }
    }

    /// A server that answers is there.
    fn is_answered(&mut self) {
        if self.told {
            anstream::eprintln!("{} is back", self.server);
        }
        (self.pause, self.told) = (FIRST_PAUSE, false);
    }

    async fn wait(&mut self, why: &str) {
        if !self.told {
            anstream::eprintln!("connection to {} lost ({why}); trying again, end it with Ctrl-C", self.server);
            self.told = true;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the server may be back in a moment: it stops, it has no leader, or the connection broke.
fn passes(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || matches!(status.code(), Code::Unavailable | Code::Unknown)
}

/// Hands what a run's task writes to `take`, until the run has ended.
pub(crate) async fn output(
    server: &Server,
    settings: &Settings,
    run_id: &str,
    mut take: impl FnMut(&RunLogChunk) -> io::Result<()>,
) -> Result<(), Failure> {
    let (namespace, run_id) = (settings.namespace.clone(), run_id.to_owned());
    let mut request = TailRunLogsRequest { namespace, run_id, resume_token: String::new() };
    let mut patience = Patience::new(settings);
    loop {
        let status = match server.runs().tail_run_logs(request.clone()).await {
            Err(status) => status,
            Ok(stream) => {
                let mut stream = stream.into_inner();
                patience.is_answered();
                loop {
                    match stream.message().await {
                        Ok(None) => return Ok(()),
                        Ok(Some(message)) => {
                            message.chunk.iter().try_for_each(&mut take)?;
                            request.resume_token = message.resume_token;
                        }
                        Err(status) => break status,
                    }
                }
            }
        };
        if !passes(&status) {
            return Err(Failure::Refused(Box::new(status)));
        }
        patience.wait(status.message()).await;
    }
}

/// Hands each state of each run to `take`, until that says that it is enough.
pub(crate) async fn runs(
    server: &Server,
    settings: &Settings,
    mut request: WatchRunsRequest,
    mut take: impl FnMut(&Run) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut patience = Patience::new(settings);
    loop {
        let status = match server.runs().watch_runs(request.clone()).await {
            Err(status) => status,
            Ok(stream) => {
                let mut stream = stream.into_inner();
                patience.is_answered();
                loop {
                    match stream.message().await {
                        // A server that ends the stream without a word is one that goes.
                        Ok(None) => break Status::unavailable("the server ended the stream"),
                        Ok(Some(message)) => {
                            request.resume_token = message.resume_token;
                            if let Some(run) = &message.run
                                && take(run)?
                            {
                                return Ok(());
                            }
                        }
                        Err(status) => break status,
                    }
                }
            }
        };
        if is_expired(&status) {
            anstream::eprintln!("what happened meanwhile is not remembered any more; going on with the runs not ended");
            request.resume_token.clear();
            continue;
        }
        if !passes(&status) {
            return Err(Failure::Refused(Box::new(status)));
        }
        patience.wait(status.message()).await;
    }
}

fn is_expired(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == "RESUME_TOKEN_EXPIRED")
}
