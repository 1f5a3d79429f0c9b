//! What must hold whatever bytes come as a cron expression: no panic, an answer on the field, and fires that
//! ascend, go back the way they came, and can be counted and said.
//!
//! The first byte picks zone and policies, the next four the instant to search from, the rest is the
//! expression.

use std::time::Duration;

use chrono_tz::TZ_VARIANTS;
use scheduler_core::schedule::{Compiled, Context, Dst, Gap, Overlap, Schedule};
use scheduler_core::time::Timestamp;

const STEPS: usize = 4;

pub(crate) fn check(data: &[u8]) {
    let Some((&[choice, a, b, c, d], expression)) = data.split_first_chunk::<5>() else { return };
    let expression = String::from_utf8_lossy(expression).into_owned();
    let after = Timestamp::from_secs(i64::from(u32::from_le_bytes([a, b, c, d])));
    let schedule = Schedule { cron: vec![expression.clone()], dst: dst(choice), ..Schedule::default() };
    let zone = TZ_VARIANTS[usize::from(choice) * 7 % TZ_VARIANTS.len()].name();
    let named = expression.trim_start_matches([' ', '\t']);
    let time_zone = if named.starts_with("TZ=") || named.starts_with("CRON_TZ=") { "" } else { zone };
    let schedule = Schedule { time_zone: time_zone.to_owned(), ..schedule };
    let context = Context { hash_key: Some("default/job"), ..Context::preview(after) };
    match Compiled::new(&schedule, &context) {
        Ok(compiled) => holds(&compiled, after, &expression),
        Err(violations) => {
            assert!(!violations.0.is_empty(), "{expression:?} is refused without a reason");
            for violation in &violations.0 {
                assert_eq!(violation.field, "schedule.cron[0]", "{expression:?}: {violation}");
                assert!(!violation.description.is_empty(), "{expression:?}");
            }
        }
    }
}

fn dst(choice: u8) -> Dst {
    let gap = if choice & 1 == 0 { Gap::NextValid } else { Gap::Skip };
    let overlap = [Overlap::First, Overlap::Last, Overlap::Both][usize::from(choice / 2) % 3];
    Dst { gap, overlap }
}

fn holds(compiled: &Compiled, after: Timestamp, expression: &str) {
    assert!(!compiled.describe().is_empty(), "{expression:?}");
    let mut time = after;
    for _ in 0..STEPS {
        let Some(next) = compiled.next(time) else { break };
        assert!(next > time, "{expression:?}: {next} after {time}");
        let back = compiled.prev(next);
        assert!(back.is_none_or(|back| back <= time), "{expression:?}: {back:?} before {next}");
        assert_eq!(compiled.prev(next.saturating_add(Duration::from_micros(1))), Some(next), "{expression:?}");
        assert_eq!(compiled.count(time, next, 10).fires, 1, "{expression:?}: ({time}, {next}]");
        time = next;
    }
    if let Some(change) = compiled.next_dst_change(after) {
        assert!(change.time > after, "{expression:?}");
    }
}
