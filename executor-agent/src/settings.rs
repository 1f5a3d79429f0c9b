//! The settings of the `executor-agent` program: flag beats variable beats file beats default.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytesize::ByteSize;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, ValueEnum};
use serde::Deserialize;
use tls::with_scheme;

use crate::{Agent, Builder, ClientFiles, Isolation, TaskLimits};

/// Punctual's executor agent: takes work from the scheduler servers and runs it on this machine.
///
/// Every flag has a variable and a key in the file of --config; a flag beats a variable beats the file.
#[derive(Debug, Default, Parser)]
#[command(name = "executor-agent", version)]
pub struct Flags {
    /// URLs of scheduler servers, or their HOST:PORT for http [default: http://127.0.0.1:7117]
    #[arg(long, env = "PUNCTUAL_AGENT_SERVER", value_name = "URL,…", value_delimiter = ',')]
    server: Vec<String>,

    #[command(flatten)]
    tls: TlsFlags,

    /// Name of this agent, unlike any other's [default: the host's name]
    #[arg(long, env = "PUNCTUAL_AGENT_ID")]
    id: Option<String>,

    /// A label that jobs can select this agent by; may be repeated
    #[arg(long, env = "PUNCTUAL_AGENT_LABEL", value_name = "K=V", value_delimiter = ',')]
    label: Vec<String>,

    /// A queue to serve; may be repeated [default: default]
    #[arg(long, env = "PUNCTUAL_AGENT_QUEUE", value_delimiter = ',')]
    queue: Vec<String>,

    /// Number of attempts that run at a time [default: 4 for each CPU]
    #[arg(long, env = "PUNCTUAL_AGENT_SLOTS")]
    slots: Option<usize>,

    /// Task types to offer [default: all built in]
    #[arg(long, env = "PUNCTUAL_AGENT_TASK_TYPE", value_name = "T,…", value_delimiter = ',')]
    task_type: Vec<String>,

    /// A variable of the agent that process tasks get, too; may be repeated
    #[arg(long, env = "PUNCTUAL_AGENT_PASS_ENV", value_name = "NAME", value_delimiter = ',')]
    pass_env: Vec<String>,

    /// A variable of the agent that payloads may refer to as ${env:NAME}; may be repeated [default: none]
    #[arg(long, env = "PUNCTUAL_AGENT_SECRET_ENV", value_name = "NAME", value_delimiter = ',')]
    secret_env: Vec<String>,

    /// Folder of files that payloads may refer to as ${file:NAME} [default: none]
    #[arg(long, env = "PUNCTUAL_AGENT_SECRET_DIR", value_name = "FOLDER")]
    secret_dir: Option<PathBuf>,

    #[command(flatten)]
    isolation: IsolationFlags,

    /// Folder for locks and the files of tasks [default: ./punctual-agent/<id>]
    #[arg(long, env = "PUNCTUAL_AGENT_STATE_DIR", value_name = "FOLDER")]
    state_dir: Option<PathBuf>,

    /// File with the token to sign in with, read anew for each connection
    #[arg(long, env = "PUNCTUAL_AGENT_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// How the log is written [default: text on a terminal, else json]
    #[arg(long, env = "PUNCTUAL_AGENT_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,

    /// TOML file with these settings; keys are named like the flags
    #[arg(long, env = "PUNCTUAL_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How servers with `https://` URLs are reached.
#[derive(Debug, Default, Args)]
struct TlsFlags {
    /// Authorities in PEM that servers' certificates may come from [default: the system's]
    #[arg(long, env = "PUNCTUAL_AGENT_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Certificate in PEM that this agent shows servers
    #[arg(long, env = "PUNCTUAL_AGENT_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// Key of --tls-cert, in PEM
    #[arg(long, env = "PUNCTUAL_AGENT_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Name that servers' certificates must have [default: the one in the URL]
    #[arg(long, env = "PUNCTUAL_AGENT_TLS_SERVER_NAME", value_name = "NAME")]
    tls_server_name: Option<String>,
}

/// What keeps process tasks away from the agent, and within bounds.
#[derive(Debug, Default, Args)]
struct IsolationFlags {
    /// User that process tasks run as, by name or number; needs root and --work-dir
    #[arg(long, env = "PUNCTUAL_AGENT_RUN_AS", value_name = "USER[:GROUP]")]
    run_as: Option<String>,

    /// Folder below which each attempt gets an empty one of its own, where it starts; gone after it
    #[arg(long, env = "PUNCTUAL_AGENT_WORK_DIR", value_name = "FOLDER")]
    work_dir: Option<PathBuf>,

    /// Memory that each process of a task may have for writing, as 512MiB
    #[arg(long, env = "PUNCTUAL_AGENT_TASK_MEMORY", value_name = "SIZE")]
    task_memory: Option<ByteSize>,

    /// CPU time that each process of a task may use, as 10m
    #[arg(long, env = "PUNCTUAL_AGENT_TASK_CPU_TIME", value_name = "DURATION", value_parser = humantime::parse_duration)]
    task_cpu_time: Option<Duration>,

    /// Files that each process of a task may have open
    #[arg(long, env = "PUNCTUAL_AGENT_TASK_OPEN_FILES", value_name = "NUMBER")]
    task_open_files: Option<u64>,

    /// Processes and threads that the user of --run-as may have, in all its tasks together
    #[arg(long, env = "PUNCTUAL_AGENT_TASK_PROCESSES", value_name = "NUMBER")]
    task_processes: Option<u64>,

