//! An expression as a whole: prefix, nickname or fields, and what must hold between them.

use std::time::Duration;

use super::field::{self, Field};
use super::problem::Problem;
use super::search::LAST_SECOND;
use super::unit::Unit;
use super::{Clock, Combine, Cron, DayFields, Days, duration};
use crate::schedule::zone::{self, Zone};
use crate::schedule::{Dst, Gap, Overlap};

/// No expression needs as much; a longer one is a mistake or an attack.
const LONGEST: usize = 1_000;

/// What an expression is read under.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Terms<'a> {
    /// The schedule's zone.
    pub(in super::super) zone: &'static Zone,
    /// The schedule names its zone, so that a prefix may only repeat it.
    pub(in super::super) zone_is_named: bool,
    /// What `H` is hashed from.
    pub(in super::super) job: Option<&'a str>,
    pub(in super::super) dst: Dst,
}

#[derive(Clone, Debug)]
pub(in super::super) enum Expression {
    Cron(Cron),
    /// `@every`
    Every(Duration),
}

/// A word of the expression and where it begins.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    offset: usize,
}

pub(in super::super) fn parse(text: &str, terms: &Terms<'_>) -> Result<Expression, Vec<Problem>> {
    if text.len() > LONGEST {
        return Err(vec![Problem::whole(format!("{} characters are above {LONGEST}, the most", text.len()))]);
    }
    let words = words(text);
    let (zone, words) = prefix(&words, terms).map_err(|problem| vec![problem])?;
    let Some(first) = words.first() else {
        return Err(vec![Problem::whole("the expression is empty; 5 fields, as in \"0 2 * * *\", are a daily job")]);
    };
    if first.text.starts_with('@') {
        nickname(words, zone, terms)
    } else {
        fields(words, zone, terms).map(Expression::Cron)
    }
}

fn words(text: &str) -> Vec<Word<'_>> {
    let is_blank = |c: char| c == ' ' || c == '\t';
    let start = text.as_ptr().addr();
    text.split(is_blank)
        .filter(|word| !word.is_empty())
        .map(|word| Word { text: word, offset: word.as_ptr().addr() - start })
        .collect()
}

/// The zone, and the words after a `TZ=` or `CRON_TZ=`.
fn prefix<'w, 'a>(words: &'w [Word<'a>], terms: &Terms<'_>) -> Result<(&'static Zone, &'w [Word<'a>]), Problem> {
    let Some((first, rest)) = words.split_first() else { return Ok((terms.zone, words)) };
    let Some(name) = first.text.strip_prefix("CRON_TZ=").or_else(|| first.text.strip_prefix("TZ=")) else {
        return Ok((terms.zone, words));
    };
    let offset = first.offset + first.text.len() - name.len();
    if name.is_empty() {
        return Err(Problem::at(offset, "a zone is missing after the =: TZ=Europe/Paris"));
    }
    let zone = Zone::named(name).map_err(|text| Problem::at(offset, text))?;
    if terms.zone_is_named && zone.name() != terms.zone.name() {
        let other = terms.zone.name();
        let text = format!("the prefix says {name}, time_zone says {other}; leave one out or make them the same");
        return Err(Problem::at(offset, text));
    }
    Ok((zone, rest))
}

fn nickname(words: &[Word<'_>], zone: &'static Zone, terms: &Terms<'_>) -> Result<Expression, Vec<Problem>> {
    let (name, rest) = words.split_first().expect("because the caller has seen the first word");
    let problem = |offset, text: String| Err(vec![Problem::at(offset, text)]);
    let lower = name.text.to_ascii_lowercase();
    if lower == "@every" {
        let Some((period, more)) = rest.split_first() else {
            return problem(name.offset, "a duration is missing: @every 1m30s".into());
        };
        if let Some(more) = more.first() {
            return problem(more.offset, format!("{:?} is too much after the duration", more.text));
        }
        return match duration::parse(period.text) {
            Ok(period) => Ok(Expression::Every(period)),
            Err((at, text)) => problem(period.offset + at, text),
        };
    }
    let fields_of = match lower.as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        "@reboot" => {
            let text = "@reboot has no meaning here: a cluster does not start with any one machine";
            return problem(name.offset, text.into());
        }
        _ => {
            let known = "@yearly, @monthly, @weekly, @daily, @hourly and @every";
            return problem(name.offset, format!("{} is not one of {known}", name.text));
        }
    };
    if let Some(more) = rest.first() {
        return problem(more.offset, format!("{:?} is too much after {}", more.text, name.text));
    }
    fields(&words_of_nickname(fields_of, name.offset), zone, terms).map(Expression::Cron)
}

