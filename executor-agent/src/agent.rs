//! The agent as a program embeds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tls::ClientFiles;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::clock;
use crate::handler::{
    Async, Blocking, BlockingContext, Context, Grpc, Handler, Http, Noop, Process, Registry, Secrets,
};
use crate::isolation::{Hidden, Hiding, Isolation, IsolationError};
use crate::runtime::{self, Channels, Running};
use crate::session::{self, Failure};
use crate::state_dir::{StateDir, StateDirError};
use crate::supervisor::{self, Supervisor};
use crate::token::TokenFile;

const PROCESS: &str = "process";
const HTTP: &str = "http";
const GRPC: &str = "grpc";
const NOOP: &str = "noop";
/// Of the name of a task type: servers take no longer one.
const LONGEST_NAME: usize = 128;

/// Task types that every agent can offer.
pub const BUILT_IN: [&str; 4] = [PROCESS, HTTP, GRPC, NOOP];

/// How an agent is set up; see [`Agent::builder`].
pub struct Builder {
    servers: Vec<String>,
    tls: ClientFiles,
    id: String,
    labels: BTreeMap<String, String>,
    queues: Vec<String>,
    slots: usize,
    task_types: Option<Vec<String>>,
    pass_env: Vec<String>,
    secrets: Secrets,
    isolation: Isolation,
    state_dir: Option<PathBuf>,
    token_file: Option<PathBuf>,
    hidden: Vec<PathBuf>,
    handlers: Vec<(String, Arc<dyn Handler>)>,
}

/// An agent that is set up, and owns its state folder.
pub struct Agent {
    config: session::Config,
    channels: Channels,
    handlers: Registry,
    state: StateDir,
    token: Option<TokenFile>,
}

/// Why an agent cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("an agent needs at least one server's address")]
    NoServer,
    #[error("an agent needs at least one slot")]
    NoSlot,
    #[error("an agent needs at least one queue")]
    NoQueue,
    #[error("an agent needs an id")]
    NoId,
    #[error("the task type {0:?} is not known; built in: {known}", known = BUILT_IN.join(", "))]
    UnknownTaskType(String),
    #[error("{0}")]
    Token(String),
    #[error("this process cannot be closed to others of its user: {0}")]
    Undumpable(io::Error),
    #[error(
        "{0:?} cannot name a task type, which has up to {LONGEST_NAME} letters, digits and `.`, `_`, `-`, `/`, `:`, \
         and starts with a letter or digit"
    )]
    TaskTypeName(String),
    #[error("the task type {0:?} has two handlers")]
    TwoHandlers(String),
    #[error("process tasks need executor_agent::init() to be called first in main")]
    NotInitialised,
    #[error("there is no task type to offer")]
    NoTaskType,
    #[error("the folder of secrets {folder} is no folder", folder = .0.display())]
    NoSecretDir(PathBuf),
    #[error("{0}")]
    Tls(String),
    #[error(transparent)]
    TlsFile(#[from] tls::FileError),
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    #[error("this machine does not let the agent supervise processes: {0}")]
    Supervisor(io::Error),
}

impl Agent {
    /// An agent with this id and the defaults of the `executor-agent` program.
    pub fn builder(id: impl Into<String>) -> Builder {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Builder {
            servers: vec!["http://127.0.0.1:7117".to_owned()],
            tls: ClientFiles::default(),
            id: id.into(),
            labels: BTreeMap::new(),
            queues: vec!["default".to_owned()],
            slots: 4 * cpus,
            task_types: None,
            pass_env: Vec::new(),
            secrets: Secrets::default(),
            isolation: Isolation::default(),
            state_dir: None,
            token_file: None,
            hidden: Vec::new(),
            handlers: Vec::new(),
        }
    }

    /// The task types that it offers.
    pub fn task_types(&self) -> Vec<String> {
        self.config.task_types.iter().map(|offered| offered.name.clone()).collect()
    }

    /// This start of the agent.
    pub fn instance(&self) -> Uuid {
        self.config.instance
    }

    /// Starts it; tasks run on the runtime that this is called in.
    ///
    /// # Panics
    /// When it is not called in a tokio runtime.
    pub fn start(self) -> io::Result<Running> {
        runtime::start(self.config, self.channels, self.token, self.handlers, self.state, Handle::current())
    }
}

impl Builder {
    /// Addresses of servers, as URLs. Default: `http://127.0.0.1:7117`.
    #[must_use]
    pub fn servers(mut self, servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.servers = servers.into_iter().map(Into::into).collect();
        self
    }

    /// Whom the agent trusts and what it shows servers with `https://` URLs. Default: the system's authorities, nothing.
    #[must_use]
    pub fn tls(mut self, files: ClientFiles) -> Self {
        self.tls = files;
        self
    }

    /// Labels that jobs select the agent by.
    #[must_use]
    pub fn labels(mut self, labels: BTreeMap<String, String>) -> Self {
        self.labels = labels;
        self
    }

