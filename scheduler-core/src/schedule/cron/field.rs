//! The grammar of one field: a list of items, each a star, a value, a range, a step, an `H` or one of the
//! day fields' own forms.

use std::ops::RangeInclusive;

use super::problem::Problem;
use super::unit::Unit;
use super::values::Values;
use crate::schedule::hash;

/// What a field was found to say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Field {
    pub(super) values: Values,
    /// The day fields' own forms.
    pub(super) special: Special,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Special {
    pub(super) last: bool,
    pub(super) last_weekday: bool,
    pub(super) nearest: u32,
    pub(super) nth: [u8; 5],
    pub(super) last_of: u8,
}

/// Reads `text`, which begins `offset` bytes into the expression. `job` is what `H` is hashed from.
pub(super) fn parse(unit: Unit, text: &str, offset: usize, job: Option<&str>) -> Result<Field, Problem> {
    let mut reader = Reader { unit, text, start: offset, at: 0, job, field: Field::default() };
    loop {
        reader.item()?;
        if reader.at == text.len() {
            return Ok(reader.field);
        }
        if !reader.eat(b',') {
            return Err(reader.unexpected());
        }
    }
}

struct Reader<'a> {
    unit: Unit,
    text: &'a str,
    start: usize,
    at: usize,
    job: Option<&'a str>,
    field: Field,
}

impl<'a> Reader<'a> {
    fn item(&mut self) -> Result<(), Problem> {
        let begin = self.at;
        match self.peek() {
            Some(b'*') => self.star(),
            Some(b'?') if self.unit.is_day_field() => self.star(),
            Some(b'?') => Err(self.problem(begin, "? stands for any day, in the day fields only; here write *")),
            Some(b'+') => Err(self.problem(begin, "+ may only begin the weekday field")),
            Some(b'H' | b'h') => self.hashed(),
            Some(b'L' | b'l') => self.last(),
            Some(byte) if byte.is_ascii_alphanumeric() => self.value_or_range(),
            Some(_) => Err(self.unexpected()),
            None => Err(self.problem(begin, format!("{} {} is missing", self.unit.article(), self.unit.name()))),
        }
    }

    fn star(&mut self) -> Result<(), Problem> {
        self.at += 1;
        let step = self.step()?.unwrap_or(1);
        self.insert(self.unit.first()..=self.unit.last(), step);
        Ok(())
    }

    fn hashed(&mut self) -> Result<(), Problem> {
        let begin = self.at;
        self.at += 1;
        let Some(index) = self.unit.hash_index() else {
            return Err(self.problem(begin, "H is for the fields from second to weekday, not for the year"));
        };
        let Some(job) = self.job else {
            return Err(self.problem(begin, "H is hashed from a job's name, and here is no job"));
        };
        let (first, last) = if self.eat(b'(') {
            let from = self.at;
            let first = self.value()?;
            self.expect(b'-')?;
            let last = self.value()?;
            self.expect(b')')?;
            if first > last {
                let text = format!("H({first}-{last}) runs backwards; write the smaller value first");
                return Err(self.problem(from, text));
            }
            (first, last)
        } else {
            (self.unit.first(), self.unit.last_hashed())
        };
        let size = last - first + 1;
        let hash = hash::splitmix(hash::fnv1a(job.as_bytes()).wrapping_add(index));
        let step_at = self.at + 1;
        match self.step()? {
            None => {
                let value = first + remainder(hash, size);
                self.insert(value..=value, 1);
            }
            Some(step) if step > size => {
                let text = format!("a step of {step} is above {size}, the number of values from {first} to {last}");
                return Err(self.problem(step_at, text));
            }
            Some(step) => self.insert(first + remainder(hash, step)..=last, step),
        }
        Ok(())
    }

    /// `L` and `LW`, of the day of month.
    fn last(&mut self) -> Result<(), Problem> {
        if self.unit != Unit::Day {
            let text = match self.unit {
                Unit::Weekday => "L follows a weekday here: 5L is the last Friday of the month",
                _ => "L is the last day of the month, in the day-of-month field only",
            };
            return Err(self.problem(self.at, text));
        }
        self.at += 1;
        if self.eat_letter(b'W') {
            self.field.special.last_weekday = true;
        } else {
            self.field.special.last = true;
        }
        Ok(())
    }

    fn value_or_range(&mut self) -> Result<(), Problem> {
        let begin = self.at;
        let first = self.value()?;
        if self.peek_letter() == Some(b'W') {
            return self.nearest(first);
        }
        if self.peek() == Some(b'#') || self.peek_letter() == Some(b'L') {
            return self.weekday_of_month(first);
        }
        if self.eat(b'-') {
            let last = self.value()?;
            let step = self.step()?.unwrap_or(1);
            self.insert_range(first, last, step);
        } else if let Some(step) = self.step()? {
            let first = self.sunday_is_zero(first);
            self.insert(first..=self.unit.last(), step);
        } else {
            self.insert(first..=first, 1);
        }
        debug_assert!(self.at > begin, "an item is at least a character");
        Ok(())
    }

    /// `nW`.
    fn nearest(&mut self, day: u32) -> Result<(), Problem> {
        if self.unit != Unit::Day {
            let text = "W is the weekday nearest to a day of the month, in the day-of-month field only";
            return Err(self.problem(self.at, text));
        }
        self.at += 1;
        self.field.special.nearest |= 1 << day;
        Ok(())
    }

