//! The fields of an expression: what each counts, from where to where, and what its values are called.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
    Year,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(in super::super) const FIRST_YEAR: u32 = 1970;
pub(super) const LAST_YEAR: u32 = 2199;

impl Unit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day of month",
            Self::Month => "month",
            Self::Weekday => "weekday",
            Self::Year => "year",
        }
    }

    pub(super) const fn article(self) -> &'static str {
        match self {
            Self::Hour => "an",
            _ => "a",
        }
    }

    pub(super) const fn first(self) -> u32 {
        match self {
            Self::Second | Self::Minute | Self::Hour | Self::Weekday => 0,
            Self::Day | Self::Month => 1,
            Self::Year => FIRST_YEAR,
        }
    }

    /// The last value that `*`, `a/n` and `H` reach.
    pub(super) const fn last(self) -> u32 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::Day => 31,
            Self::Month => 12,
            Self::Weekday => 6,
            Self::Year => LAST_YEAR,
        }
    }

    /// The last value that may be written: 7 is Sunday again.
    pub(super) const fn last_written(self) -> u32 {
        match self {
            Self::Weekday => 7,
            _ => self.last(),
        }
    }

    /// Three-letter names, of the values from [`Self::first`] on.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }

    /// What is added to the hash of the job for `H` in this field; years have no `H`.
    pub(super) const fn hash_index(self) -> Option<u64> {
        match self {
            Self::Second => Some(0),
            Self::Minute => Some(1),
            Self::Hour => Some(2),
            Self::Day => Some(3),
            Self::Month => Some(4),
            Self::Weekday => Some(5),
            Self::Year => None,
        }
    }

    /// The last value of `H` without a range: a day that every month has.
    pub(super) const fn last_hashed(self) -> u32 {
        match self {
            Self::Day => 28,
            _ => self.last(),
        }
    }

    pub(super) const fn is_day_field(self) -> bool {
        matches!(self, Self::Day | Self::Weekday)
    }

    /// What a field may hold, for messages.
    pub(super) const fn values(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "0 to 59",
            Self::Hour => "0 to 23",
            Self::Day => "1 to 31, L, LW or nW",
            Self::Month => "1 to 12 or JAN to DEC",
            Self::Weekday => "0 to 7 or SUN to SAT",
            Self::Year => "1970 to 2199",
        }
    }
}
