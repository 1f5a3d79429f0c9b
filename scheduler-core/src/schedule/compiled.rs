//! A schedule as the engine asks it: the union of its sources, within its bounds, without its excluded dates.

use std::sync::Arc;
use std::time::Duration;

use super::calendar::Exclusion;
use super::cron::{self, Cron, Expression, Terms};
use super::every::Every;
use super::zone::Zone;
use super::{Context, DstChange, Schedule, check, dst, jitter};
use crate::Violations;
use crate::ids::JobUid;
use crate::time::Timestamp;

/// A search gives up after this: one Gregorian cycle.
const LONGEST_SEARCH: Duration = Duration::from_secs(146_097 * 86_400);
/// What one expression adds to a preview at most.
const MOST_DST_CHANGES: usize = 100;
const MICROSECOND: Duration = Duration::from_micros(1);

#[derive(Clone, Debug)]
pub struct Compiled {
    pub(super) crons: Box<[Cron]>,
    pub(super) every: Box<[Every]>,
    pub(super) at: Box<[Timestamp]>,
    pub(super) calendars: Box<[Arc<Exclusion>]>,
    pub(super) after_completion: Option<Duration>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) jitter: Duration,
}

/// How many fires there are in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub fires: u64,
    /// The count stopped at the caller's cap: there are at least this many.
    pub capped: bool,
}

impl Compiled {
    /// The violations' paths start at the job's root: `schedule.cron[0]`.
    pub fn new(schedule: &Schedule, context: &Context<'_>) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        check::bounds(schedule, context, &mut violations);
        let (crons, mut periods) = expressions(schedule, context, &mut violations);
        let calendars = check::calendars(schedule, context, &mut violations);
        periods.extend(&schedule.every);
        periods.sort_unstable();
        periods.dedup();
        let every =
            periods.iter().map(|&period| Every::new(period, schedule.start_time, context.create_time)).collect();
        let mut at = schedule.at.clone();
        at.sort_unstable();
        at.dedup();
        violations.or(Self {
            crons: crons.into(),
            every,
            at: at.into(),
            calendars,
            after_completion: schedule.after_completion,
            start: schedule.start_time.unwrap_or(Timestamp::MIN),
            end: schedule.end_time.unwrap_or(Timestamp::MAX),
            jitter: schedule.jitter.unwrap_or_default(),
        })
    }

