//! `scheduler-server move`: a ledger is carried over to another one, while no server uses either.

use std::time::Duration;

use anyhow::{Context as _, Result};
use ledger::moving::{Moved, Place, Progress, carry};
use scheduler_core::time::Boot;

use crate::settings::{Ledger, MoveSettings};
use crate::{clock, store};

/// How often a long table says how far it is.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// Carries everything over, and says how far it is.
pub async fn run(settings: &MoveSettings) -> Result<()> {
    let MoveSettings { from, to } = settings;
    let name = format!("a move (pid {})", std::process::id());
    let source = store::held(from, &name).await.with_context(|| format!("--from {from}"))?;
    let target = store::held(to, &name).await.with_context(|| format!("--to {to}"))?;
    let (from_name, to_name) = (from.to_string(), to.to_string());
    let mut teller = Teller::default();
    let told = |progress: Progress| teller.tell(progress);
    let moved = carry((place(from), &from_name), (place(to), &to_name), clock::wall, told).await?;
    source.prove().await?;
    target.prove().await?;
    match moved {
        Moved::Now { rows } => println!("moved {rows} rows from {from} to {to}, and as many are there"),
        Moved::Before => println!("all of {from} was in {to} already"),
    }
    println!("Start the servers with the new ledger. The old one is as it was, but no server opens it any more.");
    Ok(())
}

fn place(ledger: &Ledger) -> Place<'_> {
    match ledger {
        Ledger::Sqlite(file) => Place::File(file),
        Ledger::Postgres(url) => Place::Database(url),
    }
}

#[derive(Default)]
struct Teller {
    last: Option<(&'static str, Boot)>,
}

impl Teller {
    fn tell(&mut self, progress: Progress) {
        let Progress { table, rows, of } = progress;
        let now = clock::now().boot;
        let is_news = self.last.is_none_or(|(last, told)| last != table || told.saturating_add(SAID_EVERY) <= now);
        if is_news || rows >= of {
            println!("{table}: {rows} of {of}");
            self.last = Some((table, now));
        }
    }
}
