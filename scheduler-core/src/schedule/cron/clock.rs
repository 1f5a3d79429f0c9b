//! The times of day of an expression: seconds, minutes and hours as bits.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Clock {
    pub(in super::super) seconds: u64,
    pub(in super::super) minutes: u64,
    pub(in super::super) hours: u32,
}

/// Seconds since the day's civil midnight.
pub(in super::super) type TimeOfDay = u32;

const LAST: TimeOfDay = 86_399;

impl Clock {
    #[inline]
    pub(super) fn first(&self) -> TimeOfDay {
        time(self.hours.trailing_zeros(), self.minutes.trailing_zeros(), self.seconds.trailing_zeros())
    }

    pub(super) fn last(&self) -> TimeOfDay {
        time(highest(self.hours.into()), highest(self.minutes), highest(self.seconds))
    }

    /// The first time that is not before `from`.
    #[inline]
    pub(in super::super) fn next(&self, from: TimeOfDay) -> Option<TimeOfDay> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1 {
                let seconds = self.seconds & (u64::MAX << second);
                if seconds != 0 {
                    return Some(time(hour, minute, seconds.trailing_zeros()));
                }
            }
            let minutes = self.minutes & (u64::MAX << (minute + 1));
            if minutes != 0 {
                return Some(time(hour, minutes.trailing_zeros(), self.seconds.trailing_zeros()));
            }
        }
        let hours = self.hours & (u32::MAX << (hour + 1));
        (hours != 0).then(|| time(hours.trailing_zeros(), self.minutes.trailing_zeros(), self.seconds.trailing_zeros()))
    }

    /// The last time that is not after `from`.
    #[inline]
    pub(super) fn prev(&self, from: TimeOfDay) -> Option<TimeOfDay> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1 {
                let seconds = self.seconds & below(second + 1);
                if seconds != 0 {
                    return Some(time(hour, minute, highest(seconds)));
                }
            }
            let minutes = self.minutes & below(minute);
            if minutes != 0 {
                return Some(time(hour, highest(minutes), highest(self.seconds)));
            }
        }
        let hours = u64::from(self.hours) & below(hour);
        (hours != 0).then(|| time(highest(hours), highest(self.minutes), highest(self.seconds)))
    }

    /// Every hour has the same times.
    pub(in super::super) fn is_hourly(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// How many times a day has.
    pub(in super::super) fn per_day(&self) -> u64 {
        self.count_before(LAST + 1)
    }

    /// How many times there are before `end`.
    pub(super) fn count_before(&self, end: TimeOfDay) -> u64 {
        let (hour, minute, second) = (end / 3_600, end / 60 % 60, end % 60);
        let per_minute = u64::from(self.seconds.count_ones());
        let per_hour = u64::from(self.minutes.count_ones()) * per_minute;
        let mut count = u64::from((u64::from(self.hours) & below(hour)).count_ones()) * per_hour;
        if u64::from(self.hours) >> hour & 1 == 1 {
            count += u64::from((self.minutes & below(minute)).count_ones()) * per_minute;
            if self.minutes >> minute & 1 == 1 {
                count += u64::from((self.seconds & below(second)).count_ones());
            }
        }
        count
    }
}

#[inline]
const fn time(hour: u32, minute: u32, second: u32) -> TimeOfDay {
    hour * 3_600 + minute * 60 + second
}

/// The bits below `bit`, which is less than 64.
#[inline]
const fn below(bit: u32) -> u64 {
    (1 << bit) - 1
}

#[inline]
const fn highest(bits: u64) -> u32 {
    63 - bits.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_prev_and_count_agree_with_a_walk_over_the_day() {
        let clock = Clock { seconds: 1 << 59 | 1 << 3, minutes: 1 | 1 << 30 | 1 << 59, hours: 1 << 2 | 1 << 23 };
        let fires = |time: u32| {
            clock.hours >> (time / 3_600) & 1 == 1
                && clock.minutes >> (time / 60 % 60) & 1 == 1
                && clock.seconds >> (time % 60) & 1 == 1
        };
        let all: Vec<_> = (0..=LAST).filter(|&time| fires(time)).collect();
        assert_eq!((clock.first(), clock.last(), clock.per_day()), (all[0], all[11], 12));
        for time in 0..=LAST {
            let split = all.partition_point(|&fire| fire < time);
            assert_eq!(clock.next(time), all.get(split).copied(), "{time}");
            assert_eq!(clock.count_before(time), split as u64, "{time}");
            let split = all.partition_point(|&fire| fire <= time);
            assert_eq!(clock.prev(time), split.checked_sub(1).map(|i| all[i]), "{time}");
        }
    }
}
