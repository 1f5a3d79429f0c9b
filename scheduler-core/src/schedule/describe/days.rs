//! The days of an expression, in words.

use super::shape::Shape;
use crate::schedule::cron::{Combine, DayFields, FIRST_YEAR};
use crate::schedule::words;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// More years than this are summed up.
const MOST_YEARS: usize = 6;

/// Nothing for every day of every year.
pub(super) fn describe(days: &DayFields) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(day(days));
    if !days.every_month() {
        parts.push(format!("in {}", named(&MONTHS, u64::from(days.months) >> 1)));
    }
    parts.extend(years(days));
    parts
}

fn day(days: &DayFields) -> Option<String> {
    let of_month = if days.every_day_of_month() { None } else { Some(of_month(days)) };
    let weekday = if days.every_weekday() { None } else { Some(weekday(days)) };
    match (of_month, weekday, days.combine) {
        (None, None, _) => None,
        (Some(of_month), Some(weekday), Combine::Either) => Some(format!("{of_month} or {weekday}")),
        // A field that has every day decides nothing, or, with "either", everything.
        (_, _, Combine::Either) => None,
        (Some(of_month), Some(weekday), Combine::Both) => Some(format!("{of_month} that is also {weekday}")),
        (Some(day), None, Combine::Both) | (None, Some(day), Combine::Both) => Some(day),
    }
}

fn of_month(days: &DayFields) -> String {
    let mut parts = Vec::new();
    if days.of_month != 0 {
        parts.push(match Shape::of(days.of_month.into(), 1, 31, false) {
            Shape::All => "every day".into(),
            Shape::Range(from, to) => format!("days {from} to {to}"),
            Shape::Steps { from, step } => format!("{} day from day {from}", words::every_nth(step)),
            Shape::List(list) if list.len() == 1 => format!("day {}", list[0]),
            Shape::List(list) => format!("days {}", numbers(&list)),
        });
    }
    let nearest: Vec<_> = (1..=31).filter(|day| days.nearest >> day & 1 == 1).collect();
    match nearest.len() {
        0 => {}
        1 => parts.push(format!("the weekday nearest to day {}", nearest[0])),
        _ => parts.push(format!("the weekdays nearest to days {}", numbers(&nearest))),
    }
    if days.last {
        parts.push("the last day".into());
    }
    if days.last_weekday {
        parts.push("the last weekday".into());
    }
    format!("on {} of the month", words::list(&parts, "and"))
}

fn weekday(days: &DayFields) -> String {
    let mut parts = Vec::new();
    let plain = days.weekdays != 0;
    if plain {
        parts.push(named(&WEEKDAYS, days.weekdays.into()));
    }
    for (i, &weekdays) in (1..).zip(&days.nth) {
        if weekdays != 0 {
            parts.push(format!("the {} {} of the month", words::ordinal(i), named(&WEEKDAYS, weekdays.into())));
        }
    }
    if days.last_of != 0 {
        parts.push(format!("the last {} of the month", named(&WEEKDAYS, days.last_of.into())));
    }
    let is_range = plain && matches!(Shape::of(days.weekdays.into(), 0, 6, true), Shape::Range(..));
    let on = if is_range && parts.len() == 1 { "" } else { "on " };
    format!("{on}{}", words::list(&parts, "and"))
}

/// `January to March`, `Monday and Thursday`; bit 0 is the first name.
fn named(names: &[&'static str], bits: u64) -> String {
    let last = u32::try_from(names.len()).unwrap_or(0) - 1;
    if let Shape::Range(from, to) = Shape::of(bits, 0, last, true) {
        return format!("{} to {}", names[from as usize], names[to as usize]);
    }
    let list: Vec<_> = names.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, name)| *name).collect();
    words::list(&list, "and")
}

fn years(days: &DayFields) -> Option<String> {
    let years: Vec<_> = days.years.as_ref()?.iter().map(|index| index + FIRST_YEAR).collect();
    let (first, last) = (years.first()?, years.last()?);
    let step = years.get(1).map_or(1, |second| second - first);
    let even = years.windows(2).all(|pair| pair[1] - pair[0] == step);
    Some(match (even, step) {
        (true, 1) if years.len() > 2 => format!("from {first} to {last}"),
        (true, step) if years.len() > MOST_YEARS => format!("every {step} years from {first} to {last}"),
        _ if years.len() > MOST_YEARS => format!("in {} years from {first} to {last}", years.len()),
        _ => format!("in {}", numbers(&years)),
    })
}

fn numbers(list: &[u32]) -> String {
    let numbers: Vec<_> = list.iter().map(u32::to_string).collect();
    words::list(&numbers, "and")
}
