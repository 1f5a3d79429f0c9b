//! The 700 cases of an independent brute-force oracle: expression, zone, after, up to five next fires, tag,
//! gap, overlap, namespace/job_id.
//!
//! The oracle walks no further than nine years, so that some of its lists of fewer than five fires end before
//! the expression does (five lines of the file, with years at the end): what we find beyond must lie after
//! its horizon.

use std::time::Duration;

use scheduler_core::schedule::{Compiled, Context, Dst, Gap, Overlap, Schedule};
use scheduler_core::time::Timestamp;

const ORACLE_HORIZON: Duration = Duration::from_secs(9 * 365 * 86_400);

struct Case<'a> {
    line: usize,
    schedule: Schedule,
    after: Timestamp,
    fires: Vec<Timestamp>,
    job: &'a str,
}

fn instant(text: &str) -> Timestamp {
    text.parse::<chrono::DateTime<chrono::Utc>>().expect("because the cases are valid").into()
}

fn cases() -> Vec<Case<'static>> {
    let lines = include_str!("vectors/cron.tsv").lines().enumerate().skip(1);
    lines.map(|(i, text)| case(i + 1, &text.split('\t').collect::<Vec<_>>())).collect()
}

fn case<'a>(line: usize, columns: &[&'a str]) -> Case<'a> {
    let [expression, zone, after, fires, _tag, gap, overlap, job] = columns else { panic!("line {line}: 8 columns") };
    let gap = match *gap {
        "NEXT_VALID" => Gap::NextValid,
        "SKIP" => Gap::Skip,
        other => panic!("line {line}: {other}"),
    };
    let overlap = match *overlap {
        "FIRST" => Overlap::First,
        "LAST" => Overlap::Last,
        "BOTH" => Overlap::Both,
        other => panic!("line {line}: {other}"),
    };
    let schedule = Schedule {
        cron: vec![(*expression).to_owned()],
        time_zone: (*zone).to_owned(),
        dst: Dst { gap, overlap },
        ..Schedule::default()
    };
    let fires = fires.split(',').filter(|text| !text.is_empty()).map(instant).collect();
    Case { line, schedule, after: instant(after), fires, job }
}

fn compiled(case: &Case<'_>) -> Compiled {
    let context = Context { hash_key: Some(case.job), ..Context::preview(case.after) };
    Compiled::new(&case.schedule, &context).unwrap_or_else(|violations| panic!("line {}: {violations}", case.line))
}

#[test]
fn the_next_fires_are_the_oracle_s() {
    let cases = cases();
    assert_eq!(cases.len(), 700);
    let mut wrong = Vec::new();
    for case in &cases {
        let compiled = compiled(case);
        let mut after = case.after;
        let mut fires = Vec::new();
        while fires.len() < 5
            && let Some(fire) = compiled.next(after)
        {
            fires.push(fire);
            after = fire;
        }
        let horizon = case.after.saturating_add(ORACLE_HORIZON);
        let within = fires.iter().filter(|&&fire| case.fires.contains(&fire) || fire < horizon);
        if !within.eq(&case.fires) {
            wrong.push(format!("line {} {:?}: {fires:?}, not {:?}", case.line, case.schedule.cron, case.fires));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_previous_fires_lead_back_over_the_oracle_s() {
    for case in cases() {
        let compiled = compiled(&case);
        for pair in case.fires.windows(2) {
            assert_eq!(compiled.prev(pair[1]), Some(pair[0]), "line {} {:?}", case.line, case.schedule.cron);
        }
        if let Some(&first) = case.fires.first() {
            let before = compiled.prev(first);
            assert!(before.is_none_or(|before| before <= case.after), "line {} {before:?}", case.line);
        }
    }
}

#[test]
fn counting_a_span_finds_the_oracle_s_number() {
    for case in cases() {
        if let Some(&last) = case.fires.last() {
            let count = compiled(&case).count(case.after, last, 10);
            assert_eq!(count.fires, case.fires.len() as u64, "line {} {:?}", case.line, case.schedule.cron);
        }
    }
}