    /// Queues that it serves. Default: `default`.
    #[must_use]
    pub fn queues(mut self, queues: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// Attempts that run at a time. Default: four for each CPU.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// The built-in task types to offer. Default: all, `process` only where [`init`](crate::init) was called.
    #[must_use]
    pub fn task_types(mut self, task_types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.task_types = Some(task_types.into_iter().map(Into::into).collect());
        self
    }

    /// Variables of this process that process tasks get, too.
    #[must_use]
    pub fn pass_env(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.pass_env = names.into_iter().map(Into::into).collect();
        self
    }

    /// Variables of this process that payloads of the built-in task types may refer to, as `${env:NAME}`. Default: none.
    #[must_use]
    pub fn secret_env(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.secrets.variables = names.into_iter().map(Into::into).collect();
        self
    }

    /// A folder of files that payloads of the built-in task types may refer to, as `${file:NAME}`. Default: none.
    #[must_use]
    pub fn secret_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.secrets.folder = Some(folder.into());
        self
    }

    /// What keeps process tasks away from the agent, and within bounds. Default: nothing.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Where the agent keeps its locks and its tasks' files. Default: `./punctual-agent/<id>`.
    #[must_use]
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(folder.into());
        self
    }

    /// File with the token that the agent signs in with, read anew for each connection. Default: it does not sign in.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// Other files and folders that process tasks may not read, as they may not read the token's file and the key of
    /// [`tls`](Self::tls). Default: none.
    #[must_use]
    pub fn hidden(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.hidden = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Offers a task type of the program's own, executed by an async function of the context and a payload.
    ///
    /// What it returns is the run's result, as JSON. A payload that `P` cannot be read from fails for good with
    /// `PAYLOAD_INVALID` and the path of the wrong field; servers refuse it before that, by the schema of `P`.
    ///
    /// When the task is [cancelled](Context::cancelled) it should return soon; the job's `kill_grace` later the future is
    /// dropped. It must not block its thread: one that does not come back then makes the agent abort.
    #[must_use]
    pub fn async_handler<F, P, R, T, E>(self, task_type: impl Into<String>, run: F) -> Self
    where
        F: Fn(Context, P) -> R + Send + Sync + 'static,
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Future<Output = Result<T, E>> + Send,
        T: Serialize,
        E: Into<Failure>,
    {
        self.handler(task_type, Async::new(run))
    }

    /// As [`async_handler`](Self::async_handler), for a function that blocks. Each attempt has a thread of its own.
    ///
    /// The function should look at [`Context::is_cancelled`] often, or wait by [`BlockingContext::sleep`]: a thread cannot
    /// be ended from outside. Of one that has not returned soon after it was killed (5 s, and less when the agent has lost
    /// its right to run), the task might run elsewhere at the same time. So the agent aborts then, and all that runs in
    /// this process with it.
    #[must_use]
    pub fn blocking_handler<F, P, T, E>(self, task_type: impl Into<String>, run: F) -> Self
    where
        F: Fn(&BlockingContext, P) -> Result<T, E> + Send + Sync + 'static,
        P: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize,
        E: Into<Failure>,
    {
        self.handler(task_type, Blocking::new(run))
    }

    /// Offers a task type of the program's own, executed by a handler that sees the payload as it came.
    #[must_use]
    pub fn handler(mut self, task_type: impl Into<String>, handler: impl Handler) -> Self {
        self.handlers.push((task_type.into(), Arc::new(handler)));
        self
    }

    /// Checks the settings and takes the state folder.
    pub fn build(self) -> Result<Agent, BuildError> {
        self.check()?;
        let built_in = self.built_in()?;
        let token = self.token_file.clone().map(TokenFile::new);
        if let Some(token) = &token {
            token.read().map_err(BuildError::Token)?;
            for server in self.servers.iter().filter(|server| tls::is_exposed(server)) {
                tracing::warn!(
                    server,
                    "the token goes there unencrypted, for whoever is on the way to read: use https://"
                );
            }
        }
        if token.is_some() || self.tls.key.is_some() || !self.secrets.variables.is_empty() {
            // The process's memory, variables and open files are nobody's of the same user any more, tasks' among them.
            set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .map_err(|errno| BuildError::Undumpable(errno.into()))?;
        }
        self.check_names(&built_in)?;
        let hiding = if built_in.iter().any(|task_type| task_type == PROCESS) {
            self.isolation.hide(&self.own_secrets(), Hidden::is_possible())?
        } else {
            Hiding::default()
        };
        let folder = self.state_dir.unwrap_or_else(|| PathBuf::from("punctual-agent").join(&self.id));
        let state = StateDir::open(&folder)?;
        let mut confinement = self.isolation.take(state.instance(), state.proved_gone())?;
        confinement.hiding = hiding;
        let mut handlers = Registry::default();
        for task_type in built_in {
            let handler: Arc<dyn Handler> = match task_type.as_str() {
                PROCESS => {
                    let supervisor = Supervisor::new(state.lock()).map_err(BuildError::Supervisor)?;
                    let (pass_env, secrets) = (self.pass_env.clone(), self.secrets.clone());
                    Arc::new(Process::new(supervisor, state.tasks(), pass_env, secrets, confinement.clone()))
                }
                HTTP => Arc::new(Http::new(self.secrets.clone())),
                GRPC => Arc::new(Grpc::new(self.secrets.clone())),
                _ => Arc::new(Noop),
            };
            handlers.insert(task_type, handler);
        }
        for (task_type, handler) in self.handlers {
            handlers.insert(task_type, handler);
        }
        let channels = Channels::new(self.tls, &self.servers);
        let now = clock::now();
        let config = session::Config {
            servers: self.servers,
            agent_id: self.id,
            instance: state.instance(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: self.labels,
            queues: self.queues,
            task_types: handlers.offered(),
            slots: self.slots,
            instances_proved_gone: state.proved_gone().to_vec(),
            seed: now.boot.0.cast_unsigned() ^ u64::from(std::process::id()).rotate_left(32),
        };
        Ok(Agent { config, channels, handlers, state, token })
    }

    /// Files that are for the agent's eyes only.
    fn own_secrets(&self) -> Vec<PathBuf> {
        self.token_file.iter().chain(&self.tls.key).chain(&self.hidden).cloned().collect()
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.servers.is_empty() {
            return Err(BuildError::NoServer);
        }
        if self.slots == 0 {
            return Err(BuildError::NoSlot);
        }
        if self.queues.is_empty() {
            return Err(BuildError::NoQueue);
        }
        if self.id.is_empty() {
            return Err(BuildError::NoId);
        }
        if let Some(folder) = self.secrets.folder.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(BuildError::NoSecretDir(folder.clone()));
        }
        if let Some(why) = self.servers.iter().find_map(|server| self.tls.contradicts(server)) {
            return Err(BuildError::Tls(why));
        }
        // A file that cannot be read is better found now than by every connection.
        self.tls.load()?;
        Ok(())
    }

    fn check_names(&self, built_in: &[String]) -> Result<(), BuildError> {
        let mut offered: BTreeSet<&str> = built_in.iter().map(String::as_str).collect();
        for (name, _) in &self.handlers {
            if !is_task_type(name) {
                return Err(BuildError::TaskTypeName(name.clone()));
            }
            if !offered.insert(name) {
                return Err(BuildError::TwoHandlers(name.clone()));
            }
        }
        Ok(())
    }

    fn built_in(&self) -> Result<Vec<String>, BuildError> {
        let can_supervise = supervisor::is_initialised();
        let Some(asked) = &self.task_types else {
            let offered = BUILT_IN.into_iter().filter(|task_type| *task_type != PROCESS || can_supervise);
            return Ok(offered.map(str::to_owned).collect());
        };
        if let Some(unknown) = asked.iter().find(|task_type| !BUILT_IN.contains(&task_type.as_str())) {
            return Err(BuildError::UnknownTaskType(unknown.clone()));
        }
        if asked.iter().any(|task_type| task_type == PROCESS) && !can_supervise {
            return Err(BuildError::NotInitialised);
        }
        if asked.is_empty() && self.handlers.is_empty() {
            return Err(BuildError::NoTaskType);
        }
        Ok(asked.clone())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            servers,
            tls,
            id,
            labels,
            queues,
            slots,
            task_types,
            pass_env,
            secrets,
            isolation,
            state_dir,
            token_file,
            hidden,
            handlers,
        } = self;
        let handlers: Vec<&String> = handlers.iter().map(|(task_type, _)| task_type).collect();
        f.debug_struct("Builder")
            .field("servers", servers)
            .field("tls", tls)
            .field("id", id)
            .field("labels", labels)
            .field("queues", queues)
            .field("slots", slots)
            .field("task_types", task_types)
            .field("pass_env", pass_env)
            .field("secrets", secrets)
            .field("isolation", isolation)
            .field("state_dir", state_dir)
            .field("token_file", token_file)
            .field("hidden", hidden)
            .field("handlers", &handlers)
            .finish()
    }
}

/// A job can have no other.
fn is_task_type(name: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-/:".contains(character);
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(task_type: &str) -> Result<Agent, BuildError> {
        let folder = tempfile::tempdir().expect("a folder");
        Agent::builder("tested").state_dir(folder.path()).handler(task_type, Noop).build()
    }

    #[test]
    fn a_task_type_that_no_job_can_name_or_that_has_two_handlers_is_refused() {
        for name in ["", "-a", "a b", "ü", &"x".repeat(129)] {
            assert!(matches!(offering(name), Err(BuildError::TaskTypeName(_))), "{name:?}");
        }
        assert!(matches!(offering("noop"), Err(BuildError::TwoHandlers(_))), "built in");
        assert!(offering("shop/Import:2").is_ok_and(|agent| agent.task_types().contains(&"shop/Import:2".to_owned())));
    }
}