    /// `d#n`, `d#L` and `dL`.
    fn weekday_of_month(&mut self, weekday: u32) -> Result<(), Problem> {
        if self.unit != Unit::Weekday {
            let text = match self.peek() {
                Some(b'#') => "# is for the nth weekday of a month, in the weekday field only",
                _ => "L follows a weekday, in the weekday field only; the last day of the month is L alone",
            };
            return Err(self.problem(self.at, text));
        }
        let bit = 1 << self.sunday_is_zero(weekday);
        if !self.eat(b'#') || self.peek_letter() == Some(b'L') {
            self.at += 1;
            self.field.special.last_of |= bit;
            return Ok(());
        }
        let begin = self.at;
        let n = match self.peek() {
            Some(byte) if byte.is_ascii_digit() => self.number(1, 5, "occurrence of a weekday in a month")?,
            _ => return Err(self.problem(begin, "after # comes 1 to 5, or L for the last")),
        };
        self.field.special.nth[n as usize - 1] |= bit;
        Ok(())
    }

    /// `/n`, if there is one.
    fn step(&mut self) -> Result<Option<u32>, Problem> {
        if !self.eat(b'/') {
            return Ok(None);
        }
        let begin = self.at;
        let digits = self.digits();
        if digits.is_empty() {
            return Err(self.problem(begin, "a step is missing after /: */15 is every fifteenth"));
        }
        match digits.parse::<u32>() {
            Ok(0) => Err(self.problem(begin, "a step of 0 gets nowhere; the least is 1")),
            // No field has as many values, so that a longer step says no more.
            Ok(step) => Ok(Some(step.min(1_000))),
            Err(_) => Ok(Some(1_000)),
        }
    }

    /// A number or a name.
    fn value(&mut self) -> Result<u32, Problem> {
        match self.peek() {
            Some(byte) if byte.is_ascii_digit() => {
                self.number(self.unit.first(), self.unit.last_written(), self.unit.name())
            }
            Some(byte) if byte.is_ascii_alphabetic() => self.named(),
            Some(_) => Err(self.unexpected()),
            None => Err(self.problem(
                self.at,
                format!("{} {} is missing: {}", self.unit.article(), self.unit.name(), self.unit.values()),
            )),
        }
    }

    fn number(&mut self, first: u32, last: u32, what: &str) -> Result<u32, Problem> {
        let begin = self.at;
        let digits = self.digits();
        match digits.parse::<u32>() {
            Ok(value) if value < first => {
                Err(self.problem(begin, format!("{digits} is below {first}, the first {what}")))
            }
            Ok(value) if value <= last => Ok(value),
            _ => Err(self.problem(begin, format!("{digits} is above {last}, the last {what}"))),
        }
    }

    fn named(&mut self) -> Result<u32, Problem> {
        let begin = self.at;
        let rest = &self.text.as_bytes()[begin..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let names = self.unit.names();
        // An L or a W may follow a name at once.
        let value = names.iter().position(|name| {
            (length == name.len() || (length == name.len() + 1 && self.unit == Unit::Weekday))
                && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        });
        match value {
            Some(index) => {
                self.at += names[index].len();
                Ok(self.unit.first() + index as u32)
            }
            None => {
                let name = &self.text[begin..begin + length];
                Err(self.problem(
                    begin,
                    format!("{name} is not {} {}: {}", self.unit.article(), self.unit.name(), self.unit.values()),
                ))
            }
        }
    }

    /// `first` to `last`, round the field's end if that comes first.
    fn insert_range(&mut self, first: u32, last: u32, step: u32) {
        if first <= last {
            return self.insert(first..=last, step);
        }
        let first = self.sunday_is_zero(first);
        if first <= last {
            return self.insert(first..=last, step);
        }
        let size = self.unit.last() - self.unit.first() + 1;
        self.insert(first..=last + size, step);
    }

    /// Values past the field's end go on at its begin.
    fn insert(&mut self, values: RangeInclusive<u32>, step: u32) {
        let size = self.unit.last() - self.unit.first() + 1;
        for value in values.step_by(step as usize) {
            self.field.values.insert((value - self.unit.first()) % size);
        }
    }

    fn sunday_is_zero(&self, value: u32) -> u32 {
        if self.unit == Unit::Weekday && value == 7 { 0 } else { value }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek_letter(&self) -> Option<u8> {
        self.peek().map(|byte| byte.to_ascii_uppercase())
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn eat_letter(&mut self, letter: u8) -> bool {
        let found = self.peek_letter() == Some(letter);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Problem> {
        if self.eat(byte) {
            return Ok(());
        }
        let found =
            self.text[self.at..].chars().next().map_or("the field ends".into(), |found| format!("{found} stands"));
        Err(self.problem(self.at, format!("{found} where {} is due: H(a-b)", char::from(byte))))
    }

    fn digits(&mut self) -> &'a str {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        &self.text[begin..self.at]
    }

    fn unexpected(&self) -> Problem {
        let found = self.text[self.at..].chars().next().unwrap_or(' ');
        let (a, name, values) = (self.unit.article(), self.unit.name(), self.unit.values());
        self.problem(self.at, format!("{found:?} has no meaning here; {a} {name} is {values}"))
    }

    fn problem(&self, at: usize, text: impl Into<String>) -> Problem {
        Problem::in_field(self.unit, self.start + at, text)
    }
}

fn remainder(hash: u64, size: u32) -> u32 {
    u32::try_from(hash % u64::from(size)).expect("because a remainder is below its divisor")
}
