//! Fires worked out on this side, in the shape in which a server answers PreviewSchedule.

use chrono_tz::Tz;
use job_spec::time::{instant, proto_instant};
use prost_types::Timestamp as ProtoTimestamp;
use punctual_proto::v1::PreviewScheduleResponse;
use punctual_proto::v1::preview_schedule_response::{DstChange, dst_change::Kind};
use scheduler_core::Violations;
use scheduler_core::schedule::{self, ChangeKind, Compiled};
use scheduler_core::time::Timestamp;

use crate::clock;
use crate::failure::Failure;

/// The last instant that can be written: 9999-12-31T23:59:59.999999Z.
const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// The instant of a flag, or now.
pub(crate) fn after(flag: Option<ProtoTimestamp>) -> Result<Timestamp, Failure> {
    match flag {
        Some(after) => instant(&after).map_err(|reason| Failure::Usage(format!("--after {after} {reason}"))),
        None => Ok(clock::now().into()),
    }
}

/// What `H` is hashed from.
pub(crate) fn hash_key(namespace: &str, job_id: &str) -> Result<String, Failure> {
    let mut violations = Violations::default();
    let key = job_spec::job_key(namespace, job_id, "", &mut violations);
    violations
        .or(key.to_string())
        .map_err(|violations| Failure::Input { what: "the job's name".to_owned(), violations })
}

pub(crate) fn fires(compiled: &Compiled, after: Timestamp) -> impl Iterator<Item = Timestamp> {
    std::iter::successors(compiled.next(after), |last| compiled.next(*last)).take_while(|fire| *fire <= LAST)
}

/// What people are shown.
pub(crate) struct Preview {
    pub(crate) answer: PreviewScheduleResponse,
    /// The zone on whose clocks the fires are read too.
    pub(crate) zone: Option<Tz>,
    /// The next change of the clocks that moves a fire, where the fires shown have none.
    pub(crate) change_ahead: Option<DstChange>,
}

impl Preview {
    pub(crate) fn new(compiled: &Compiled, after: Timestamp, count: usize, zone: Option<Tz>) -> Self {
        let fires: Vec<Timestamp> = fires(compiled, after).take(count).collect();
        let last = fires.last().copied();
        let changes = last.map(|last| compiled.dst_changes(after, last)).unwrap_or_default();
        let change_ahead = last.filter(|_| changes.is_empty()).and_then(|last| compiled.next_dst_change(last));
        let answer = PreviewScheduleResponse {
            fire_times: fires.into_iter().map(proto_instant).collect(),
            description: compiled.describe(),
            dst_changes: changes.into_iter().map(change).collect(),
        };
        Self { answer, zone, change_ahead: change_ahead.map(change) }
    }
}

fn change(change: schedule::DstChange) -> DstChange {
    let kind = match change.kind {
        ChangeKind::Gap => Kind::Gap,
        ChangeKind::Overlap => Kind::Overlap,
    };
    DstChange { time: Some(proto_instant(change.time)), kind: kind.into(), effect: change.effect }
}

/// The zone on whose clocks people read the fires, unless the expressions have several.
pub(crate) fn zone(time_zone: &str, expressions: &[String]) -> Option<Tz> {
    let of_schedule = if time_zone.is_empty() { "UTC" } else { time_zone };
    let mut names = expressions.iter().map(|expression| prefix(expression).unwrap_or(of_schedule));
    let first = names.next().unwrap_or(of_schedule);
    if names.all(|name| name == first) { first.parse().ok() } else { None }
}

fn prefix(expression: &str) -> Option<&str> {
    let first = expression.split([' ', '\t']).find(|word| !word.is_empty())?;
    first.strip_prefix("CRON_TZ=").or_else(|| first.strip_prefix("TZ="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone_of(time_zone: &str, expressions: &[&str]) -> Option<Tz> {
        zone(time_zone, &expressions.iter().map(|&expression| expression.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_zone_of_a_prefix_is_the_one_that_people_read() {
        assert_eq!(zone_of("", &[]), Some(Tz::UTC));
        assert_eq!(zone_of("Europe/Paris", &["0 2 * * *"]), Some(Tz::Europe__Paris));
        assert_eq!(zone_of("", &[" CRON_TZ=Asia/Tokyo 0 2 * * *", "TZ=Asia/Tokyo 0 3 * * *"]), Some(Tz::Asia__Tokyo));
    }

    #[test]
    fn expressions_of_several_zones_have_no_common_clock() {
        assert_eq!(zone_of("", &["TZ=Asia/Tokyo 0 2 * * *", "0 2 * * *"]), None);
    }
}
