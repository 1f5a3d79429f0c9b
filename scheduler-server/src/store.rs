//! The ledger that the settings name, opened, and the coordinator: etcd in a cluster, else the lock of a node that is alone
//! on its ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use coordination::Coordinator;
use coordination::etcd::{self, Etcd};
use coordination::local::{self, Local};
use ledger::postgres::{Hold, Lock, LockError, Postgres};
use ledger::sqlite::Sqlite;
use ledger::{Audit, Leader, OpenError, Reader, Tokens};
use scheduler_core::ids::NodeId;
use scheduler_core::schedule;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::process::Process;
use crate::settings::{Cluster, EtcdAccess, Ledger, Settings};

/// How often a lock in Postgres is looked after. What is written meanwhile is guarded by the epoch.
const LOOKED_AFTER: Duration = Duration::from_secs(1);
/// How long a leader that says nothing stays one (PROTOCOL.md, section 3).
const LEASE: Duration = Duration::from_secs(3);

pub(crate) struct Opened {
    pub(crate) leader: Arc<dyn Leader>,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) coordinator: Arc<dyn Coordinator>,
    /// A lock that may have to be taken again.
    pub(crate) lock: Option<SessionLock>,
}

impl Opened {
    fn over<L: Leader + Reader + Tokens + Audit + 'static>(
        ledger: L,
        coordinator: Arc<dyn Coordinator>,
        lock: Option<SessionLock>,
    ) -> Self {
        let ledger = Arc::new(ledger);
        Self {
            leader: Arc::clone(&ledger) as _,
            reader: Arc::clone(&ledger) as _,
            tokens: Arc::clone(&ledger) as _,
            audit: ledger,
            coordinator,
            lock,
        }
    }
}

/// Takes the lock on the ledger, which nodes of a cluster share, then opens it.
pub(crate) async fn open(settings: &Settings, process: &Process) -> Result<Opened> {
    let holder = format!("server {} (pid {}) at {}", settings.node_id, std::process::id(), settings.advertise);
    match (&settings.ledger, &settings.cluster) {
        (Ledger::Sqlite(_), Some(_)) => {
            bail!("--etcd: several nodes need a ledger that they share: --database-url postgres://…")
        }
        (Ledger::Sqlite(file), None) => {
            let lock = locked(file, &holder)?;
            Ok(Opened::over(sqlite(file, settings.migrates).await?, Arc::new(lock), None))
        }
        (Ledger::Postgres(url), cluster) => {
            let about = || format!("the ledger {}", settings.ledger);
            let elected = cluster.as_ref().map(|cluster| elected(settings, process, cluster)).transpose()?;
            let hold = if elected.is_some() { Hold::Shared } else { Hold::Alone };
            let lock = SessionLock(Arc::new(Lock::take(url, hold, &holder).await.with_context(about)?));
            let ledger = postgres(url, &settings.node_id, settings.migrates).await.with_context(about)?;
            if let Some(cluster) = cluster {
                lock.0.claim(&cluster.name).await.with_context(about)?;
            }
            let coordinator: Arc<dyn Coordinator> = match elected {
                Some(etcd) => Arc::new(etcd),
                None => Arc::new(Local::over(lock.clone())),
            };
            Ok(Opened::over(ledger, coordinator, Some(lock)))
        }
    }
}

/// The lock on a ledger in a file.
fn locked(file: &Path, holder: &str) -> Result<Local> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        bail!("the ledger {}: there is no folder {}; make it first", file.display(), folder.display());
    }
    Ok(Local::lock(file, holder)?)
}

fn elected(settings: &Settings, process: &Process, cluster: &Cluster) -> Result<Etcd> {
    let EtcdAccess { ca, identity, user } = &cluster.access;
    let tls = match ca {
        Some(ca) => Some(etcd::Tls {
            ca: read("etcd-ca", ca)?,
            identity: match identity {
                Some((cert, key)) => Some((read("etcd-cert", cert)?, read("etcd-key", key)?)),
                None => None,
            },
            server_name: None,
        }),
        None => None,
    };
    let user = match user {
        Some((name, file)) => {
            let password = String::from_utf8(read("etcd-password-file", file)?);
            let password =
                password.map_err(|_| anyhow::anyhow!("--etcd-password-file {}: not UTF-8", file.display()))?;
            Some(etcd::User { name: name.clone(), password: password.trim_end_matches(['\r', '\n']).to_owned() })
        }
        None => None,
    };
    let settings = etcd::Settings {
        endpoints: cluster.etcd.clone(),
        cluster: cluster.name.clone(),
        node: NodeId(settings.node_id.clone()),
        instance: process.instance.clone(),
        address: settings.advertise.clone(),
        schedule_version: schedule::VERSION.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: process.started,
        lease: LEASE,
        user,
        tls,
    };
    Etcd::new(settings).map_err(|bad| anyhow::anyhow!("--{}: {}", flag(bad.field), bad.why))
}