    /// Let process tasks read the files of this agent's own token and key, if its user can
    #[arg(
        long,
        env = "PUNCTUAL_AGENT_TRUST_TASKS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    trust_tasks: Option<bool>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// The file of `--config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    server: Vec<String>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_server_name: Option<String>,
    id: Option<String>,
    label: BTreeMap<String, String>,
    queue: Vec<String>,
    slots: Option<usize>,
    task_type: Vec<String>,
    pass_env: Vec<String>,
    secret_env: Vec<String>,
    secret_dir: Option<PathBuf>,
    run_as: Option<String>,
    work_dir: Option<PathBuf>,
    task_memory: Option<ByteSize>,
    #[serde(deserialize_with = "duration")]
    task_cpu_time: Option<Duration>,
    task_open_files: Option<u64>,
    task_processes: Option<u64>,
    trust_tasks: Option<bool>,
    state_dir: Option<PathBuf>,
    token_file: Option<PathBuf>,
    log_format: Option<LogFormat>,
}

/// What holds, all sources considered.
#[derive(Debug)]
pub struct Settings {
    /// The agent to build.
    pub agent: Builder,
    /// Its name.
    pub id: String,
    /// None: as fits where the log goes.
    pub log_format: Option<LogFormat>,
}

impl Flags {
    /// Reads the file, if one is named, and fills in the defaults.
    pub fn resolve(self) -> Result<Settings> {
        let file = self.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let id = match self.id.or(file.id) {
            Some(id) => id,
            None => host_name()?,
        };
        if !is_name(&id) {
            bail!("the id {id:?} may have letters, digits, dots, underscores and hyphens only: give another with --id");
        }
        let mut agent = Agent::builder(&id);
        if let Some(servers) = first(self.server, file.server) {
            agent = agent.servers(servers.iter().map(|server| with_scheme(server)));
        }
        agent = agent.tls(ClientFiles {
            ca: self.tls.tls_ca.or(file.tls_ca),
            cert: self.tls.tls_cert.or(file.tls_cert),
            key: self.tls.tls_key.or(file.tls_key),
            server_name: self.tls.tls_server_name.or(file.tls_server_name),
        });
        if let Some(queues) = first(self.queue, file.queue) {
            agent = agent.queues(queues);
        }
        if let Some(slots) = self.slots.or(file.slots) {
            agent = agent.slots(slots);
        }
        if let Some(task_types) = first(self.task_type, file.task_type) {
            agent = agent.task_types(task_types);
        }
        if let Some(names) = first(self.pass_env, file.pass_env) {
            agent = agent.pass_env(names);
        }
        if let Some(names) = first(self.secret_env, file.secret_env) {
            agent = agent.secret_env(names);
        }
        if let Some(folder) = self.secret_dir.or(file.secret_dir) {
            agent = agent.secret_dir(folder);
        }
        agent = agent.isolation(Isolation {
            run_as: self.isolation.run_as.or(file.run_as),
            work_dir: self.isolation.work_dir.or(file.work_dir),
            limits: TaskLimits {
                memory: self.isolation.task_memory.or(file.task_memory).map(|size| size.as_u64()),
                cpu_time: self.isolation.task_cpu_time.or(file.task_cpu_time),
                open_files: self.isolation.task_open_files.or(file.task_open_files),
                processes: self.isolation.task_processes.or(file.task_processes),
            },
            trust_tasks: self.isolation.trust_tasks.or(file.trust_tasks).unwrap_or(false),
        });
        if let Some(folder) = self.state_dir.or(file.state_dir) {
            agent = agent.state_dir(folder);
        }
        let token_file = self.token_file.or(file.token_file);
        if let Some(file) = token_file {
            agent = agent.token_file(file);
        }
        let labels = if self.label.is_empty() { file.label } else { labels(&self.label)? };
        Ok(Settings { agent: agent.labels(labels), id, log_format: self.log_format.or(file.log_format) })
    }
}

impl File {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("--config {} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("--config {} is not right", path.display()))
    }
}

fn first(flag: Vec<String>, file: Vec<String>) -> Option<Vec<String>> {
    [flag, file].into_iter().find(|given| !given.is_empty())
}

fn labels(given: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |label: &String| {
        let (key, value) = label.split_once('=').with_context(|| format!("--label {label}: write it as key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    given.iter().map(pair).collect()
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// The id names a folder, so it must not lead out of its place.
fn is_name(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.chars().all(|character| character.is_ascii_alphanumeric() || "._-".contains(character))
}

fn host_name() -> Result<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() {
        bail!("this machine has no host name: give the agent a name with --id");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &[&str]) -> Result<Settings> {
        Flags::try_parse_from([&["executor-agent"], flags].concat())?.resolve()
    }

    fn with_file(text: &str, flags: &[&str]) -> Result<Settings> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), text)?;
        resolve(&[&["--config", file.path().to_str().context("a path in UTF-8")?], flags].concat())
    }

    #[test]
    fn a_flag_beats_the_file() {
        assert_eq!(with_file("id = \"from-file\"", &[]).expect("valid").id, "from-file");
        assert_eq!(with_file("id = \"from-file\"", &["--id", "from-flag"]).expect("valid").id, "from-flag");
    }

    #[test]
    fn a_setting_that_is_misspelt_is_not_ignored() {
        assert!(with_file("slot = 3", &[]).is_err());
        assert!(resolve(&["--slot", "3"]).is_err());
        assert!(resolve(&["--label", "novalue"]).is_err());
    }

    #[test]
    fn a_folder_of_secrets_that_is_none_is_found_at_the_start() {
        let agent = resolve(&["--id", "a", "--secret-dir", "/no/such/folder"]).expect("readable").agent;
        assert!(matches!(agent.build(), Err(crate::BuildError::NoSecretDir(_))));
    }

    #[test]
    fn an_id_does_not_lead_out_of_the_state_folder() {
        for id in ["../etc", "a/b", ".", "", "-x y"] {
            assert!(resolve(&[&format!("--id={id}")]).is_err(), "{id:?}");
        }
    }
}
