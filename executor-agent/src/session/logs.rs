//! What one attempt's task wrote, until the server has it.
//!
//! Bounded in rate, in total and in what waits. What does not fit is dropped and counted, and the next chunk says how many
//! bytes are missing before it: a task that floods its log neither stops nor hides that it did.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use prost_types::Timestamp;
use punctual_proto::v1::LogChunk;
use punctual_proto::v1::log_chunk::Stream;

use super::ids::AttemptKey;
use crate::time::Boot;

/// Bytes an attempt may write in a second, over longer times.
const RATE: i64 = 1 << 20;
/// Bytes it may write at once.
const BURST: i64 = 4 << 20;
/// Bytes it may write in all.
const TOTAL: i64 = 16 << 20;
/// Bytes that may wait for the server.
const WAITING: i64 = 2 << 20;
/// Where output is dropped, it goes on when so much fits again. Each cut makes a chunk of its own, so that a few bytes
/// here and there would cost the server more than they say.
const AFTER_A_CUT: i64 = 16 << 10;

#[derive(Debug)]
pub(super) struct Logs {
    next_sequence: i64,
    unsent: VecDeque<LogChunk>,
    /// Sent, not acknowledged.
    sent: VecDeque<LogChunk>,
    waiting: i64,
    total: i64,
    allowance: i64,
    refilled: Boot,
    /// Bytes dropped since the last chunk.
    cut: i64,
}

impl Logs {
    pub(super) fn new(now: Boot) -> Self {
        Self {
            next_sequence: 1,
            unsent: VecDeque::new(),
            sent: VecDeque::new(),
            waiting: 0,
            total: 0,
            allowance: BURST,
            refilled: now,
            cut: 0,
        }
    }

    /// Takes what the task wrote, as far as it fits; `room` is what the agent as a whole can still hold.
    pub(super) fn push(
        &mut self,
        now: Boot,
        key: AttemptKey,
        stream: Stream,
        time: Timestamp,
        mut data: Bytes,
        room: i64,
    ) {
        self.refill(now);
        let length = size(&data);
        let room = self.allowance.min(TOTAL - self.total).min(WAITING - self.waiting).min(room);
        let fits = if self.cut > 0 && room < length.max(AFTER_A_CUT) { 0 } else { room.clamp(0, length) };
        let dropped = data.split_off(usize::try_from(fits).expect("because it was clamped to a length"));
        if !data.is_empty() {
            self.allowance -= fits;
            self.total += fits;
            self.append(key, stream, time, data);
        }
        self.cut += size(&dropped);
    }

    /// The task has ended: what was dropped at the very end is said with an empty chunk.
    pub(super) fn finish(&mut self, key: AttemptKey, time: Timestamp) {
        if self.cut > 0 {
            self.append(key, Stream::Stderr, time, Bytes::new());
        }
    }

    pub(super) fn take_unsent(&mut self, max_data: usize) -> Option<LogChunk> {
        let mut chunk = self.unsent.pop_front()?;
        // One that was sent before keeps its number, and so its content.
        if chunk.sequence == 0 && chunk.data.len() > max_data {
            let rest = chunk.data.split_off(max_data);
            self.unsent.push_front(LogChunk { data: rest, truncated_bytes: 0, ..chunk.clone() });
        }
        if chunk.sequence == 0 {
            chunk.sequence = self.next_sequence;
            self.next_sequence += 1;
        }
        self.sent.push_back(chunk.clone());
        Some(chunk)
    }

    /// Everything up to this chunk is durable.
    pub(super) fn acknowledge(&mut self, sequence: i64) {
        while let Some(chunk) = self.sent.pop_front_if(|chunk| chunk.sequence <= sequence) {
            self.waiting -= size(&chunk.data);
        }
    }

    /// A new stream: what was sent on the old one and not acknowledged is sent again, under the same numbers.
    pub(super) fn send_again(&mut self) {
        while let Some(chunk) = self.sent.pop_back() {
            self.unsent.push_front(chunk);
        }
    }

