//! What goes to the leader in batches, under credits: reports and log chunks, and the Inventory that opens a stream.

use prost::Message as _;
use punctual_proto::v1::agent_message::Message as AgentMessage;
use punctual_proto::v1::inventory::HeldAttempt;
use punctual_proto::v1::{Acks, Inventory, LogChunk, LogChunks, Report, Reports};

use super::Session;
use super::attempt::Phase;
use super::connection::batch_bytes;
use super::ids::{AttemptKey, StreamId};

/// Attempts with something to send at which it is sent without waiting for a Tick.
pub(super) const FULL: usize = 512;
/// Bytes of a message kept for what frames its batch.
pub(super) const FRAMING: usize = 4096;
/// Attempts that are kept only because their logs are not acknowledged.
const LINGERING: usize = 1024;

impl Session {
    /// The attempt may have something to send.
    pub(super) fn enqueue(&mut self, key: AttemptKey) {
        if let Some(attempt) = self.attempts.get_mut(&key)
            && !attempt.queued
        {
            attempt.queued = true;
            self.queue.push_back(key);
        }
    }

    pub(super) fn has_something_to_send(&self) -> bool {
        let link = self.current.and_then(|stream| self.links.get(&stream));
        !self.queue.is_empty() && link.is_some_and(|link| link.report_credits > 0 || link.log_credits > 0)
    }

    /// Sends what has gathered, as far as the credits reach: log chunks before reports, so that an attempt's last report
    /// follows its log.
    pub(super) fn flush(&mut self) {
        let Some(stream) = self.current else { return };
        let Some(link) = self.links.get_mut(&stream) else { return };
        let (max_bytes, max_chunk) = (batch_bytes(link), link.terms.max_chunk);
        let mut chunks = Batch::<LogChunk>::new(max_bytes);
        let mut reports = Batch::<Report>::new(max_bytes);
        let mut blocked = Vec::new();
        while let Some(key) = self.queue.pop_front() {
            if link.report_credits <= 0 && link.log_credits <= 0 {
                self.queue.push_front(key);
                break;
            }
            let Some(attempt) = self.attempts.get_mut(&key) else { continue };
            while link.log_credits > 0
                && let Some(chunk) = attempt.logs.take_unsent(max_chunk)
            {
                link.log_credits -= 1;
                chunks.push(chunk);
            }
            let logs_sent = attempt.logs.is_all_sent();
            while link.report_credits > 0
                && let Some(report) = attempt.reports.take_unsent(self.now.boot, logs_sent)
            {
                link.report_credits -= 1;
                reports.push(report);
            }
            attempt.queued = false;
            if !logs_sent || link.report_credits <= 0 {
                blocked.push(key);
            }
        }
        let sent = chunks.done().map(|chunks| AgentMessage::LogChunks(LogChunks { chunks }));
        let sent: Vec<_> =
            sent.chain(reports.done().map(|reports| AgentMessage::Reports(Reports { reports }))).collect();
        for message in sent {
            self.send(stream, message);
        }
        self.blocked.extend(blocked);
    }

    /// Opens a stream: all that is held, and every report that is not acknowledged.
    pub(super) fn send_inventory(&mut self, stream: StreamId) {
        let now = self.now.boot;
        let mut held = Vec::new();
        let mut reports = Vec::new();
        for (key, attempt) in &mut self.attempts {
            attempt.logs.send_again();
            // What ended without a log left to send is told right here; nothing that ended is left out.
            if attempt.is_ended() && attempt.logs.is_all_sent() {
                while attempt.reports.take_unsent(now, true).is_some() {}
            }
            if !attempt.is_ended() || attempt.reports.is_finish_unsent() {
                held.push(HeldAttempt {
                    run_id: key.run.to_string(),
                    attempt: key.attempt,
                    fencing_token: attempt.task.fencing_token,
                    started: !matches!(attempt.phase, Phase::Waiting { .. }),
                });
            }
            reports.extend(attempt.reports.unacknowledged().cloned());
        }
        let Some(link) = self.links.get_mut(&stream) else { return };
        let carried = i64::try_from(reports.len()).unwrap_or(i64::MAX);
        link.report_credits = link.terms.report_credits.saturating_sub(carried);
        link.log_credits = link.terms.log_credits;
        let max_bytes = batch_bytes(link);
        for inventory in parts(held, reports, max_bytes) {
            self.send(stream, AgentMessage::Inventory(inventory));
        }
        self.blocked.clear();
        let keys: Vec<_> = self.attempts.keys().copied().collect();
        for key in keys {
            self.enqueue(key);
        }
    }

