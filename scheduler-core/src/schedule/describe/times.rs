//! The times of day of an expression, in words.

use super::shape::Shape;
use crate::schedule::cron::Clock;
use crate::schedule::words;

/// More times a day than this are said as a rhythm.
const MOST_TIMES: u64 = 6;
const ONLY_ZERO: u64 = 1;

pub(super) fn describe(clock: &Clock) -> String {
    if clock.per_day() <= MOST_TIMES {
        return at_times(clock);
    }
    let on_the_minute = clock.seconds == ONLY_ZERO;
    match (on_the_minute, single(clock.minutes)) {
        (true, Some(minute)) => once_an_hour(clock, minute),
        (true, None) => [minutes(clock.minutes), hours(clock.hours)].concat(),
        (false, _) => {
            let of_minutes = match Shape::of(clock.minutes, 0, 59, true) {
                Shape::All => String::new(),
                _ => format!(", {}", minutes(clock.minutes)),
            };
            [seconds(clock.seconds), of_minutes, hours(clock.hours)].concat()
        }
    }
}

fn at_times(clock: &Clock) -> String {
    let first = clock.next(0);
    let times: Vec<_> = std::iter::successors(first, |&time| clock.next(time + 1))
        .take(24)
        .map(|time| words::time(i64::from(time)))
        .collect();
    format!("at {}", words::list(&times, "and"))
}

fn once_an_hour(clock: &Clock, minute: u32) -> String {
    let at = |hour: u32| words::time(i64::from(hour * 3_600 + minute * 60));
    match Shape::of(clock.hours.into(), 0, 23, true) {
        Shape::All if minute == 0 => "every hour".into(),
        Shape::All => format!("at minute {minute} of every hour"),
        Shape::Range(from, to) => format!("every hour from {} to {}", at(from), at(to)),
        Shape::Steps { from: 0, step } if minute == 0 && 24 % step == 0 => format!("every {step} hours"),
        Shape::Steps { from, step } if 24 % step == 0 => format!("every {step} hours from {}", at(from)),
        Shape::Steps { .. } | Shape::List(_) => at_times(clock),
    }
}

fn seconds(bits: u64) -> String {
    match Shape::of(bits, 0, 59, true) {
        Shape::All => "every second".into(),
        Shape::Steps { from, step } => stepped(from, step, "second", "minute"),
        Shape::Range(from, to) => format!("every second from second {from} to {to}"),
        Shape::List(list) => format!("at {} of the minute", numbered("second", &list)),
    }
}

fn minutes(bits: u64) -> String {
    match Shape::of(bits, 0, 59, true) {
        Shape::All => "every minute".into(),
        Shape::Steps { from, step } => stepped(from, step, "minute", "hour"),
        Shape::Range(from, to) => format!("every minute from minute {from} to {to}"),
        Shape::List(list) => format!("at {} of the hour", numbered("minute", &list)),
    }
}

/// `every 15 minutes`; `every 7 minutes of each hour`, which begins anew with the hour.
fn stepped(from: u32, step: u32, unit: &str, whole: &str) -> String {
    let each = if 60 % step == 0 { String::new() } else { format!(" of each {whole}") };
    let begin = if from == 0 { String::new() } else { format!(" from {unit} {from}") };
    format!("every {step} {unit}s{each}{begin}")
}

fn hours(bits: u32) -> String {
    match Shape::of(bits.into(), 0, 23, true) {
        Shape::All => String::new(),
        Shape::Range(from, to) => format!(", from {from:02}:00 to {to:02}:59"),
        Shape::Steps { from: 0, step } if 24 % step == 0 => format!(", in {} hour", words::every_nth(step)),
        Shape::Steps { from, step } => {
            let list: Vec<_> = (from..24).step_by(step as usize).collect();
            format!(", in {}", numbered("hour", &list))
        }
        Shape::List(list) => format!(", in {}", numbered("hour", &list)),
    }
}

fn numbered(unit: &str, list: &[u32]) -> String {
    let plural = if list.len() == 1 { "" } else { "s" };
    let numbers: Vec<_> = list.iter().map(u32::to_string).collect();
    format!("{unit}{plural} {}", words::list(&numbers, "and"))
}

fn single(bits: u64) -> Option<u32> {
    (bits.count_ones() == 1).then(|| bits.trailing_zeros())
}
