//! Whether this node may stand for election: only a node that could lead well (PROTOCOL.md, rules 11, 15 and 17).

use std::time::Duration;

use crate::time::Boot;
use crate::txn::{CallId, Done, Failure, Survey};

use super::clock::Clock;
use super::config::{LEDGER_PATIENCE, LEDGER_RETRY, MAX_CLOCK_SKEW, STANDS_BACK, VERSION_GONE};
use super::input::{Bar, Other};

/// From one candidacy to the next, at least: one that ends at once is not begun again at once.
const PACE: Duration = Duration::from_millis(500);

pub(super) struct Candidacy {
    /// Nobody else can be there (rule 16).
    alone: bool,
    /// Of the schedules' evaluation here.
    version: String,
    /// The question to the ledger that has no answer yet.
    asked: Option<(CallId, Boot)>,
    next_survey: Boot,
    /// What the ledger said last; `None`: nothing since this node last led.
    outlook: Option<Result<(), Bar>>,
    /// The longest that agents were ever told they may go on, as the ledger said last.
    told_ttl: Duration,
    longest_ttl_seen: Duration,
    /// The schedule version in the ledger, where that is another, and when a node with it was last seen.
    other_version: Option<String>,
    seen: Boot,
    stands_back_until: Option<Boot>,
    next_candidacy: Boot,
    /// The other nodes that stand or lead, and since when there has been one.
    others: Vec<Other>,
    others_since: Boot,
}

impl Candidacy {
    pub(super) fn new(alone: bool, version: String, now: Boot) -> Self {
        Self {
            alone,
            version,
            asked: None,
            next_survey: now,
            outlook: None,
            told_ttl: Duration::ZERO,
            longest_ttl_seen: Duration::ZERO,
            other_version: None,
            seen: now,
            stands_back_until: None,
            next_candidacy: now,
            others: Vec::new(),
            others_since: now,
        }
    }

    pub(super) fn others_are(&mut self, others: Vec<Other>, now: Boot) {
        if self.others.is_empty() {
            self.others_since = now;
        }
        self.others = others;
    }

    /// Whether agents may be told that they may go on for so long: the ledger knows it, for who decides that they are lost.
    pub(super) fn may_tell(&self, agent_ttl: Duration) -> bool {
        agent_ttl <= self.told_ttl
    }

    /// The longest that the ledger has ever known agents to be told.
    pub(super) fn longest_ttl_seen(&self) -> Duration {
        self.longest_ttl_seen
    }

    /// Since when somebody else could lead instead.
    pub(super) fn others_since(&self) -> Option<Boot> {
        (!self.others.is_empty()).then_some(self.others_since)
    }

    /// A candidacy or a term has ended: what is known of the ledger may be old.
    pub(super) fn look_anew(&mut self, now: Boot) {
        self.asked = None;
        self.next_survey = now;
        self.outlook = None;
    }

    pub(super) fn stand_back(&mut self, now: Boot) {
        self.stands_back_until = Some(now.saturating_add(STANDS_BACK));
    }

    pub(super) fn next_survey(&self) -> Boot {
        self.next_survey
    }

    /// The ledger's clock is not what it was, unless the next answer is on its way.
    pub(super) fn survey_at_once(&mut self, now: Boot) {
        if self.asked.is_none() {
            self.next_survey = now;
        }
    }

    pub(super) fn surveys(&mut self, id: CallId, now: Boot) {
        if self.asked.replace((id, now)).is_some() {
            // The last one is still without an answer.
            self.outlook = Some(Err(Bar::Ledger));
        }
        self.next_survey = now.saturating_add(LEDGER_PATIENCE);
    }

    /// Takes the answer to a survey, the next of which is due after `pause`; whether it was one.
    pub(super) fn surveyed(
        &mut self,
        id: CallId,
        result: &Result<Done, Failure>,
        now: Boot,
        pause: Duration,
        clock: &mut Clock,
    ) -> bool {
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == id) else { return false };
        let (outlook, next) = match result {
            Ok(Done::Surveyed(survey)) => {
                clock.measure(asked, now, survey.ledger_time);
                (self.judge(survey, now, clock), pause)
            }
            Ok(_) | Err(_) => (Err(Bar::Ledger), LEDGER_RETRY),
        };
        self.outlook = Some(outlook);
        self.next_survey = now.saturating_add(next);
        true
    }

    fn judge(&mut self, survey: &Survey, now: Boot, clock: &Clock) -> Result<(), Bar> {
        self.told_ttl = survey.longest_agent_ttl;
        self.longest_ttl_seen = self.longest_ttl_seen.max(self.told_ttl);
        let other = survey.schedule_version.clone().filter(|version| *version > self.version);
        if self.other_version != other {
            self.seen = now;
            self.other_version = other;
        }
        match clock.skew() {
            Some(skew) if skew.size() > MAX_CLOCK_SKEW => Err(Bar::Clock(skew)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the ledger did not answer when it was asked last.
    pub(super) fn lacks_ledger(&self) -> bool {
        matches!(self.outlook, Some(Err(Bar::Ledger)))
    }

    /// What keeps this node from standing; `None`: nothing that is known yet. `stands`: whether it does so already.
    pub(super) fn may_stand(&mut self, stands: bool, now: Boot) -> Option<Result<(), Bar>> {
        let version = self.other_version.as_ref();
        if version.is_some_and(|version| self.others.iter().any(|other| other.schedule_version == *version)) {
            self.seen = now;
        }
        // Standing back serves those who might lead instead.
        let stands_back = self.stands_back_until.is_some_and(|until| now < until) && !self.others.is_empty();
        let verdict = match (self.outlook.clone()?, version) {
            (Err(Bar::Ledger), None) if self.serves_without_the_ledger(stands, now) => Ok(()),
            (Err(bar), _) => Err(bar),
            (Ok(()), _) if stands_back => Err(Bar::StandsBack),
            (Ok(()), Some(version)) if !self.alone && now.since(self.seen) < VERSION_GONE => {
                Err(Bar::ScheduleVersion(version.clone()))
            }
            (Ok(()), _) => Ok(()),
        };
        Some(verdict)
    }

    /// Where nobody else stands nobody reaches the ledger, and without a leader nobody would tell agents that they may go on.
    /// Of two that see that at the same time, the second goes before the first would give way to it.
    fn serves_without_the_ledger(&self, stands: bool, now: Boot) -> bool {
        let knows_what_to_tell = !self.told_ttl.is_zero();
        let others_have_just_come = stands && now.since(self.others_since) < LEDGER_PATIENCE / 2;
        !self.alone && knows_what_to_tell && (self.others.is_empty() || others_have_just_come)
    }

    /// Begins a candidacy, unless the last one has only just begun.
    pub(super) fn begins(&mut self, now: Boot) -> bool {
        let may = self.next_candidacy <= now;
        if may {
            self.next_candidacy = now.saturating_add(PACE);
            self.stands_back_until = None;
        }
        may
    }

    pub(super) fn next_wakeup(&self, now: Boot) -> Boot {
        let paced = Some(self.next_candidacy).filter(|at| *at > now && self.outlook == Some(Ok(())));
        paced.map_or(self.next_survey, |at| at.min(self.next_survey))
    }
}
