//! The settings of the `scheduler-server` program: flag beats variable beats file beats default.

mod etcd;
mod locks;
mod offline;
mod port;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use scheduler_core::access::Role;
use scheduler_core::engine::IdleLocks;
use serde::Deserialize;
use tls::ClientFiles;

pub use self::etcd::{EtcdAccess, EtcdFlags};
pub use self::locks::LockFlags;
pub use self::offline::{BootstrapFlags, BootstrapSettings, MigrateFlags, MigrateSettings, MoveFlags, MoveSettings};
use self::port::Port;
pub use self::port::{PortFlags, Tls};
use crate::access::Rate;
use crate::http::Limits;
use crate::self_made::SelfMade;

const DEFAULT_LISTEN: &str = "127.0.0.1:7117";
/// Without etcd, an agent may go on alone for this long: a restart of the only server is no reason to stop.
const DEFAULT_AGENT_TTL: Duration = Duration::from_secs(60);
/// In a cluster another server is there at once, and what a dead agent held is not to wait for long.
const DEFAULT_AGENT_TTL_IN_CLUSTERS: Duration = Duration::from_secs(10);
/// A leader that loses etcd asks the ledger instead when its lease of 3 s has ended: with less than twice that, agents have
/// stopped their tasks by then.
const PRUDENT_AGENT_TTL_IN_CLUSTERS: Duration = Duration::from_secs(6);
const DEFAULT_CLUSTER: &str = "default";
const SHORTEST_AGENT_TTL: Duration = Duration::from_secs(1);
const DEFAULT_MIN_EVERY: Duration = Duration::from_millis(100);
/// Above what a busy script asks for, and far below what a node can do.
const DEFAULT_TOKEN_RATE: u32 = 500;
const DEFAULT_AUDIT_RETENTION: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Punctual's scheduler server: decides what runs when, keeps the ledger, and serves everything on one port.
///
/// Every flag of a command has a variable, PUNCTUAL_NODE_ and the flag's name (PUNCTUAL_NODE_LISTEN), and settings of a node
/// have a key in the TOML file of --config (listen = "…"); a flag beats a variable, a variable beats the file.
#[derive(Debug, Parser)]
#[command(name = "scheduler-server", version)]
pub struct Program {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs everything on this machine: ledger in a folder, an agent, no sign-in, loopback only
    Dev(DevFlags),
    /// Runs a node
    Serve(Box<ServeFlags>),
    /// Brings the tables of a ledger up to date
    Migrate(MigrateFlags),
    /// Carries everything in a ledger over to another one, while no server uses either
    Move(MoveFlags),
    /// Makes tokens on the ledger's machine
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Makes the first admin token and prints it, once; a server may run on the ledger meanwhile
    Bootstrap(BootstrapFlags),
}

/// What all ways to run a server share. Every flag has a variable, `PUNCTUAL_NODE_` and its name, and a key in
/// the file of --config.
#[derive(Debug, Default, Args)]
pub struct NodeFlags {
    /// Address and port to listen on [default: 127.0.0.1:7117]
    #[arg(long, env = "PUNCTUAL_NODE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    #[command(flatten)]
    port: PortFlags,

    /// Name of this node [default: the host's name]
    #[arg(long, env = "PUNCTUAL_NODE_NODE_ID", value_name = "NAME")]
    node_id: Option<String>,

    /// How long an agent may go on without hearing from a leader [default: 60s, in a cluster 10s]
    #[arg(long, env = "PUNCTUAL_NODE_AGENT_TTL", value_name = "DURATION", value_parser = humantime::parse_duration)]
    agent_ttl: Option<Duration>,

    /// Shortest period that `every` may have [default: 100ms]
    #[arg(long, env = "PUNCTUAL_NODE_MIN_EVERY", value_name = "DURATION", value_parser = humantime::parse_duration)]
    min_every: Option<Duration>,

    /// How long the audit is kept [default: 365days]
    #[arg(long, env = "PUNCTUAL_NODE_AUDIT_RETENTION", value_name = "DURATION", value_parser = humantime::parse_duration)]
    audit_retention: Option<Duration>,

    /// How the log is written [default: text on a terminal, else json]
    #[arg(long, env = "PUNCTUAL_NODE_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,

    /// TOML file with these settings; keys are named like the flags
    #[arg(long, env = "PUNCTUAL_NODE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub struct DevFlags {
    #[command(flatten)]
    node: NodeFlags,

    /// Folder of the ledger and of the embedded agent [default: ./punctual-data]
    #[arg(long, env = "PUNCTUAL_NODE_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,

    /// Run no agent in this process
    #[arg(
        long,
        env = "PUNCTUAL_NODE_NO_AGENT",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    no_agent: Option<bool>,

