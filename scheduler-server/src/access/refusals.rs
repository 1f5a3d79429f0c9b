//! Attempts that were refused, for the audit and the log: as many as a person reads, however many there are.

use std::sync::Arc;
use std::time::Duration;

use ledger::Audit;
use scheduler_core::audit::{Event, Origin};
use scheduler_core::ids::AuditEventId;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::rates::Rates;
use super::{Clocks, Rate, sign_in};

/// The same attempt of the same caller, or of the same network where nobody has signed in, is noted once a minute.
const SAME: Rate = Rate { per_second: 1.0 / 60.0, burst: 1.0 };
/// All that are in the audit; the log has the others too: 14,400 a day at most, once the burst is through.
const ALL: Rate = Rate { per_second: 1.0 / 6.0, burst: 60.0 };
/// What waits for the ledger; more is left out of the audit.
const WAITING: usize = 64;

/// Where refusals are told.
pub struct Refusals(Option<Noted>);

struct Noted {
    clocks: Clocks,
    /// By who and where, and the method.
    same: Rates<(String, String)>,
    all: Rates<()>,
    waiting: mpsc::Sender<Event>,
}

impl Refusals {
    /// Nobody is told.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// They wait here to be written.
    pub fn new(clocks: Clocks) -> (Self, mpsc::Receiver<Event>) {
        let (waiting, written) = mpsc::channel(WAITING);
        (Self(Some(Noted { clocks, same: Rates::new(SAME), all: Rates::new(ALL), waiting })), written)
    }

    pub(super) fn note(&self, origin: Origin, namespace: &str, why: &str) {
        let Some(noted) = &self.0 else { return };
        let now = (noted.clocks)();
        let who = if origin.principal.is_empty() {
            sign_in::network(origin.address.parse().ok()).to_string()
        } else {
            origin.principal.clone()
        };
        if noted.same.take((who, origin.method.clone()), now.boot).is_err() {
            return;
        }
        tracing::warn!(principal = %origin.principal, address = %origin.address, method = %origin.method, why, "refused");
        if noted.all.take((), now.boot).is_err() {
            return;
        }
        let event = Event {
            id: AuditEventId::at(now.wall, Uuid::new_v4().as_u128()),
            time: now.wall,
            origin,
            namespace: namespace.to_owned(),
            resource: String::new(),
            request_id: String::new(),
            refusal: why.to_owned(),
            before: None,
            after: None,
        };
        // A full queue waits for a ledger that is slow or away; the log has it.
        let _ = noted.waiting.try_send(event);
    }
}

/// How long events are kept, and how they go: a few at a time, beside everything else.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    pub retention: Duration,
    pub every: Duration,
    pub pause: Duration,
    pub batch: u32,
}

impl Keeping {
    pub fn of(retention: Duration) -> Self {
        Self { retention, every: Duration::from_secs(600), pause: Duration::from_millis(100), batch: 500 }
    }
}

/// Writes refusals, and has the ledger forget what is older than it keeps, until `refused` is closed.
pub async fn keep(audit: Arc<dyn Audit>, clocks: Clocks, keeping: Keeping, mut refused: mpsc::Receiver<Event>) {
    let mut tick = tokio::time::interval(keeping.every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            event = refused.recv() => {
                let Some(event) = event else { return };
                if let Err(error) = audit.record(&[event]).await {
                    tracing::warn!(%error, "a refusal is in the log only");
                }
            }
            _ = tick.tick() => {
                let before = clocks().wall.saturating_sub(keeping.retention);
                match audit.forget(before, keeping.batch).await {
                    // There may be more.
                    Ok(gone) if gone == u64::from(keeping.batch) => tick.reset_after(keeping.pause),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "old events of the audit are not deleted yet"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use scheduler_core::time::{Boot, Now, Timestamp};

    use super::*;

    fn origin(principal: &str, address: &str) -> Origin {
        Origin { principal: principal.to_owned(), address: address.to_owned(), ..Origin::default() }
    }

    fn written(waiting: &mut mpsc::Receiver<Event>) -> usize {
        std::iter::from_fn(|| waiting.try_recv().ok()).count()
    }

    #[test]
    fn however_many_are_refused_the_audit_grows_by_ten_events_a_minute() {
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&seconds);
        let (refusals, mut waiting) = Refusals::new(Arc::new(move || {
            let passed = Duration::from_secs(clock.load(Ordering::SeqCst));
            Now { wall: Timestamp::from_secs(1_770_000_000).saturating_add(passed), boot: Boot(passed) }
        }));
        let all_try = || (0..1_000).for_each(|n| refusals.note(origin(&format!("somebody {n}"), ""), "", "no"));
        all_try();
        assert_eq!(written(&mut waiting), 60, "those that come at a time");
        for _ in 0..10 {
            seconds.fetch_add(60, Ordering::SeqCst);
            all_try();
            assert_eq!(written(&mut waiting), 10);
        }
        seconds.fetch_add(600, Ordering::SeqCst);
        for address in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:3::1", "10.0.0.1", "10.0.0.1"] {
            refusals.note(origin("", address), "", "no token");
        }
        assert_eq!(written(&mut waiting), 3, "a network of IPv6 is one stranger");
    }
}
