//! Renews the port's certificate while it is in use: whoever writes new files need not restart the server.
//!
//! The files are looked at every few seconds, and at once on SIGHUP. Files that are no good are complained of once, and
//! the certificate that was good before stays.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::time::Timestamp;
use tls::{Reload, ServerTls};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::tasks::Ended;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// From then on a certificate that nobody has renewed is warned of.
const EARLY: Duration = Duration::from_secs(14 * DAY);
/// Between two such warnings.
const WARN_EVERY: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

/// Goes on until `stop`.
pub(crate) async fn renew(tls: Arc<ServerTls>, stop: CancellationToken) -> Ended {
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| format!("no signals: {error}"))?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut warning = tokio::time::interval(WARN_EVERY);
    let mut complaint = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => {}
            _ = look.tick() => {}
            _ = warning.tick() => {
                warn_of_the_end(&tls);
                continue;
            }
        }
        let files = Arc::clone(&tls);
        let reloaded = tokio::task::spawn_blocking(move || files.reload()).await.map_err(|error| error.to_string())?;
        match reloaded {
            Ok(Reload::Unchanged) => {}
            Ok(Reload::Changed) => {
                complaint = None;
                tracing::info!("new connections get the new certificate");
                warn_of_the_end(&tls);
            }
            Err(error) => {
                let words = error.to_string();
                if complaint.as_ref() != Some(&words) {
                    tracing::error!(error = words, "the new certificate is no good: the old one stays");
                    complaint = Some(words);
                }
            }
        }
    }
}

fn warn_of_the_end(tls: &ServerTls) {
    let Some(valid_until) = tls.valid_until() else { return };
    let valid_until = Timestamp::from_micros(valid_until.saturating_mul(1_000_000));
    let now = clock::wall();
    if valid_until <= now {
        tracing::error!("the certificate has expired: clients refuse it");
    } else if valid_until.since(now) < EARLY {
        let days = valid_until.since(now).as_secs() / DAY;
        tracing::warn!(days, "the certificate is about to expire, and nobody has renewed it");
    }
}
