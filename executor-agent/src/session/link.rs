//! One stream to one server.

use std::collections::VecDeque;
use std::time::Duration;

use punctual_proto::v1::Welcome;

use super::ids::Epoch;
use crate::time::Boot;

/// What holds until a Welcome says otherwise.
pub(super) const DEFAULT_TTL: Duration = Duration::from_secs(10);
const DEFAULT_MESSAGE_BYTES: usize = 1 << 20;
const DEFAULT_CREDITS: i64 = 1024;
/// Heartbeats that may be unconfirmed; older ones are not worth confirming.
const HEARTBEATS: usize = 256;

#[derive(Debug)]
pub(super) struct Link {
    /// Index of the server.
    pub(super) server: usize,
    pub(super) state: State,
    /// When anything was last heard.
    pub(super) heard: Boot,
    /// When the server last showed that it is of use: it opened, welcomed, or confirmed.
    pub(super) useful: Boot,
    pub(super) next_heartbeat: Boot,
    /// Number and instant of those that are not confirmed.
    pub(super) heartbeats: VecDeque<(i64, Boot)>,
    pub(super) terms: Terms,
    pub(super) report_credits: i64,
    pub(super) log_credits: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    /// Hello was sent.
    Greeting,
    /// The server is elected, but has not taken over.
    Waiting,
    Welcomed(Epoch),
}

/// What a Welcome says about how to go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) ttl: Duration,
    pub(super) heartbeat_interval: Duration,
    pub(super) max_message: usize,
    pub(super) max_chunk: usize,
    pub(super) report_credits: i64,
    pub(super) log_credits: i64,
}

impl Terms {
    pub(super) fn of(welcome: &Welcome) -> Self {
        let duration = |given: &Option<prost_types::Duration>| given.and_then(|given| Duration::try_from(given).ok());
        let ttl = duration(&welcome.agent_ttl).filter(|ttl| !ttl.is_zero()).unwrap_or(DEFAULT_TTL);
        let interval = duration(&welcome.heartbeat_interval).filter(|interval| !interval.is_zero());
        let limits = welcome.limits.unwrap_or_default();
        let or = |given: i32, default: usize| usize::try_from(given).ok().filter(|given| *given > 0).unwrap_or(default);
        let credits = |given: i32| if given > 0 { i64::from(given) } else { DEFAULT_CREDITS };
        Self {
            ttl,
            heartbeat_interval: interval.unwrap_or(ttl / 10).max(Duration::from_millis(10)),
            max_message: or(limits.max_message_bytes, DEFAULT_MESSAGE_BYTES),
            max_chunk: or(limits.max_log_chunk_bytes, super::LOG_CHUNK).min(super::LOG_CHUNK),
            report_credits: credits(limits.report_credits),
            log_credits: credits(limits.log_credits),
        }
    }
}

impl Link {
    pub(super) fn new(server: usize, now: Boot) -> Self {
        Self {
            server,
            state: State::Connecting,
            heard: now,
            useful: now,
            next_heartbeat: now,
            heartbeats: VecDeque::new(),
            terms: Terms::of(&Welcome::default()),
            report_credits: 0,
            log_credits: 0,
        }
    }

    pub(super) fn beats(&self) -> bool {
        matches!(self.state, State::Waiting | State::Welcomed(_))
    }

    pub(super) fn beat(&mut self, n: i64, now: Boot) {
        if self.heartbeats.len() == HEARTBEATS {
            self.heartbeats.pop_front();
        }
        self.heartbeats.push_back((n, now));
        self.next_heartbeat = now + self.terms.heartbeat_interval;
    }

    /// When heartbeat `n` was sent on this stream; it and those before it are forgotten.
    pub(super) fn confirmed(&mut self, n: i64) -> Option<Boot> {
        let at = self.heartbeats.iter().position(|(sent, _)| *sent == n)?;
        self.heartbeats.drain(..=at).next_back().map(|(_, sent)| sent)
    }

    /// From when on it is worth trying other servers too. Who has not answered Hello may never do so, and tasks live on
    /// what is left of the right to run.
    pub(super) fn doubtful_at(&self) -> Boot {
        match self.state {
            State::Waiting | State::Welcomed(_) => self.silent_at(),
            State::Connecting | State::Greeting => self.useful + self.terms.ttl / 10,
        }
    }

    /// From when on somebody else may be behind its address.
    pub(super) fn silent_at(&self) -> Boot {
        self.useful + self.terms.ttl / 3
    }

    /// When it is given up.
    pub(super) fn dead_at(&self) -> Boot {
        self.heard + self.terms.ttl
    }
}
