//! A second evaluation of schedules, slow and plain: it walks over civil days, tries every time of day, and
//! asks chrono-tz for each what it is on the clocks. It shares no code with what it checks.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use proptest::prelude::*;
use scheduler_core::schedule::{Gap, Overlap};

/// One field's items, joined by commas.
#[derive(Clone, Debug)]
pub(crate) struct Field(pub(crate) Vec<Item>);

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Star,
    StarStep(u32),
    Value(u32),
    /// Round the field's end if the second comes first.
    Range(u32, u32),
    RangeStep(u32, u32, u32),
    From(u32, u32),
    Last,
    LastWeekday,
    Nearest(u32),
    Nth(u32, u32),
    LastOf(u32),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match item {
                Item::Star => write!(f, "{comma}*"),
                Item::StarStep(n) => write!(f, "{comma}*/{n}"),
                Item::Value(a) => write!(f, "{comma}{a}"),
                Item::Range(a, b) => write!(f, "{comma}{a}-{b}"),
                Item::RangeStep(a, b, n) => write!(f, "{comma}{a}-{b}/{n}"),
                Item::From(a, n) => write!(f, "{comma}{a}/{n}"),
                Item::Last => write!(f, "{comma}L"),
                Item::LastWeekday => write!(f, "{comma}LW"),
                Item::Nearest(d) => write!(f, "{comma}{d}W"),
                Item::Nth(d, n) => write!(f, "{comma}{d}#{n}"),
                Item::LastOf(d) => write!(f, "{comma}{d}L"),
            }?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Expression {
    second: Option<Field>,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
    plus: bool,
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(second) = &self.second {
            write!(f, "{second} ")?;
        }
        let plus = if self.plus { "+" } else { "" };
        write!(f, "{} {} {} {} {plus}{}", self.minute, self.hour, self.day, self.month, self.weekday)
    }
}

/// The plain values that an item names, by walking from the first to the last.
fn expand(item: &Item, first: u32, last: u32) -> Vec<u32> {
    let walk = |from: u32, to: u32, step: u32| {
        let mut values = vec![from];
        let mut value = from;
        'steps: loop {
            for _ in 0..step {
                if value == to {
                    break 'steps;
                }
                value = if value == last { first } else { value + 1 };
            }
            values.push(value);
        }
        values
    };
    match *item {
        Item::Star => walk(first, last, 1),
        Item::StarStep(n) => walk(first, last, n),
        Item::Value(a) => vec![a],
        Item::Range(a, b) => walk(a, b, 1),
        Item::RangeStep(a, b, n) => walk(a, b, n),
        Item::From(a, n) => walk(a, last, n),
        _ => Vec::new(),
    }
}

fn values(field: &Field, first: u32, last: u32) -> BTreeSet<u32> {
    field.0.iter().flat_map(|item| expand(item, first, last)).collect()
}

fn has_star(field: &Field) -> bool {
    matches!(field.0[0], Item::Star | Item::StarStep(_))
}

fn month_length(date: NaiveDate) -> u32 {
    (28..=31).filter(|&day| date.with_day(day).is_some()).max().expect("because a month has 28 days")
}

fn is_workday(date: NaiveDate) -> bool {
    !date.weekday().num_days_from_sunday().is_multiple_of(6)
}

fn day_of_month_matches(item: &Item, date: NaiveDate) -> bool {
    let length = month_length(date);
    let nearest = |day: u32| {
        let target = date.with_day(day)?;
        // The nearest workday of the same month: the target, then a day off either way, then two.
        [0, -1, 1, -2, 2]
            .iter()
            .map(|&off| target + TimeDelta::days(off))
            .find(|&near| near.month() == target.month() && is_workday(near))
    };
    match *item {
        Item::Last => date.day() == length,
        Item::LastWeekday => {
            (1..=length).rev().filter_map(|day| date.with_day(day)).find(|&day| is_workday(day)) == Some(date)
        }
        Item::Nearest(day) => nearest(day) == Some(date),
        _ => expand(item, 1, 31).contains(&date.day()),
    }
}

fn weekday_matches(item: &Item, date: NaiveDate) -> bool {
    let weekday = date.weekday().num_days_from_sunday();
    match *item {
        Item::Nth(d, n) => d % 7 == weekday && date.day().div_ceil(7) == n,
        Item::LastOf(d) => d % 7 == weekday && date.day() + 7 > month_length(date),
        _ => expand(item, 0, 6).contains(&weekday),
    }
}

impl Expression {
    pub(crate) fn is_interval_like(&self) -> bool {
        self.second.as_ref().is_some_and(has_star) || has_star(&self.minute) || has_star(&self.hour)
    }

    fn has_day(&self, date: NaiveDate) -> bool {
        let by_day = self.day.0.iter().any(|item| day_of_month_matches(item, date));
        let by_weekday = self.weekday.0.iter().any(|item| weekday_matches(item, date));
        let restricted = !has_star(&self.day) && !has_star(&self.weekday);
        let day = if restricted && !self.plus { by_day || by_weekday } else { by_day && by_weekday };
        day && values(&self.month, 1, 12).contains(&date.month())
    }