    /// The first fire strictly after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut after = after.max(self.start.saturating_sub(MICROSECOND));
        let give_up = after.saturating_add(LONGEST_SEARCH);
        loop {
            let fire = self.next_of_union(after).filter(|&fire| fire <= self.end)?;
            match self.calendars.iter().filter_map(|calendar| calendar.excluded_until(fire.as_secs())).max() {
                None => return Some(fire),
                Some(until) => after = Timestamp::from_secs(until).saturating_sub(MICROSECOND),
            }
            if after > give_up {
                return None;
            }
        }
    }

    /// The last fire strictly before `before`.
    pub fn prev(&self, before: Timestamp) -> Option<Timestamp> {
        let mut before = before.min(self.end.saturating_add(MICROSECOND));
        let give_up = before.saturating_sub(LONGEST_SEARCH);
        loop {
            let fire = self.prev_of_union(before).filter(|&fire| fire >= self.start)?;
            match self.calendars.iter().filter_map(|calendar| calendar.excluded_since(fire.as_secs())).min() {
                None => return Some(fire),
                Some(since) => before = Timestamp::from_secs(since),
            }
            if before < give_up {
                return None;
            }
        }
    }

    /// The calendar that keeps the schedule from firing at `time`, where it otherwise would.
    pub fn excluded_by(&self, time: Timestamp) -> Option<&str> {
        let calendar = self.calendars.iter().find(|calendar| calendar.excluded_until(time.as_secs()).is_some())?;
        let is_fire = self.next_of_union(time.saturating_sub(MICROSECOND)) == Some(time);
        (is_fire && (self.start..=self.end).contains(&time)).then(|| calendar.name())
    }

    fn next_of_union(&self, after: Timestamp) -> Option<Timestamp> {
        let crons = self.crons.iter().filter_map(|cron| cron.next(after)).min();
        let every = self.every.iter().filter_map(|every| every.next(after)).min();
        let at = self.at.get(self.at.partition_point(|&at| at <= after)).copied();
        crons.into_iter().chain(every).chain(at).min()
    }

    fn prev_of_union(&self, before: Timestamp) -> Option<Timestamp> {
        let crons = self.crons.iter().filter_map(|cron| cron.prev(before)).max();
        let every = self.every.iter().filter_map(|every| every.prev(before)).max();
        let at = self.at.partition_point(|&at| at < before).checked_sub(1).map(|i| self.at[i]);
        crons.into_iter().chain(every).chain(at).max()
    }

    /// Manual only.
    pub fn is_empty(&self) -> bool {
        self.crons.is_empty() && self.every.is_empty() && self.at.is_empty() && self.after_completion.is_none()
    }

    /// It is not empty but has no fire left after `after`.
    pub fn is_exhausted(&self, after: Timestamp) -> bool {
        if self.after_completion.is_some() {
            return after >= self.end;
        }
        !self.is_empty() && self.next(after).is_none()
    }

    /// The delay from the end of one scheduled run to the next, for schedules of that kind.
    pub fn after_completion(&self) -> Option<Duration> {
        self.after_completion
    }

    /// How many fires there are in `(after, until]`. Schedules of one source without calendars are counted
    /// whole, by arithmetic; all others are walked, up to `cap`.
    pub fn count(&self, after: Timestamp, until: Timestamp, cap: u64) -> Count {
        let after = after.max(self.start.saturating_sub(MICROSECOND));
        let until = until.min(self.end);
        match self.count_whole(after, until) {
            Some(fires) => Count { fires, capped: false },
            None => self.walk(after, until, cap),
        }
    }

    fn count_whole(&self, after: Timestamp, until: Timestamp) -> Option<u64> {
        if !self.calendars.is_empty() {
            return None;
        }
        match (&*self.crons, &*self.every, &*self.at) {
            ([cron], [], []) => Some(cron.count(after, until)),
            ([], [every], []) => Some(every.count(after, until)),
            ([], [], at) => {
                let passed = at.partition_point(|&at| at <= after);
                Some(at.partition_point(|&at| at <= until).saturating_sub(passed) as u64)
            }
            _ => None,
        }
    }

    fn walk(&self, after: Timestamp, until: Timestamp, cap: u64) -> Count {
        let mut fires = 0;
        let mut last = after;
        while let Some(fire) = self.next(last).filter(|&fire| fire <= until) {
            if fires == cap {
                return Count { fires, capped: true };
            }
            fires += 1;
            last = fire;
        }
        Count { fires, capped: false }
    }

    /// The first change of the clocks after `after` that swallows, repeats or moves a fire.
    pub fn next_dst_change(&self, after: Timestamp) -> Option<DstChange> {
        let after = after.max(self.start);
        let changes = self.crons.iter().filter_map(|cron| dst::next_change(cron, after));
        changes.min_by_key(|change| change.time).filter(|change| change.time <= self.end)
    }

    /// All such changes in `(after, until]`, one for each expression that they move.
    pub fn dst_changes(&self, after: Timestamp, until: Timestamp) -> Vec<DstChange> {
        let (after, until) = (after.max(self.start), until.min(self.end));
        let mut changes: Vec<_> = self
            .crons
            .iter()
            .flat_map(|cron| {
                std::iter::successors(dst::next_change(cron, after), |last| dst::next_change(cron, last.time))
                    .take_while(|change| change.time <= until)
                    .take(MOST_DST_CHANGES)
            })
            .collect();
        changes.sort_by_key(|change| change.time);
        changes.dedup();
        changes
    }

    /// The longest delay that jitter adds.
    pub fn jitter_bound(&self) -> Duration {
        self.jitter
    }

    /// The delay of one fire, at most the bound; the same whenever it is asked.
    pub fn jitter(&self, uid: JobUid, scheduled: Timestamp) -> Duration {
        jitter::delay(self.jitter, uid, scheduled)
    }
}

/// What the expressions say: crons, and the periods of those that are `@every`.
fn expressions(schedule: &Schedule, context: &Context<'_>, violations: &mut Violations) -> (Vec<Cron>, Vec<Duration>) {
    let zone = Zone::named(&schedule.time_zone).unwrap_or_else(|description| {
        violations.add("schedule.time_zone", description);
        Zone::utc()
    });
    let zone_is_named = !schedule.time_zone.is_empty();
    let terms = Terms { zone, zone_is_named, job: context.hash_key, dst: schedule.dst };
    let (mut crons, mut periods) = (Vec::new(), Vec::new());
    for (i, text) in schedule.cron.iter().enumerate() {
        let field = || format!("schedule.cron[{i}]");
        match cron::parse(text, &terms) {
            Ok(Expression::Cron(cron)) => crons.push(cron),
            Ok(Expression::Every(period)) => match check::period(period, context) {
                Ok(()) => periods.push(period),
                Err(description) => violations.add(field(), description),
            },
            Err(problems) => {
                for problem in problems {
                    violations.add(field(), problem.describe(text));
                }
            }
        }
    }
    (crons, periods)
}