    pub(super) fn is_all_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.sent.is_empty()
    }

    /// Bytes held.
    pub(super) fn waiting(&self) -> i64 {
        self.waiting
    }

    fn append(&mut self, key: AttemptKey, stream: Stream, time: Timestamp, data: Bytes) {
        self.waiting += size(&data);
        let mergeable = |last: &&mut LogChunk| {
            last.sequence == 0 && last.stream() == stream && last.data.len() + data.len() <= super::LOG_CHUNK
        };
        if self.cut == 0
            && let Some(last) = self.unsent.back_mut().filter(mergeable)
        {
            let mut merged = BytesMut::with_capacity(last.data.len() + data.len());
            merged.extend_from_slice(&last.data);
            merged.extend_from_slice(&data);
            last.data = merged.freeze();
            return;
        }
        self.unsent.push_back(LogChunk {
            run_id: key.run.to_string(),
            attempt: key.attempt,
            // Given when it is first sent.
            sequence: 0,
            stream: stream.into(),
            time: Some(time),
            data,
            truncated_bytes: std::mem::take(&mut self.cut),
        });
    }

    fn refill(&mut self, now: Boot) {
        let elapsed = i64::try_from(now.since(self.refilled).as_micros()).unwrap_or(i64::MAX);
        let earned = elapsed.saturating_mul(RATE) / 1_000_000;
        if earned > 0 {
            self.allowance = self.allowance.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
    }
}

fn size(data: &Bytes) -> i64 {
    i64::try_from(data.len()).expect("because nothing in memory is larger than an i64")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    const KEY: AttemptKey = AttemptKey { run: Uuid::nil(), attempt: 1 };

    fn push(logs: &mut Logs, now: Boot, data: &[u8]) {
        logs.push(now, KEY, Stream::Stdout, Timestamp::default(), Bytes::copy_from_slice(data), i64::MAX);
    }

    #[test]
    fn small_writes_share_a_chunk_and_streams_do_not() {
        let mut logs = Logs::new(Boot(0));
        push(&mut logs, Boot(0), b"a");
        push(&mut logs, Boot(0), b"b");
        logs.push(Boot(0), KEY, Stream::Stderr, Timestamp::default(), Bytes::from_static(b"c"), i64::MAX);
        let first = logs.take_unsent(1024).expect("stdout");
        assert_eq!((first.sequence, &first.data[..]), (1, &b"ab"[..]));
        let second = logs.take_unsent(1024).expect("stderr");
        assert_eq!((second.sequence, second.stream(), &second.data[..]), (2, Stream::Stderr, &b"c"[..]));
        assert!(logs.is_all_sent() && !logs.is_empty());
        logs.acknowledge(2);
        assert!(logs.is_empty());
        assert_eq!(logs.waiting(), 0);
    }

    #[test]
    fn a_flood_is_cut_and_the_next_chunk_says_how_much() {
        let mut logs = Logs::new(Boot(0));
        let block = vec![b'x'; 1 << 20];
        for _ in 0..3 {
            push(&mut logs, Boot(0), &block);
        }
        while let Some(chunk) = logs.take_unsent(super::super::LOG_CHUNK) {
            assert!(chunk.data.len() <= super::super::LOG_CHUNK);
            logs.acknowledge(chunk.sequence);
        }
        push(&mut logs, Boot(0) + Duration::from_secs(1), b"later");
        let later = logs.take_unsent(1024).expect("later");
        assert_eq!((later.truncated_bytes, &later.data[..]), (1 << 20, &b"later"[..]));
    }

    #[test]
    fn a_flood_that_goes_on_is_kept_in_whole_pieces() {
        let mut logs = Logs::new(Boot(0));
        let (block, mut now, mut kept, mut chunks) = (vec![b'x'; 8 << 10], Boot(0), 0, 0);
        for _ in 0..100_000 {
            now = now + Duration::from_micros(20);
            push(&mut logs, now, &block);
            while let Some(chunk) = logs.take_unsent(super::super::LOG_CHUNK) {
                logs.acknowledge(chunk.sequence);
                (kept, chunks) = (kept + chunk.data.len(), chunks + 1);
            }
        }
        assert!((5 << 20..7 << 20).contains(&kept), "at its rate: {kept}");
        assert!(kept / chunks > 4 << 10, "{chunks} chunks for {kept} bytes");
    }

    #[test]
    fn what_is_dropped_at_the_very_end_is_not_hidden() {
        let mut logs = Logs::new(Boot(0));
        logs.push(Boot(0), KEY, Stream::Stdout, Timestamp::default(), Bytes::from_static(b"abc"), 0);
        logs.finish(KEY, Timestamp::default());
        let last = logs.take_unsent(1024).expect("a chunk that says so");
        assert_eq!((last.truncated_bytes, last.data.len()), (3, 0));
    }

    #[test]
    fn chunks_keep_their_numbers_when_sent_again() {
        let mut logs = Logs::new(Boot(0));
        push(&mut logs, Boot(0), b"abcdef");
        let first = logs.take_unsent(3).expect("first half");
        let second = logs.take_unsent(3).expect("second half");
        logs.acknowledge(first.sequence);
        logs.send_again();
        assert_eq!(logs.take_unsent(2).map(|chunk| chunk.sequence), Some(second.sequence));
    }
}
