//! The settings of what is done to a ledger by who stands before the machine.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::BoolishValueParser;

use super::{File, Ledger, ledger_of};
use crate::access::Bootstrap;

#[derive(Debug, Default, Args)]
pub(super) struct LedgerFlags {
    /// The ledger: sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "PUNCTUAL_NODE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,

    /// TOML file with these settings; keys are named like the flags
    #[arg(long, env = "PUNCTUAL_NODE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub struct MigrateFlags {
    #[command(flatten)]
    ledger: LedgerFlags,

    /// After the ledger was restored from a backup, while no server uses it: enters what is not known as such
    #[arg(
        long,
        env = "PUNCTUAL_NODE_RESTORED",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    restored: Option<bool>,
}

/// What holds for a migration.
#[derive(Debug)]
pub struct MigrateSettings {
    pub ledger: Ledger,
    pub restored: bool,
}

#[derive(Debug, Default, Args)]
pub struct MoveFlags {
    /// The ledger to move: sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "PUNCTUAL_NODE_FROM", hide_env_values = true, value_name = "URL")]
    from: Option<String>,

    /// An empty one to move it to, written likewise
    #[arg(long, env = "PUNCTUAL_NODE_TO", hide_env_values = true, value_name = "URL")]
    to: Option<String>,
}

/// What holds for a move.
#[derive(Debug)]
pub struct MoveSettings {
    pub from: Ledger,
    pub to: Ledger,
}

#[derive(Debug, Default, Args)]
pub struct BootstrapFlags {
    #[command(flatten)]
    ledger: LedgerFlags,

    /// What its bearer is called in revisions and in the audit
    #[arg(long, env = "PUNCTUAL_NODE_NAME", value_name = "TEXT", default_value = "admin")]
    name: String,

    /// How long it is good for [default: for ever]
    #[arg(long, env = "PUNCTUAL_NODE_EXPIRES_IN", value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,

    /// Although there is an admin already
    #[arg(
        long,
        env = "PUNCTUAL_NODE_ANOTHER",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    another: Option<bool>,

    /// Write it to a new file that only its owner can read, rather than print it
    #[arg(long, env = "PUNCTUAL_NODE_OUT", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What holds for a bootstrap.
#[derive(Debug)]
pub struct BootstrapSettings {
    pub ledger: Ledger,
    pub asked: Bootstrap,
    pub out: Option<PathBuf>,
}

impl LedgerFlags {
    fn resolve(self) -> Result<Ledger> {
        let file = File::read(self.config.as_deref())?;
        ledger_of("database-url", self.database_url.or(file.database_url))
    }
}

impl MigrateFlags {
    pub fn resolve(self) -> Result<MigrateSettings> {
        Ok(MigrateSettings { ledger: self.ledger.resolve()?, restored: self.restored.unwrap_or(false) })
    }
}

impl MoveFlags {
    pub fn resolve(self) -> Result<MoveSettings> {
        Ok(MoveSettings { from: ledger_of("from", self.from)?, to: ledger_of("to", self.to)? })
    }
}

impl BootstrapFlags {
    pub fn resolve(self) -> Result<BootstrapSettings> {
        let another = self.another.unwrap_or(false);
        let asked = Bootstrap { display_name: self.name, expires_in: self.expires_in, another };
        Ok(BootstrapSettings { ledger: self.ledger.resolve()?, asked, out: self.out })
    }
}