fn words_of_nickname(fields: &'static str, offset: usize) -> Vec<Word<'static>> {
    fields.split(' ').map(|text| Word { text, offset }).collect()
}

fn fields(words: &[Word<'_>], zone: &'static Zone, terms: &Terms<'_>) -> Result<Cron, Vec<Problem>> {
    use Unit::{Day, Hour, Minute, Month, Second, Weekday, Year};
    let units: &[Unit] = match words.len() {
        5 => &[Minute, Hour, Day, Month, Weekday],
        6 => &[Second, Minute, Hour, Day, Month, Weekday],
        7 => &[Second, Minute, Hour, Day, Month, Weekday, Year],
        count => {
            let fields = if count == 1 { "1 field is" } else { &format!("{count} fields are") };
            let text = format!(
                "{fields} not an expression: 5 are (minute, hour, day of month, month, weekday), \
                 6 with seconds in front, 7 with years at the end"
            );
            return Err(vec![Problem::whole(text)]);
        }
    };
    let mut problems = Vec::new();
    let mut draft = Draft::new();
    for (&unit, &word) in units.iter().zip(words) {
        match draft.read(unit, word, terms) {
            Ok(()) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    draft.compile(zone, terms.dst).map_err(|problem| vec![problem])
}

/// The fields read so far.
struct Draft {
    second: Field,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
    year: Option<Field>,
    interval_like: bool,
    restricted: [bool; 2],
    plus: bool,
}

impl Draft {
    fn new() -> Self {
        let mut second = Field::default();
        second.values.insert(0);
        Self {
            second,
            minute: Field::default(),
            hour: Field::default(),
            day: Field::default(),
            month: Field::default(),
            weekday: Field::default(),
            year: None,
            interval_like: false,
            restricted: [false; 2],
            plus: false,
        }
    }

    fn read(&mut self, unit: Unit, mut word: Word<'_>, terms: &Terms<'_>) -> Result<(), Problem> {
        if unit == Unit::Weekday
            && let Some(rest) = word.text.strip_prefix('+')
        {
            self.plus = true;
            word = Word { text: rest, offset: word.offset + 1 };
        }
        let field = field::parse(unit, word.text, word.offset, terms.job)?;
        match unit {
            Unit::Second | Unit::Minute | Unit::Hour => self.interval_like |= word.text.starts_with('*'),
            Unit::Day => self.restricted[0] = !word.text.starts_with(['*', '?']),
            Unit::Weekday => self.restricted[1] = !word.text.starts_with(['*', '?']),
            Unit::Month | Unit::Year => {}
        }
        match unit {
            Unit::Second => self.second = field,
            Unit::Minute => self.minute = field,
            Unit::Hour => self.hour = field,
            Unit::Day => self.day = field,
            Unit::Month => self.month = field,
            Unit::Weekday => self.weekday = field,
            Unit::Year => self.year = Some(field),
        }
        Ok(())
    }

    fn compile(self, zone: &'static Zone, dst: Dst) -> Result<Cron, Problem> {
        let narrow = "because its field has fewer values than that";
        let years = self.year.map(|year| Box::new(year.values));
        let days = Days::new(DayFields {
            of_month: u32::try_from(self.day.values.word(Unit::Day)).expect(narrow),
            nearest: self.day.special.nearest,
            last: self.day.special.last,
            last_weekday: self.day.special.last_weekday,
            weekdays: u8::try_from(self.weekday.values.word(Unit::Weekday)).expect(narrow),
            nth: self.weekday.special.nth,
            last_of: self.weekday.special.last_of,
            months: u16::try_from(self.month.values.word(Unit::Month)).expect(narrow),
            combine: if self.restricted == [true, true] && !self.plus { Combine::Either } else { Combine::Both },
            years,
        });
        let clock = Clock {
            seconds: self.second.values.word(Unit::Second),
            minutes: self.minute.values.word(Unit::Minute),
            hours: u32::try_from(self.hour.values.word(Unit::Hour)).expect(narrow),
        };
        let (gap, overlap) = if self.interval_like { (Gap::Skip, Overlap::Both) } else { (dst.gap, dst.overlap) };
        let cron = Cron { zone, clock, days, gap, overlap, interval_like: self.interval_like, last: LAST_SECOND };
        cron.with_last()
    }
}

impl Cron {
    /// Finds where fires end, and that there are any.
    fn with_last(mut self) -> Result<Self, Problem> {
        if !self.days.has_any() {
            let text = if self.days.fields.every_weekday() {
                "it never fires: no month and year that it names has a day that it names"
            } else {
                "it never fires: no day that it names is on a weekday that it names"
            };
            return Err(Problem::whole(text));
        }
        // From here on rules only repeat, each kind of year within 40: what has no fire in a search has none.
        if self.next_instant(zone::RULES_ONLY_FROM).is_some() {
            return Ok(self);
        }
        match self.prev_instant(zone::RULES_ONLY_FROM) {
            Some(last) => {
                self.last = last;
                Ok(self)
            }
            None => {
                let zone = self.zone.name();
                let text =
                    format!("it never fires: the clocks of {zone} skip each of its times, and so does dst.gap SKIP");
                Err(Problem::whole(text))
            }
        }
    }
}
