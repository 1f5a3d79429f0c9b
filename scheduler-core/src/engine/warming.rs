//! How a node that stands by comes to know the jobs, and keeps up with them: it reads what has changed, a page at a time, whenever
//! the leader tells of more (PROTOCOL.md, rule 12).

use std::time::Duration;

use crate::time::{Boot, Timestamp};
use crate::txn::{Call, CallId, Done, Failure};

use super::config::{DELETED_JOB_EXPIRY, MAX_CLOCK_SKEW};
use super::input::Effect;
use super::memory::Memory;
use super::{Engine, Phase};

/// Jobs that are read at a time: some milliseconds' worth.
const PAGE: u32 = 1_000;
/// A node that knows nothing leaves leading to others for so long after it last learnt something.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Warming {
    pub(super) memory: Memory,
    /// Every change up to here is in the ledger, as a leader has told.
    told: i64,
    /// It was told so just now.
    is_told: bool,
    reading: Option<Reading>,
    /// It has read all that there is once.
    is_warm: bool,
    /// It cannot read all that there is: some row is of a later version. It reads all when it leads, and leaves the rest alone.
    gives_up: bool,
    /// When it last learnt something.
    since: Boot,
}

struct Reading {
    call: CallId,
    /// What was told before it began.
    told: i64,
}

impl Warming {
    pub(super) fn new(now: Boot) -> Self {
        Self {
            memory: Memory::new(Timestamp::MIN),
            told: 0,
            is_told: false,
            reading: None,
            is_warm: false,
            gives_up: false,
            since: now,
        }
    }

    /// None, before it has read all that there is.
    pub(super) fn jobs_known(&self) -> usize {
        if self.is_warm { self.memory.jobs.len() } else { 0 }
    }

    /// Whether it had better know more before it stands.
    fn goes_on(&self, now: Boot) -> bool {
        !self.is_warm && !self.gives_up && now.since(self.since) < PATIENCE
    }
}

impl Engine {
    /// The leader says that every change up to this number is in the ledger.
    pub(super) fn changes_told(&mut self, up_to: i64) {
        self.warming.told = self.warming.told.max(up_to);
        self.warming.is_told = true;
    }

    /// A read that fails is made again when the leader tells of changes again, as it does all the time.
    pub(super) fn keep_up(&mut self, out: &mut Vec<Effect>) {
        let warming = &mut self.warming;
        let is_told = std::mem::take(&mut warming.is_told);
        let is_behind = warming.told > warming.memory.up_to();
        if is_told
            && is_behind
            && matches!(self.phase, Phase::Standby)
            && warming.reading.is_none()
            && !warming.gives_up
        {
            self.read_changes(self.warming.told, out);
        }
    }

    fn read_changes(&mut self, told: i64, out: &mut Vec<Effect>) {
        let call = CallId(self.next_number());
        let above = self.warming.memory.up_to();
        self.warming.reading = Some(Reading { call, told });
        out.push(Effect::Call(call, Call::LoadChanges { above, most: PAGE }));
    }

    /// Takes the answer to a read of changes; whether it was one.
    pub(super) fn changes_read(
        &mut self,
        id: CallId,
        result: &mut Result<Done, Failure>,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(Reading { told, .. }) = self.warming.reading.take_if(|reading| reading.call == id) else {
            return false;
        };
        let Ok(Done::LoadedChanges(changes)) = result else { return true };
        let (changes, now) = (std::mem::take(&mut **changes), self.now);
        let warming = &mut self.warming;
        warming.since = now.boot;
        if !changes.unreadable.is_empty() {
            warming.memory = Memory::new(Timestamp::MIN);
            warming.gives_up = true;
            return true;
        }
        warming.memory.read(changes, told);
        if warming.memory.up_to() < told {
            self.read_changes(told, out);
        } else {
            warming.is_warm = true;
            // The ledger says itself which have expired; these it certainly does not ask about.
            let expired = now.wall.saturating_sub(DELETED_JOB_EXPIRY + MAX_CLOCK_SKEW);
            warming.memory.forget_expired(expired);
        }
        true
    }

    /// The ledger's watermark, as a survey tells: timers are never ahead of it.
    pub(super) fn watermark_told(&mut self, watermark: Timestamp) {
        self.warming.memory.pass(watermark);
    }

    /// Whether others, who may know the jobs already, had better lead before this node.
    pub(super) fn lets_others_lead(&self) -> bool {
        self.candidacy.others_since().is_some() && self.warming.goes_on(self.now.boot)
    }

    /// What it knows goes into a term.
    pub(super) fn take_memory(&mut self) -> Memory {
        std::mem::replace(&mut self.warming, Warming::new(self.now.boot)).memory
    }

    /// A term has ended, and what it knew with it.
    pub(super) fn begin_warming(&mut self) {
        self.warming = Warming::new(self.now.boot);
    }

    /// It reads for its term now.
    pub(super) fn stop_reading(&mut self) {
        self.warming.reading = None;
    }
}