/// By which flag a setting of etcd was given.
fn flag(field: &str) -> &str {
    match field {
        "endpoints" => "etcd",
        "tls" => "etcd-ca",
        other => other,
    }
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("--{flag} {} cannot be read", file.display()))
}

/// The tokens of a ledger that a server may be running on, and the lock that keeps others off meanwhile where there is
/// none. Then the tables may be brought up to date; a server that runs has done so.
pub(crate) async fn tokens(ledger: &Ledger, holder: &str) -> Result<(Arc<dyn Tokens>, Option<Local>)> {
    match ledger {
        Ledger::Sqlite(file) => {
            let lock = Local::lock(file, holder).ok();
            Ok((Arc::new(sqlite(file, lock.is_some()).await?), lock))
        }
        Ledger::Postgres(url) => {
            let opened = postgres(url, holder, true).await.with_context(|| format!("the ledger {ledger}"))?;
            Ok((Arc::new(opened), None))
        }
    }
}

/// Brings the tables of a ledger up to date, and nothing else. A database may be in use meanwhile, a file may not.
pub async fn migrate(ledger: &Ledger) -> Result<()> {
    let name = format!("a migration (pid {})", std::process::id());
    match ledger {
        Ledger::Sqlite(file) => {
            let _lock = locked(file, &name)?;
            sqlite(file, true).await.map(drop)
        }
        Ledger::Postgres(url) => {
            postgres(url, &name, true).await.map(drop).with_context(|| format!("the ledger {ledger}"))
        }
    }
}

/// A ledger that no server uses while this has it.
pub(crate) enum Held {
    /// The file is locked while this lives.
    File(#[expect(dead_code, reason = "the lock is given back when it is dropped")] Local),
    Database(Box<Lock>),
}

impl Held {
    /// Postgres may have ended the session that had the lock.
    pub(crate) async fn prove(&self) -> Result<()> {
        match self {
            Self::File(_) => Ok(()),
            Self::Database(lock) => lock.prove().await.map_err(Into::into),
        }
    }
}

/// Takes the lock on a ledger, or says who has it.
pub(crate) async fn held(ledger: &Ledger, holder: &str) -> Result<Held> {
    Ok(match ledger {
        Ledger::Sqlite(file) => Held::File(Local::lock(file, holder)?),
        Ledger::Postgres(url) => Held::Database(Box::new(Lock::take(url, Hold::Alone, holder).await?)),
    })
}

/// A ledger as its leader has it, with the lock that keeps servers off.
pub(crate) async fn alone(ledger: &Ledger, holder: &str) -> Result<(Arc<dyn Leader>, Held)> {
    let lock = held(ledger, holder).await.with_context(|| format!("the ledger {ledger}"))?;
    let leader: Arc<dyn Leader> = match ledger {
        Ledger::Sqlite(file) => Arc::new(sqlite(file, true).await?),
        Ledger::Postgres(url) => {
            Arc::new(postgres(url, holder, true).await.with_context(|| format!("the ledger {ledger}"))?)
        }
    };
    Ok((leader, lock))
}

async fn sqlite(file: &Path, migrates: bool) -> Result<Sqlite> {
    let clock = Arc::new(clock::wall);
    let opened = if migrates { Sqlite::open(file, clock).await } else { Sqlite::open_migrated(file, clock).await };
    opened.with_context(|| format!("the ledger {}", file.display()))
}

async fn postgres(url: &str, node: &str, migrates: bool) -> Result<Postgres, OpenError> {
    if migrates { Postgres::open(url, node).await } else { Postgres::open_migrated(url, node).await }
}

/// The lock of a server that is alone on a database.
#[derive(Clone)]
pub(crate) struct SessionLock(Arc<Lock>);

impl SessionLock {
    /// Takes the lock again where Postgres was away, until it is asked to stop; ends badly when another server has
    /// been faster.
    pub(crate) async fn keep(self, stop: CancellationToken) -> Result<(), String> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOKED_AFTER) => {}
            }
            if let Err(held @ (LockError::Held(_) | LockError::OtherCluster(_))) = self.0.prove().await {
                return Err(held.to_string());
            }
        }
    }
}

#[async_trait]
impl local::Lock for SessionLock {
    async fn prove(&self) -> Result<(), coordination::Error> {
        self.0.prove().await.map_err(|error| coordination::Error::NotLeading(error.to_string()))
    }
}