    /// Speak TLS, with a certificate from an authority that is made in the data folder, and let nobody in without a token
    #[arg(
        long,
        env = "PUNCTUAL_NODE_TLS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    tls: Option<bool>,
}

#[derive(Debug, Default, Args)]
pub struct ServeFlags {
    #[command(flatten)]
    node: NodeFlags,

    /// The ledger: sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "PUNCTUAL_NODE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,

    /// Members of the etcd that elects a leader of several nodes on one ledger in Postgres [default: none, one node]
    #[arg(long, env = "PUNCTUAL_NODE_ETCD", value_name = "URL,…", value_delimiter = ',')]
    etcd: Vec<String>,

    /// Name of the cluster in that etcd: a-z, 0-9 and hyphens [default: default]
    #[arg(long, env = "PUNCTUAL_NODE_CLUSTER", value_name = "NAME")]
    cluster: Option<String>,

    #[command(flatten)]
    etcd_access: EtcdFlags,

    /// File with a secret that all nodes of a cluster share: with it they believe each other who calls, and from where
    #[arg(long, env = "PUNCTUAL_NODE_PEER_SECRET_FILE", value_name = "FILE")]
    peer_secret_file: Option<PathBuf>,

    /// Authorities of the other nodes' certificates, in PEM, where they advertise https [default: the system's]
    #[arg(long, env = "PUNCTUAL_NODE_PEER_CA", value_name = "FILE")]
    peer_ca: Option<PathBuf>,

    #[command(flatten)]
    locks: LockFlags,

    /// Address at which clients reach this node [default: http:// or https://, and --listen]
    #[arg(long, env = "PUNCTUAL_NODE_ADVERTISE", value_name = "URL")]
    advertise: Option<String>,

    /// Names under which clients may reach this node beside that of --advertise, such as a load balancer's; may be repeated
    #[arg(long, env = "PUNCTUAL_NODE_HOST", value_name = "NAME,…", value_delimiter = ',')]
    host: Vec<String>,

    /// Listen beyond loopback without TLS or sign-in: whoever reaches the port can do everything
    #[arg(
        long,
        env = "PUNCTUAL_NODE_INSECURE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    insecure: Option<bool>,

    /// Let nobody in without a token [default: on, but off on a loopback --listen or with --insecure]
    #[arg(
        long,
        env = "PUNCTUAL_NODE_SIGN_IN",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    sign_in: Option<bool>,

    /// Requests per second that one token may make, and twice as many at once; 0 for any number [default: 500]
    #[arg(long, env = "PUNCTUAL_NODE_TOKEN_RATE", value_name = "NUMBER")]
    token_rate: Option<u32>,

    /// Refuse to start rather than bring the tables up to date
    #[arg(
        long,
        env = "PUNCTUAL_NODE_NO_MIGRATE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    no_migrate: Option<bool>,
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
    listen: Option<String>,
    node_id: Option<String>,
    #[serde(deserialize_with = "duration")]
    agent_ttl: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    min_every: Option<Duration>,
    log_format: Option<LogFormat>,
    data_dir: Option<PathBuf>,
    no_agent: Option<bool>,
    tls: Option<bool>,
    database_url: Option<String>,
    etcd: Vec<String>,
    cluster: Option<String>,
    etcd_ca: Option<PathBuf>,
    etcd_cert: Option<PathBuf>,
    etcd_key: Option<PathBuf>,
    etcd_user: Option<String>,
    etcd_password_file: Option<PathBuf>,
    peer_ca: Option<PathBuf>,
    peer_secret_file: Option<PathBuf>,
    #[serde(deserialize_with = "duration")]
    lock_idle: Option<Duration>,
    idle_locks_per_agent: Option<usize>,
    idle_locks: Option<usize>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_client_ca: Option<PathBuf>,
    client_cert_for: Vec<String>,
    max_connections: Option<usize>,
    max_connections_per_address: Option<usize>,
    advertise: Option<String>,
    host: Vec<String>,
    insecure: Option<bool>,
    sign_in: Option<bool>,
    token_rate: Option<u32>,
    #[serde(deserialize_with = "duration")]
    audit_retention: Option<Duration>,
    no_migrate: Option<bool>,
}

/// Where the ledger is.
#[derive(Clone, PartialEq, Eq)]
pub enum Ledger {
    /// A file, for one node.
    Sqlite(PathBuf),
    /// The URL of a database, for one node or many.
    Postgres(String),
}

