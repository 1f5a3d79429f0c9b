//! `punctual cron next --batch`: a line in, a line out, for programs that check or precompute many schedules.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};

use job_spec::{enums, time};
use scheduler_core::schedule::{Compiled, Context, Dst, Schedule};
use scheduler_core::time::Timestamp;

use super::faults;
use crate::failure::Failure;
use crate::{preview, value};

/// The most fires of one line.
pub(super) const MOST: u32 = 100_000;

/// Long enough that the system calls do not count.
const CAPACITY: usize = 1 << 16;

pub(super) fn run() -> Result<(), Failure> {
    match answer_all(io::stdin().lock(), io::stdout().lock())? {
        Tally { bad: 0, .. } => Ok(()),
        Tally { all, bad } => Err(Failure::Lines { bad, all }),
    }
}

/// How many lines there were, and how many of them were bad.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    all: usize,
    bad: usize,
}

fn answer_all(input: impl Read, mut output: impl Write) -> Result<Tally, Failure> {
    let mut input = BufReader::with_capacity(CAPACITY, input);
    let (mut line, mut answers) = (Vec::new(), String::new());
    let mut tally = Tally::default();
    loop {
        // A program that waits for an answer before it asks again must not wait for ever.
        if answers.len() >= CAPACITY || !input.buffer().contains(&b'\n') {
            output.write_all(answers.as_bytes())?;
            output.flush()?;
            answers.clear();
        }
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::File { path: "standard input".to_owned(), reason: error.to_string() })? == 0 {
            return Ok(tally);
        }
        tally.all += 1;
        tally.bad += usize::from(!answer(&line, &mut answers));
        answers.push('\n');
    }
}

/// Adds the answer to a line, and says whether it is one.
fn answer(line: &[u8], answers: &mut String) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let fires = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned()).and_then(|line| {
        let question = Question::read(line)?;
        let compiled = question.compile()?;
        for (i, fire) in preview::fires(&compiled, question.after).take(question.count).enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(answers, "{comma}{fire}").expect("because a string takes all that is written");
        }
        Ok(())
    });
    match fires {
        Ok(()) => true,
        Err(reason) => {
            answers.push_str("error: ");
            answers.extend(reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
            false
        }
    }
}

struct Question<'a> {
    expression: &'a str,
    zone: &'a str,
    after: Timestamp,
    count: usize,
    dst: Dst,
    job: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// Empty columns at the end are as good as none, and an empty zone is UTC.
    fn read(line: &'a str) -> Result<Self, String> {
        let mut columns = line.split('\t');
        let (Some(expression), Some(zone), Some(after), Some(count)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return Err("write expression, zone, after and count, with a tab between them".to_owned());
        };
        let mut optional = || columns.next().filter(|column| !column.is_empty());
        let (gap, overlap, job) = (optional(), optional(), optional());
        if columns.next().is_some() {
            return Err("there are more than 7 columns: namespace/job_id is the last".to_owned());
        }
        let after = value::instant(after).and_then(|after| time::instant(&after));
        let gap = gap.map(value::gap).transpose().map_err(|reason| format!("gap: {reason}"))?;
        let overlap = overlap.map(value::overlap).transpose().map_err(|reason| format!("overlap: {reason}"))?;
        Ok(Self {
            expression,
            zone,
            after: after.map_err(|reason| format!("after: {reason}"))?,
            count: self::count(count)?,
            dst: Dst {
                gap: gap.and_then(enums::gap).unwrap_or_default(),
                overlap: overlap.and_then(enums::overlap).unwrap_or_default(),
            },
            job: job.map(self::job).transpose()?,
        })
    }

    fn compile(&self) -> Result<Compiled, String> {
        let schedule = Schedule {
            cron: vec![self.expression.to_owned()],
            time_zone: self.zone.to_owned(),
            dst: self.dst,
            ..Schedule::default()
        };
        let context = Context { hash_key: self.job, ..Context::preview(self.after) };
        Compiled::new(&schedule, &context).map_err(|violations| faults(violations).join("; "))
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count as usize),
        _ => Err(format!("count: {text:?} is not a number between 1 and {MOST}")),
    }
}

fn job(text: &str) -> Result<&str, String> {
    let (namespace, job_id) = text.split_once('/').ok_or_else(|| format!("job: {text:?} is not namespace/job_id"))?;
    for (name, id) in [("namespace", namespace), ("job_id", job_id)] {
        job_spec::id(id).map_err(|reason| format!("{name}: {id:?} {reason}"))?;
    }
    Ok(text)
}