    pub(super) fn acknowledged(&mut self, stream: StreamId, acks: &Acks) {
        if let Some(link) = self.links.get_mut(&stream) {
            link.report_credits = link.report_credits.saturating_add(i64::from(acks.report_credits.max(0)));
            link.log_credits = link.log_credits.saturating_add(i64::from(acks.log_credits.max(0)));
        }
        for ack in &acks.reports {
            let Some(key) = AttemptKey::parse(&ack.run_id, ack.attempt) else { continue };
            let Some(attempt) = self.attempts.get_mut(&key) else { continue };
            let is_last = attempt.reports.acknowledge(ack.sequence);
            if !is_last {
                self.enqueue(key);
            } else if ack.refused || attempt.logs.is_empty() {
                self.remove(key);
            } else {
                self.linger(key);
            }
        }
        for ack in &acks.logs {
            let Some(key) = AttemptKey::parse(&ack.run_id, ack.attempt) else { continue };
            let Some(attempt) = self.attempts.get_mut(&key) else { continue };
            let before = attempt.logs.waiting();
            attempt.logs.acknowledge(ack.sequence);
            self.log_bytes -= before - attempt.logs.waiting();
            if attempt.is_reported() && attempt.logs.is_empty() {
                self.remove(key);
            }
        }
        for key in std::mem::take(&mut self.blocked) {
            self.enqueue(key);
        }
    }

    /// Keeps an attempt whose end is acknowledged until its log is, among a bounded number of such.
    fn linger(&mut self, key: AttemptKey) {
        self.lingering.push_back(key);
        if self.lingering.len() > LINGERING
            && let Some(oldest) = self.lingering.pop_front()
            && self.attempts.get(&oldest).is_some_and(super::attempt::Attempt::is_reported)
        {
            self.remove(oldest);
        }
    }
}

/// Cuts an inventory into messages.
fn parts(held: Vec<HeldAttempt>, reports: Vec<Report>, max_bytes: usize) -> Vec<Inventory> {
    let mut parts = vec![Inventory::default()];
    let mut bytes = 0;
    let mut part = |size: usize, parts: &mut Vec<Inventory>| {
        if bytes > 0 && bytes + size > max_bytes {
            if let Some(last) = parts.last_mut() {
                last.more = true;
            }
            parts.push(Inventory::default());
            bytes = 0;
        }
        bytes += size;
        parts.len() - 1
    };
    for attempt in held {
        let index = part(attempt.encoded_len() + ITEM, &mut parts);
        parts[index].held.push(attempt);
    }
    for report in reports {
        let index = part(report.encoded_len() + ITEM, &mut parts);
        parts[index].reports.push(report);
    }
    parts
}

/// Bytes that tag and length of an item take, at most.
const ITEM: usize = 8;

/// Items gathered into lists that each fit a message.
struct Batch<T> {
    max_bytes: usize,
    full: Vec<Vec<T>>,
    last: Vec<T>,
    bytes: usize,
}

impl<T: prost::Message> Batch<T> {
    fn new(max_bytes: usize) -> Self {
        Self { max_bytes, full: Vec::new(), last: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, item: T) {
        let size = item.encoded_len() + ITEM;
        if !self.last.is_empty() && self.bytes + size > self.max_bytes {
            self.full.push(std::mem::take(&mut self.last));
            self.bytes = 0;
        }
        self.bytes += size;
        self.last.push(item);
    }

    fn done(mut self) -> impl Iterator<Item = Vec<T>> {
        if !self.last.is_empty() {
            self.full.push(self.last);
        }
        self.full.into_iter()
    }
}