/// Without what else the URL says: a password.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "{}", file.display()),
            Self::Postgres(url) => {
                let place = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let place = place.split_once('?').map_or(place, |(place, _)| place);
                let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
                write!(f, "postgres://{place}")
            }
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The cluster that a node is one of.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub name: String,
    /// URLs of etcd's members.
    pub etcd: Vec<String>,
    pub access: EtcdAccess,
    /// Whom this node trusts to be another one, where they advertise https.
    pub peers: ClientFiles,
    /// File of the secret that the nodes share.
    pub peer_secret: Option<PathBuf>,
    pub idle_locks: IdleLocks,
}

/// What holds for a server, all sources considered.
#[derive(Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Names under which clients may reach it; `None`: loopback names only.
    pub names: Option<BTreeSet<String>>,
    pub advertise: String,
    /// `None`: nothing is encrypted.
    pub tls: Option<Tls>,
    /// Roles whose bearers show a client's certificate too.
    pub certified: BTreeSet<Role>,
    pub limits: Limits,
    /// What an operator should change, in words.
    pub warnings: Vec<String>,
    pub node_id: String,
    pub ledger: Ledger,
    /// `None`: this node is alone.
    pub cluster: Option<Cluster>,
    pub migrates: bool,
    pub agent_ttl: Duration,
    pub min_every: Duration,
    pub sign_in: bool,
    /// Of the requests of one token.
    pub token_rate: Rate,
    pub audit_retention: Duration,
    /// Folder of the embedded agent, if there is to be one.
    pub embedded_agent: Option<PathBuf>,
    pub log_format: Option<LogFormat>,
}

impl DevFlags {
    pub fn resolve(self) -> Result<Settings> {
        let file = File::read(self.node.config.as_deref())?;
        let data_dir = self.data_dir.or_else(|| file.data_dir.clone()).unwrap_or_else(|| "punctual-data".into());
        std::fs::create_dir_all(&data_dir)
            .with_context(|| format!("--data-dir {} cannot be made", data_dir.display()))?;
        let no_agent = self.no_agent.or(file.no_agent).unwrap_or(false);
        let mut settings = self.node.resolve(&file, Ledger::Sqlite(data_dir.join("ledger.db")), None)?;
        if !settings.listen.ip().is_loopback() {
            bail!("--listen {}: dev has no sign-in and listens on loopback only", settings.listen);
        }
        if self.tls.or(file.tls).unwrap_or(false) {
            if settings.tls.is_some() {
                bail!("--tls makes a certificate, and --tls-cert names one: give one of them");
            }
            settings.tls = Some(Tls::SelfMade(SelfMade::in_folder(&data_dir.join("tls"), settings.listen.ip())?));
            settings.advertise = format!("https://{}", settings.listen);
            settings.sign_in = true;
        }
        settings.embedded_agent = (!no_agent).then(|| data_dir.join("agent"));
        Ok(settings)
    }
}

impl ServeFlags {
    pub fn resolve(self) -> Result<Settings> {
        let file = File::read(self.node.config.as_deref())?;
        let url = self.database_url.or_else(|| file.database_url.clone());
        let etcd = [self.etcd, file.etcd.clone()].into_iter().find(|given| !given.is_empty());
        let name = self.cluster.or_else(|| file.cluster.clone()).unwrap_or_else(|| DEFAULT_CLUSTER.to_owned());
        let ca = self.peer_ca.or_else(|| file.peer_ca.clone());
        let peers = ClientFiles { ca, ..ClientFiles::default() };
        let access = self.etcd_access.resolve(&file)?;
        if etcd.is_none() && EtcdFlags::is_given(&access) {
            bail!("the --etcd- flags say how etcd is reached: say where it is with --etcd");
        }
        let peer_secret = self.peer_secret_file.or_else(|| file.peer_secret_file.clone());
        let idle_locks = self.locks.resolve(&file);
        let cluster = etcd.map(|etcd| Cluster { name, etcd, access, peers, peer_secret, idle_locks });
        let mut settings = self.node.resolve(&file, ledger_of("database-url", url)?, cluster)?;
        settings.migrates = !self.no_migrate.or(file.no_migrate).unwrap_or(false);
        let advertise = self.advertise.or_else(|| file.advertise.clone());
        let insecure = self.insecure.or(file.insecure).unwrap_or(false);
        let is_loopback = settings.listen.ip().is_loopback();
        settings.sign_in = self.sign_in.or(file.sign_in).unwrap_or(!(is_loopback || insecure));
        settings.token_rate = rate(self.token_rate.or(file.token_rate).unwrap_or(DEFAULT_TOKEN_RATE));
        let lacking = port::lacking(settings.listen, settings.tls.is_some(), settings.sign_in).join(" and ");
        if !lacking.is_empty() {
            let listen = settings.listen;
            if !insecure {
                bail!(
                    "--listen {listen} is reachable from elsewhere, and {lacking}: listen on loopback, or say --insecure"
                );
            }
            settings.warnings.push(format!("{listen} is reachable from elsewhere, and {lacking} (--insecure)"));
        }
        let hosts = [self.host, file.host].into_iter().find(|given| !given.is_empty()).unwrap_or_default();
        if !is_loopback {
            settings.names = Some(names(settings.listen, advertise.as_deref(), hosts)?);
        } else if !hosts.is_empty() {
            bail!("--host: who listens on loopback is reached by loopback names only; give another --listen");
        }
        settings.advertise = advertise.unwrap_or(settings.advertise);
        Ok(settings)
    }
}

