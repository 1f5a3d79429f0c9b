//! Cron expressions: compiled to bit sets, searched in civil time, brought to instants by the zone's table.
//!
//! Parsing is all our own (ADR 3), evaluation too. An expression is checked when it is parsed, so that what
//! is compiled fires.

mod clock;
mod days;
mod duration;
mod field;
mod parse;
mod problem;
mod search;
mod unit;
mod values;

use super::zone::{Utc, Zone};
use super::{Gap, Overlap};

pub(super) use clock::Clock;
pub(super) use days::{Combine, DayFields, Days};
pub(super) use parse::{Expression, Terms, parse};
pub(super) use unit::FIRST_YEAR;

/// One compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    pub(super) zone: &'static Zone,
    pub(super) clock: Clock,
    pub(super) days: Days,
    /// What holds for this expression: interval-like ones skip gaps and fire in both repeated hours, whatever
    /// the schedule says.
    pub(super) gap: Gap,
    pub(super) overlap: Overlap,
    /// Follows elapsed time: the second, minute or hour is written with a star.
    pub(super) interval_like: bool,
    /// The last fire, or the last second there is for those that go on: searches past it need not be made.
    last: Utc,
}

#[cfg(test)]
mod tests {
    use super::Cron;
    use super::values::Values;

    #[test]
    fn a_compiled_expression_is_small() {
        assert!(size_of::<Cron>() + size_of::<Values>() <= 300, "{} B", size_of::<Cron>());
    }
}
