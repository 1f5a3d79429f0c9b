//! `scheduler-server token bootstrap`: the first admin token, on the machine itself.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};

use crate::access::bootstrap;
use crate::settings::BootstrapSettings;
use crate::{clock, store};

/// Makes the token and prints it, and nothing else, on standard output.
pub async fn run(settings: BootstrapSettings) -> Result<()> {
    let (ledger, _lock) = store::tokens(&settings.ledger, &format!("a bootstrap (pid {})", std::process::id())).await?;
    let mut file = match &settings.out {
        // Before the token is made: one that nobody can be given is of no use.
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Some(file.with_context(|| format!("--out {} cannot be made", path.display()))?)
        }
        None => None,
    };
    let made = bootstrap(&*ledger, &settings.asked, clock::wall()).await;
    let secret = match (made, &settings.out) {
        (Ok(secret), _) => secret,
        (Err(error), Some(path)) => {
            // Empty, and nobody's.
            let _ = std::fs::remove_file(path);
            return Err(error.into());
        }
        (Err(error), None) => return Err(error.into()),
    };
    let line = format!("{}\n", secret.reveal());
    match &mut file {
        Some(file) => file.write_all(line.as_bytes())?,
        None => std::io::stdout().write_all(line.as_bytes())?,
    }
    eprintln!("An admin token was made, and is shown this once: keep it in a file, and give it with --token-file.");
    Ok(())
}