    fn times(&self) -> Vec<NaiveTime> {
        let seconds = self.second.as_ref().map_or_else(|| [0].into(), |field| values(field, 0, 59));
        let (minutes, hours) = (values(&self.minute, 0, 59), values(&self.hour, 0, 23));
        let mut times = Vec::new();
        for &hour in &hours {
            for &minute in &minutes {
                times.extend(seconds.iter().filter_map(|&second| NaiveTime::from_hms_opt(hour, minute, second)));
            }
        }
        times
    }

    /// All fires in `(after, until)`.
    pub(crate) fn fires(&self, zone: Tz, gap: Gap, overlap: Overlap, after: i64, until: i64) -> Vec<i64> {
        let (gap, overlap) = if self.is_interval_like() { (Gap::Skip, Overlap::Both) } else { (gap, overlap) };
        let times = self.times();
        let mut fires = BTreeSet::new();
        let mut date = utc(after).date_naive() - Days::new(2);
        let end = utc(until).date_naive() + Days::new(2);
        while date < end {
            if self.has_day(date) {
                for &time in &times {
                    fires.extend(instants(date.and_time(time), zone, gap, overlap));
                }
            }
            date = date + Days::new(1);
        }
        fires.into_iter().filter(|&fire| fire > after && fire < until).collect()
    }
}

fn utc(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("because the cases lie in chrono's range")
}

fn instants(civil: NaiveDateTime, zone: Tz, gap: Gap, overlap: Overlap) -> Vec<i64> {
    match zone.from_local_datetime(&civil) {
        LocalResult::Single(instant) => vec![instant.timestamp()],
        LocalResult::Ambiguous(a, b) => {
            let (first, second) = (a.timestamp().min(b.timestamp()), a.timestamp().max(b.timestamp()));
            match overlap {
                Overlap::First => vec![first],
                Overlap::Last => vec![second],
                Overlap::Both => vec![first, second],
            }
        }
        LocalResult::None => match gap {
            Gap::Skip => vec![],
            // Changes are on whole minutes.
            Gap::NextValid => (1..)
                .map(|minutes| civil + TimeDelta::minutes(minutes) - TimeDelta::seconds(i64::from(civil.second())))
                .find_map(|later| zone.from_local_datetime(&later).earliest())
                .map(|instant| instant.timestamp())
                .into_iter()
                .collect(),
        },
    }
}

/// A plain field: mostly one item.
pub(crate) fn field(first: u32, last: u32) -> impl Strategy<Value = Field> {
    let value = first..=last;
    let item = prop_oneof![
        3 => Just(Item::Star),
        2 => (1..=last).prop_map(Item::StarStep),
        5 => value.clone().prop_map(Item::Value),
        2 => (value.clone(), value.clone()).prop_map(|(a, b)| Item::Range(a, b)),
        1 => (value.clone(), value.clone(), 1..=last).prop_map(|(a, b, n)| Item::RangeStep(a, b, n)),
        1 => (value, 1..=last).prop_map(|(a, n)| Item::From(a, n)),
    ];
    proptest::collection::vec(item, 1..=2).prop_map(Field)
}

/// Fires on most days, so that a walk of some weeks meets it.
fn day() -> impl Strategy<Value = Field> {
    let special = prop_oneof![
        Just(Item::Last),
        Just(Item::LastWeekday),
        (1_u32..=31).prop_map(Item::Nearest),
        (1_u32..=31).prop_map(Item::Value),
    ];
    prop_oneof![
        4 => Just(Field(vec![Item::Star])),
        2 => proptest::collection::vec(special, 1..=2).prop_map(Field),
        2 => field(1, 31),
    ]
}

fn weekday() -> impl Strategy<Value = Field> {
    let special = prop_oneof![
        (0_u32..=7, 1_u32..=5).prop_map(|(d, n)| Item::Nth(d, n)),
        (0_u32..=7).prop_map(Item::LastOf),
        (0_u32..=6).prop_map(Item::Value),
    ];
    prop_oneof![
        4 => Just(Field(vec![Item::Star])),
        2 => proptest::collection::vec(special, 1..=2).prop_map(Field),
        2 => field(0, 6),
    ]
}

pub(crate) fn expression() -> impl Strategy<Value = Expression> {
    let second = prop_oneof![4 => Just(None), 1 => (0_u32..=59).prop_map(|s| Some(Field(vec![Item::Value(s)])))];
    let month = prop_oneof![4 => Just(Field(vec![Item::Star])), 1 => field(1, 12)];
    // Small hours, in which clocks change, come often.
    let hour = prop_oneof![2 => field(0, 23), 2 => field(0, 4), 1 => Just(Field(vec![Item::Star]))];
    (second, field(0, 59), hour, day(), month, weekday(), proptest::bool::weighted(0.1)).prop_map(
        |(second, minute, hour, day, month, weekday, plus)| Expression {
            second,
            minute,
            hour,
            day,
            month,
            weekday,
            plus,
        },
    )
}