impl NodeFlags {
    fn resolve(self, file: &File, ledger: Ledger, cluster: Option<Cluster>) -> Result<Settings> {
        let listen = self.listen.as_deref().or(file.listen.as_deref()).unwrap_or(DEFAULT_LISTEN);
        let address = listen.to_socket_addrs().ok().and_then(|mut found| found.next());
        let address = address.with_context(|| format!("--listen {listen}: write it as ADDRESS:PORT"))?;
        let agent_ttl = self.agent_ttl.or(file.agent_ttl).unwrap_or(match cluster {
            Some(_) => DEFAULT_AGENT_TTL_IN_CLUSTERS,
            None => DEFAULT_AGENT_TTL,
        });
        if agent_ttl < SHORTEST_AGENT_TTL {
            bail!("--agent-ttl {}: at least 1s", humantime::format_duration(agent_ttl));
        }
        let mut warnings = Vec::new();
        if cluster.is_some() && agent_ttl < PRUDENT_AGENT_TTL_IN_CLUSTERS {
            let ttl = humantime::format_duration(agent_ttl);
            warnings
                .push(format!("--agent-ttl {ttl}: tasks are stopped when etcd is away; they outlive that from 6s on"));
        }
        let Port { tls, certified, limits } = self.port.resolve(file)?;
        Ok(Settings {
            listen: address,
            names: None,
            advertise: format!("{}://{address}", if tls.is_some() { "https" } else { "http" }),
            tls,
            certified,
            limits,
            warnings,
            node_id: match self.node_id.or_else(|| file.node_id.clone()) {
                Some(name) => name,
                None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            },
            ledger,
            cluster,
            migrates: true,
            agent_ttl,
            min_every: self.min_every.or(file.min_every).unwrap_or(DEFAULT_MIN_EVERY),
            sign_in: false,
            token_rate: Rate::ANY,
            audit_retention: self.audit_retention.or(file.audit_retention).unwrap_or(DEFAULT_AUDIT_RETENTION),
            embedded_agent: None,
            log_format: self.log_format.or(file.log_format),
        })
    }
}

impl File {
    fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("--config {} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("--config {} is not right", path.display()))
    }
}

fn ledger_of(flag: &str, url: Option<String>) -> Result<Ledger> {
    const FORMS: &str = "sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE";
    let url = url.with_context(|| format!("no ledger: give one with --{flag} {FORMS}"))?;
    let file = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match file {
        Some(file) if !file.is_empty() => Ok(Ledger::Sqlite(PathBuf::from(file))),
        None if url.starts_with("postgres://") || url.starts_with("postgresql://") => Ok(Ledger::Postgres(url)),
        // It may be a URL with a password that is only misspelt.
        _ => bail!("--{flag}: write it as {FORMS}"),
    }
}

/// The names that clients may use: of the address listened on, the one advertised, and those given beside.
fn names(listen: SocketAddr, advertise: Option<&str>, hosts: Vec<String>) -> Result<BTreeSet<String>> {
    if let Some(no_name) = hosts.iter().find(|host| host.is_empty() || host.contains("://") || host.contains('/')) {
        bail!("--host {no_name:?}: write it as a name or an address, without a scheme");
    }
    let mut names = BTreeSet::from_iter(hosts);
    if !listen.ip().is_unspecified() {
        names.insert(bracketed(listen.ip()));
    }
    if let Some(url) = advertise {
        let uri: http::Uri = url.parse().with_context(|| format!("--advertise {url} is no URL"))?;
        names.insert(uri.host().with_context(|| format!("--advertise {url} names no host"))?.to_owned());
    }
    if names.is_empty() {
        bail!(
            "--listen {listen} names no address that clients could use: say which with --advertise URL, or --host NAME"
        );
    }
    Ok(names)
}

fn rate(per_second: u32) -> Rate {
    match f64::from(per_second) {
        0.0 => Rate::ANY,
        per_second => Rate { per_second, burst: 2.0 * per_second },
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
