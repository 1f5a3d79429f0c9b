//! The tokens of `dev --tls`: one for whoever runs it, and one for agents. They lie beside the self-made authority, readable
//! by their owner only, and stay good over restarts.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ledger::Tokens;
use scheduler_core::access::Role;
use scheduler_core::time::Timestamp;

use crate::access::{Secret, issue};
use crate::self_made;

/// Files with tokens.
#[derive(Clone, Debug)]
pub struct DevTokens {
    pub admin: PathBuf,
    pub agent: PathBuf,
}

impl DevTokens {
    /// Takes those that are in the folder, and makes what is missing there or unknown to the ledger.
    pub async fn in_folder(folder: &Path, ledger: &dyn Tokens, now: Timestamp) -> Result<Self> {
        let tokens = Self { admin: folder.join("admin.token"), agent: folder.join("agent.token") };
        for (file, role) in [(&tokens.admin, Role::Admin), (&tokens.agent, Role::Agent)] {
            if !is_good(file, ledger, now).await? {
                let secret = issue(ledger, role, "dev", None, now).await?;
                self_made::write(file, &format!("{}\n", secret.reveal()), 0o600)
                    .with_context(|| format!("{} cannot be written", file.display()))?;
            }
        }
        Ok(tokens)
    }
}

async fn is_good(file: &Path, ledger: &dyn Tokens, now: Timestamp) -> Result<bool> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(false) };
    let Ok(secret) = Secret::read(text.trim()) else { return Ok(false) };
    let found = ledger.token(secret.id()).await?;
    Ok(found.is_some_and(|(token, hash)| secret.is_of(&hash) && token.is_good_at(now)))
}
