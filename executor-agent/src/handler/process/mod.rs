//! `process`: runs a program of this machine under a supervisor (see [`crate::supervisor`]).

mod environment;
mod files;
mod output;
mod payload;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::files::Files;
use self::payload::Payload;
use super::secrets::Secrets;
use super::{Context, Handler, LogStream};
use crate::isolation::Confinement;
use crate::session::{Completion, Failure, Task};
use crate::supervisor::{Command, Control, End, Order, Supervised, Supervisor, Watched, Word, Words, sweep};
use crate::time::Boot;

/// How long a supervisor may take to kill its tree before it is killed itself.
const SUPERVISOR_KILLS_IN: Duration = Duration::from_secs(1);
/// How long a supervisor waits for the agent's kill after the grace has passed, before it kills by its own clock.
const AGENT_KILLS_IN: Duration = Duration::from_secs(1);
/// How long output is awaited after everything that could write it is dead.
const OUTPUT_ENDS_IN: Duration = Duration::from_secs(2);
/// How often the progress file is looked at.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Process {
    supervisor: Supervisor,
    /// Where tasks' files are, if they have no folder of their own.
    folder: PathBuf,
    /// Names of the agent's variables that tasks get too.
    pass_env: Vec<String>,
    secrets: Secrets,
    confinement: Confinement,
}

/// How a task ended, as its supervisor told it.
enum Told {
    Ended(End),
    NotStarted {
        message: String,
        retryable: bool,
    },
    /// The supervisor is dead and told nothing.
    Nothing,
}

impl Process {
    pub(crate) fn new(
        supervisor: Supervisor,
        folder: PathBuf,
        pass_env: Vec<String>,
        secrets: Secrets,
        confinement: Confinement,
    ) -> Self {
        Self { supervisor, folder, pass_env, secrets, confinement }
    }

    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let mut payload = Payload::parse(&context.task().payload)?;
        let mut filling = self.secrets.filling();
        payload.fill(&mut filling)?;
        let files = Files::create(&self.folder, &self.confinement, context.task(), filling.mask());
        let files = files.map_err(|error| no_start(&error))?;
        let command = self.command(&payload, context, &files).map_err(|error| no_start(&error))?;
        let label = context.task().key.to_string();
        let supervised = self.supervisor.start(command, &label).await.map_err(|error| no_start(&error))?;
        let told = watch_over(supervised, context, &files).await;
        report_progress(context, &files).await;
        match told {
            Told::NotStarted { message, retryable } => {
                Err(Failure { code: "SPAWN_FAILED".to_owned(), message, retryable })
            }
            Told::Nothing => {
                Err(Failure::new("SUPERVISOR_DIED", "the task's supervisor was killed, and the task with it"))
            }
            Told::Ended(End::Unknown) => Err(Failure::new("UNKNOWN_END", "how the process ended could not be seen")),
            Told::Ended(End::Signal(signal)) if self.ran_out_of_cpu(signal) => Err(out_of_cpu()),
            Told::Ended(End::Signal(signal)) => {
                Err(Failure::new(format!("SIGNAL_{signal}"), format!("the process was ended by signal {signal}")))
            }
            Told::Ended(End::Exit(code)) if payload.is_success(code) => {
                let result = files.result().map(|result| Completion::success(result).result);
                Ok(Completion { result: result.unwrap_or_else(Err), exit_code: Some(code) })
            }
            Told::Ended(End::Exit(code)) => {
                let failure = Failure::new(format!("EXIT_{code}"), format!("the process exited with code {code}"));
                Ok(Completion { result: Err(failure), exit_code: Some(code) })
            }
        }
    }

    fn command(&self, payload: &Payload, context: &Context, files: &Files) -> io::Result<Command> {
        let (program, arguments) = payload.program();
        let hidden = self.confinement.hiding.look()?;
        Ok(Command {
            program,
            arguments,
            environment: environment::of(
                context.task(),
                payload,
                &self.pass_env,
                self.confinement.user.as_ref(),
                files,
            ),
            working_dir: payload.working_dir.clone().or_else(|| files.working_dir()),
            stdin: payload.stdin.clone(),
            identity: self.confinement.user.as_ref().map(|user| user.identity),
            limits: self.confinement.limits,
            hidden,
            deadline: dead_by(context.task(), *context.run_until.borrow()).0,
        })
    }

    fn ran_out_of_cpu(&self, signal: i32) -> bool {
        self.confinement.limits.cpu_time.is_some() && signal == Signal::XCPU.as_raw()
    }
}

