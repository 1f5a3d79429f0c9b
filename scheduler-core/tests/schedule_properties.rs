//! Properties of every schedule, and agreement with a brute-force walk over civil time in zones that have
//! done odd things: changes of half an hour, at midnight, a lost day, four changes a year.

mod oracle;

use std::time::Duration;

use chrono_tz::Tz;
use oracle::Expression;
use proptest::prelude::*;
use proptest::sample::select;
use scheduler_core::schedule::{Compiled, Context, Dst, Gap, Overlap, Schedule};
use scheduler_core::time::Timestamp;

/// Zones, each with instants next to which its clocks did what they are known for.
const ZONES: [(Tz, &[i64]); 16] = [
    // Half an hour, in April and October.
    (Tz::Australia__Lord_Howe, &[1_712_415_600, 1_728_142_200]),
    // Out of and into summer time round Ramadan.
    (Tz::Africa__Casablanca, &[1_710_036_000, 1_713_060_000, 1_740_276_000]),
    (Tz::Asia__Kathmandu, &[504_901_800]),
    // The lost 2011-12-30.
    (Tz::Pacific__Apia, &[1_325_239_200, 1_301_752_800]),
    // At one minute past midnight, until 2011.
    (Tz::America__St_Johns, &[1_299_987_060, 1_289_097_060, 1_320_553_800]),
    // At midnight: days that begin at 01:00, and evenings that come twice.
    (Tz::America__Sao_Paulo, &[1_541_300_400, 1_518_919_200]),
    // The lost 1994-12-31.
    (Tz::Pacific__Kiritimati, &[788_868_000]),
    (Tz::America__New_York, &[1_710_054_000, 1_730_613_600]),
    (Tz::Europe__Berlin, &[1_711_846_800, 1_729_990_800]),
    // Clocks back at midnight to the day before.
    (Tz::Asia__Beirut, &[1_711_836_000, 1_729_976_400]),
    (Tz::America__Havana, &[1_710_046_800, 1_730_610_000]),
    // Summer time is the standard, winter time the exception.
    (Tz::Europe__Dublin, &[1_711_846_800, 1_729_990_800]),
    // Two hours.
    (Tz::Antarctica__Troll, &[1_711_846_800, 1_729_990_800]),
    (Tz::Africa__Cairo, &[1_714_082_400, 1_730_408_400]),
    // Half an hour less for a time.
    (Tz::Asia__Pyongyang, &[1_439_564_400, 1_525_446_000]),
    (Tz::UTC, &[1_709_164_800]),
];

const SPAN: i64 = 40 * 86_400;

#[derive(Clone, Debug)]
struct Case {
    expression: Expression,
    zone: Tz,
    dst: Dst,
    after: i64,
}

fn dst() -> impl Strategy<Value = Dst> {
    let gap = select(vec![Gap::NextValid, Gap::Skip]);
    let overlap = select(vec![Overlap::First, Overlap::Last, Overlap::Both]);
    (gap, overlap).prop_map(|(gap, overlap)| Dst { gap, overlap })
}

fn case() -> impl Strategy<Value = Case> {
    let zone = select(ZONES.to_vec());
    // Mostly near a change, now and then anywhere from 1990 to 2090.
    let after = (
        any::<prop::sample::Index>(),
        prop_oneof![
            4 => (-2 * 86_400_i64..86_400).prop_map(Ok),
            2 => (-7_200_i64..7_200).prop_map(Ok),
            1 => (631_152_000_i64..3_786_912_000).prop_map(Err),
        ],
    );
    (oracle::expression(), zone, dst(), after).prop_map(|(expression, (zone, changes), dst, (which, offset))| {
        let after = offset.map_or_else(|anywhere| anywhere, |near| changes[which.index(changes.len())] + near);
        Case { expression, zone, dst, after }
    })
}

