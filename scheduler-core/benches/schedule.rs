//! One step of a schedule, against the `cron` and `croner` crates in the same run.
//!
//! A step is `next` from the fire before, over the fires of a day or, where those are few, over 100 fires;
//! what is measured is the mean of such a walk, as the engine does it. `cron` counts Sunday as 1 and always
//! has seconds, so that it is given its own spelling of each expression.

use std::hint::black_box;
use std::str::FromStr;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scheduler_core::schedule::{Compiled, Context, Dst, Gap, Schedule};
use scheduler_core::time::Timestamp;

/// Name, our expression, `cron`'s, zone, steps of a walk.
const CASES: [(&str, &str, &str, &str, usize); 7] = [
    ("simple", "30 2 * * *", "0 30 2 * * * *", "UTC", 100),
    ("dense", "* * * * * *", "* * * * * * *", "UTC", 86_400),
    ("minutes", "*/5 * * * *", "0 */5 * * * * *", "UTC", 288),
    ("sparse", "0 0 29 2 *", "0 0 0 29 2 * *", "UTC", 20),
    ("simple_zoned", "30 2 * * *", "0 30 2 * * * *", "America/New_York", 100),
    ("minutes_zoned", "*/5 * * * *", "0 */5 * * * * *", "America/New_York", 288),
    ("workdays_zoned", "0 9-17 * * MON-FRI", "0 0 9-17 * * MON-FRI *", "Australia/Lord_Howe", 100),
];

/// Two days before clocks change in New York, so that a walk crosses the change.
const START: i64 = 1_709_856_000;

fn compiled(expression: &str, zone: &str) -> Compiled {
    let schedule = Schedule { cron: vec![expression.into()], time_zone: zone.into(), ..Schedule::default() };
    Compiled::new(&schedule, &Context::preview(Timestamp::from_secs(START))).expect("because the cases are valid")
}

fn steps(c: &mut Criterion) {
    for (name, expression, for_cron, zone, count) in CASES {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(count as u64));
        let ours = compiled(expression, zone);
        group.bench_function(BenchmarkId::from_parameter("punctual"), |b| {
            b.iter(|| {
                let mut time = Timestamp::from_secs(START);
                for _ in 0..count {
                    time = ours.next(black_box(time)).expect("because the cases go on");
                }
                time
            });
        });
        let back_from = Timestamp::from_secs(4_000_000_000);
        group.bench_function(BenchmarkId::from_parameter("punctual_prev"), |b| {
            b.iter(|| {
                let mut time = back_from;
                for _ in 0..count.min(10) {
                    time = ours.prev(black_box(time)).expect("because the cases go back");
                }
                time
            });
        });
        let tz = Tz::from_str(zone).expect("because the cases are valid");
        let start: DateTime<Tz> =
            Utc.timestamp_opt(START, 0).single().expect("because UTC has no gaps").with_timezone(&tz);
        let theirs = cron::Schedule::from_str(for_cron).expect("because the cases are valid");
        group.bench_function(BenchmarkId::from_parameter("cron"), |b| {
            b.iter(|| theirs.after(black_box(&start)).take(count).last());
        });
        let theirs = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Optional)
            .build()
            .parse(expression)
            .expect("because the cases are valid");
        group.bench_function(BenchmarkId::from_parameter("croner"), |b| {
            b.iter(|| {
                let mut time = start;
                for _ in 0..count {
                    time = theirs.find_next_occurrence(black_box(&time), false).expect("because the cases go on");
                }
                time
            });
        });
        group.finish();
    }
}

/// The dearest steps there are: each must stay below 20 µs.
fn worst(c: &mut Criterion) {
    let cases = [
        ("leap_monday", "0 0 29 2 +MON", "America/New_York"),
        ("far_year", "0 0 0 1 1 * 2199", "America/New_York"),
        ("in_the_gap", "30 2 8-14 3 +SUN", "America/New_York"),
        ("nearest_weekdays", "0 0 1W,15W,31W,LW */2 *", "Europe/Dublin"),
    ];
    let mut group = c.benchmark_group("worst");
    for (name, expression, zone) in cases {
        let ours = compiled(expression, zone);
        group.bench_function(name, |b| b.iter(|| ours.next(black_box(Timestamp::from_secs(START)))));
    }
    // Since 2007 this Sunday's 02:30 is skipped every year: only reading the expression searches a whole cycle.
    let skipped = Schedule {
        cron: vec!["30 2 8-14 3 +SUN".into()],
        time_zone: "America/New_York".into(),
        dst: Dst { gap: Gap::Skip, ..Dst::default() },
        ..Schedule::default()
    };
    let ours = Compiled::new(&skipped, &Context::preview(Timestamp::from_secs(START))).expect("because it fired once");
    group.bench_function("never_again", |b| b.iter(|| ours.next(black_box(Timestamp::from_secs(START)))));
    group.finish();
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let text = "0,30 9-17/2 * * MON-FRI";
    group.bench_function("punctual", |b| b.iter(|| compiled(black_box(text), "America/New_York")));
    group.bench_function("cron", |b| b.iter(|| cron::Schedule::from_str(black_box("0 0,30 9-17/2 * * MON-FRI *"))));
    group.bench_function("croner", |b| b.iter(|| croner::Cron::from_str(black_box(text))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = steps, worst, parse
}
criterion_main!(benches);