fn out_of_cpu() -> Failure {
    Failure::new("CPU_TIME_EXCEEDED", "the process used up the CPU time that a task's process may have on this agent")
}

#[async_trait]
impl Handler for Process {
    fn payload_schema(&self) -> Option<String> {
        punctual_proto::payloads::schema("process").map(str::to_owned)
    }

    fn in_process(&self) -> bool {
        false
    }

    async fn execute(&self, context: Context) -> Completion {
        self.run(&context).await.unwrap_or_else(Completion::from)
    }
}

/// Everything that happens between a task's start and the death of its supervisor.
async fn watch_over(supervised: Supervised, context: &Context, files: &Files) -> Told {
    let Supervised { control, words, process, stdout, stderr } = supervised;
    let all_dead = CancellationToken::new();
    let output = async {
        let pumps = async {
            tokio::join!(
                output::pump(stdout, LogStream::Stdout, context, files.mask()),
                output::pump(stderr, LogStream::Stderr, context, files.mask())
            );
        };
        let late = async {
            all_dead.cancelled().await;
            tokio::time::sleep(OUTPUT_ENDS_IN).await;
        };
        tokio::select! { biased; () = pumps => {}, () = late => {} }
    };
    let rule = async {
        let told = rule(control, words, process, context, files).await;
        all_dead.cancel();
        told
    };
    let (told, ()) = tokio::join!(rule, output);
    told
}

/// Passes orders on and listens, until the supervisor is gone and nothing of the task is left.
async fn rule(mut control: Control, mut words: Words, mut process: Watched, context: &Context, files: &Files) -> Told {
    let mut told = Told::Nothing;
    let mut run_until = context.run_until.clone();
    let mut is_cancelled = false;
    let mut is_killed = false;
    let patience = tokio::time::sleep(Duration::MAX);
    tokio::pin!(patience);
    let mut progress = tokio::time::interval(PROGRESS_EVERY);
    progress.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = context.killed(), if !is_killed => {
                is_killed = true;
                control.order(&Order::Kill).await;
                patience.set(tokio::time::sleep(SUPERVISOR_KILLS_IN));
            }
            () = &mut patience, if is_killed => {
                process.kill();
                break;
            }
            () = context.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                control.order(&Order::Cancel).await;
            }
            Some(until) = changed(&mut run_until) => {
                control.order(&Order::Deadline(dead_by(context.task(), until).0)).await;
            }
            word = words.next() => match word {
                Some(Word::Started) => context.started().await,
                Some(Word::NotStarted { message, retryable }) => told = Told::NotStarted { message, retryable },
                Some(Word::Ended(end)) => told = Told::Ended(end),
                None => break,
            },
            _ = progress.tick() => report_progress(context, files).await,
        }
    }
    drop(control);
    process.gone().await;
    if matches!(told, Told::Nothing) {
        sweep().await;
    }
    told
}

/// The right to run, when it has changed. Its end does not change any more when the session is gone.
async fn changed(run_until: &mut watch::Receiver<Boot>) -> Option<Boot> {
    run_until.changed().await.ok()?;
    Some(*run_until.borrow_and_update())
}

/// When the supervisor kills by its own clock: the end of the right to run, or the task's own deadline and grace.
fn dead_by(task: &Task, run_until: Boot) -> Boot {
    let own = task.deadline.map(|deadline| deadline + task.kill_grace + AGENT_KILLS_IN);
    own.map_or(run_until, |own| own.min(run_until))
}

async fn report_progress(context: &Context, files: &Files) {
    if let Some((percent, message)) = files.new_progress() {
        context.progress(percent, message).await;
    }
}

fn no_start(error: &io::Error) -> Failure {
    Failure::new("SPAWN_FAILED", format!("the agent could not start the task's supervisor: {error}"))
}