/// None if the expression can never fire, as far as it is refused for that.
fn compile(case: &Case) -> Option<Compiled> {
    let schedule = Schedule {
        cron: vec![case.expression.to_string()],
        time_zone: case.zone.name().to_owned(),
        dst: case.dst,
        ..Schedule::default()
    };
    match Compiled::new(&schedule, &Context::preview(Timestamp::from_secs(case.after))) {
        Ok(compiled) => Some(compiled),
        Err(violations) => {
            let text = violations.to_string();
            assert!(text.contains("never fires"), "{}: {text}", case.expression);
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fires_are_those_of_a_walk_over_civil_time(case in case()) {
        let until = case.after + SPAN;
        let expected = case.expression.fires(case.zone, case.dst.gap, case.dst.overlap, case.after, until);
        let Some(compiled) = compile(&case) else {
            prop_assert_eq!(expected, Vec::<i64>::new());
            return Ok(());
        };
        let text = case.expression.to_string();
        let end = Timestamp::from_secs(until);

        let mut time = Timestamp::from_secs(case.after);
        for &fire in expected.iter().take(3_000) {
            let next = compiled.next(time);
            prop_assert_eq!(next, Some(Timestamp::from_secs(fire)), "{} after {}", text, time);
            time = next.unwrap();
        }
        if expected.len() <= 3_000 {
            prop_assert!(compiled.next(time).is_none_or(|beyond| beyond >= end), "{} after {}", text, time);
        }

        let mut time = end;
        for &fire in expected.iter().rev().take(3_000) {
            let prev = compiled.prev(time);
            prop_assert_eq!(prev, Some(Timestamp::from_secs(fire)), "{} before {}", text, time);
            time = prev.unwrap();
        }

        let count = compiled.count(Timestamp::from_secs(case.after), Timestamp::from_secs(until - 1), 0);
        prop_assert_eq!((count.fires, count.capped), (expected.len() as u64, false), "{}", text);
    }

    #[test]
    fn next_and_prev_are_strict_and_inverse(case in case(), micros in 0_i64..1_000_000) {
        let Some(compiled) = compile(&case) else { return Ok(()) };
        let after = Timestamp::from_micros(case.after * 1_000_000 + micros);
        let Some(next) = compiled.next(after) else { return Ok(()) };
        prop_assert!(next > after);
        let back = compiled.prev(next);
        prop_assert!(back.is_none_or(|back| back <= after), "{back:?}");
        let just_before = Timestamp::from_micros(next.as_micros() - 1);
        prop_assert_eq!(compiled.next(just_before), Some(next));
        prop_assert_eq!(compiled.prev(Timestamp::from_micros(next.as_micros() + 1)), Some(next));
        if let Some(back) = back {
            prop_assert_eq!(compiled.next(back), Some(next));
        }
    }

    #[test]
    fn a_union_is_ascending_and_has_the_fires_of_each(a in case(), b in case(), period in 1_u64..100_000_000) {
        let after = Timestamp::from_secs(a.after);
        let at = after.saturating_add(Duration::from_micros(period * 3));
        let all = Schedule {
            cron: vec![a.expression.to_string(), b.expression.to_string()],
            every: vec![Duration::from_micros(period.max(100_000))],
            at: vec![at],
            time_zone: a.zone.name().to_owned(),
            ..Schedule::default()
        };
        let context = Context::preview(after);
        let Ok(union) = Compiled::new(&all, &context) else { return Ok(()) };
        let parts = [
            Schedule { cron: vec![all.cron[0].clone()], every: vec![], at: vec![], ..all.clone() },
            Schedule { cron: vec![all.cron[1].clone()], every: vec![], at: vec![], ..all.clone() },
            Schedule { cron: vec![], at: vec![], ..all.clone() },
            Schedule { cron: vec![], every: vec![], ..all.clone() },
        ]
        .map(|part| Compiled::new(&part, &context).unwrap());
        let mut time = after;
        for _ in 0..20 {
            let next = union.next(time).unwrap();
            prop_assert!(next > time);
            prop_assert_eq!(Some(next), parts.iter().filter_map(|part| part.next(time)).min());
            let prev = union.prev(next);
            prop_assert_eq!(prev, parts.iter().filter_map(|part| part.prev(next)).max());
            time = next;
        }
    }
}
