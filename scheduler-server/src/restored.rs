//! `scheduler-server migrate --restored`: a ledger that was restored from a backup does not know what ran since, and is
//! told so before anybody leads on it (PROTOCOL.md, rule 12).

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ledger::Leader;
use scheduler_core::engine::{self, Config, IdleLocks, LedgerClock};
use scheduler_core::ids::NodeId;
use scheduler_core::schedule;
use scheduler_core::time::{Now, Timestamp};
use scheduler_core::txn::{Failure, TakeOver, Transaction};

use crate::settings::Ledger;
use crate::{clock, store};

/// The least that any leader tells agents: what the ledger has been told is more.
const SHORTEST_TTL: Duration = Duration::from_millis(1);
/// How far the clocks of nodes may differ: rows that were entered so long before the watermark are looked at too.
const SKEW: Duration = Duration::from_secs(5);
/// How often a commit whose outcome is not known is asked for.
const TRIES: u32 = 5;

/// Waits until no agent runs anything that the backup knows of, and enters what is unknown as unknown.
pub async fn run(ledger: &Ledger) -> Result<()> {
    let (leader, lock) = store::alone(ledger, &format!("a restore (pid {})", std::process::id())).await?;
    if leader.survey().await?.schedule_version.is_none() {
        bail!("nobody has led on the ledger {ledger} yet: there is nothing that it could lack");
    }
    let by = TakeOver {
        node: NodeId("migrate --restored".to_owned()),
        agent_ttl: SHORTEST_TTL,
        schedule_version: schedule::VERSION.clone(),
        election: None,
        instead_of: None,
    };
    let began = leader.take_over(&by).await.context("taking the ledger over")?;
    let wait = began.longest_agent_ttl;
    println!("waiting {} until no agent runs what the backup has under way", humantime::format_duration(wait));
    tokio::time::sleep(wait).await;

    lock.prove().await?;
    let entered_since = began.watermark.saturating_sub(SKEW);
    let snapshot = leader.load(began.epoch, entered_since, None).await.context("reading the ledger")?;
    for unreadable in &snapshot.unreadable {
        eprintln!("{} cannot be read, and is left as it is: {}", unreadable.row, unreadable.why);
    }
    let now = Now { wall: leader.survey().await?.ledger_time, boot: clock::now().boot };
    let config = Config {
        node: by.node,
        agent_ttl: wait,
        lease: None,
        min_every: Duration::ZERO,
        idle_locks: IdleLocks::default(),
        ledger_clock: LedgerClock::ThisMachines,
        seed: uuid::Uuid::new_v4().as_u128(),
    };
    let made = engine::restored(config, &began, snapshot, now);
    for alert in &made.alerts {
        eprintln!("left as it is: {alert:?}");
    }
    for transaction in &made.transactions {
        commit(&*leader, transaction).await?;
    }
    println!("{}", said(began.watermark, now.wall, made.fires, made.runs));
    Ok(())
}

fn said(from: Timestamp, until: Timestamp, fires: u64, runs: u64) -> String {
    format!(
        "{fires} fires between {from} and {until} are recorded as MISSED, and {runs} runs that were under way as FAILED, \
         both with the reason LEDGER_RESTORED"
    )
}

/// The same again where nobody knows whether it is there.
async fn commit(leader: &dyn Leader, transaction: &Transaction) -> Result<()> {
    let mut tries = 1;
    loop {
        match leader.commit(transaction).await {
            Ok(()) => return Ok(()),
            Err(Failure::Unknown(_)) if tries < TRIES => tries += 1,
            Err(failure) => return Err(failure).context("writing to the ledger: run it again"),
        }
    }
}
