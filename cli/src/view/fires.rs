//! Fires as text, with the changes of the clocks that move them.

use chrono::{DateTime, Utc};
use punctual_proto::v1::preview_schedule_response::DstChange;
use punctual_proto::v1::preview_schedule_response::dst_change::Kind;

use super::ODD;
use super::when::instant;
use crate::preview::Preview;

/// A fire a line, in UTC and on the clocks of `zone`, with a mark where these change.
pub(crate) fn fires(preview: &Preview) -> String {
    let (answer, zone) = (&preview.answer, preview.zone);
    let times: Vec<DateTime<Utc>> = answer.fire_times.iter().filter_map(instant).collect();
    if times.is_empty() {
        return "It does not fire after that.\n".to_owned();
    }
    let marked: Vec<(usize, &DstChange)> =
        answer.dst_changes.iter().filter_map(|change| Some((moved(&times, change)?, change))).collect();
    let width = answer.fire_times.iter().map(|time| time.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (at, (time, utc)) in times.iter().zip(&answer.fire_times).enumerate() {
        text.push_str(&format!("{:<width$}", utc.to_string()));
        if let Some(zone) = zone {
            text.push_str(&time.with_timezone(&zone).format("  %a %Y-%m-%d %H:%M:%S%.f %:z").to_string());
        }
        for (_, change) in marked.iter().filter(|(fire, _)| *fire == at) {
            text.push_str(&format!("  {ODD}<- {}{ODD:#}", self::change(change)));
        }
        text.push('\n');
    }
    text
}

/// The schedule in words, its fires, and what comes after them.
pub(crate) fn preview(preview: &Preview) -> String {
    format!("{}\n{}{}", preview.answer.description, fires(preview), change_ahead(preview))
}

/// A line, if there is something to say.
pub(crate) fn change_ahead(preview: &Preview) -> String {
    let ahead = preview.change_ahead.as_ref();
    ahead.map(|ahead| format!("The next change that moves a fire: {}\n", change(ahead))).unwrap_or_default()
}

/// `2026-03-29T01:00:00Z, clocks go forward: 02:30 does not exist: …`
fn change(change: &DstChange) -> String {
    let what = match change.kind() {
        Kind::Gap => "the clocks go forward",
        Kind::Overlap => "the clocks go back",
        Kind::Unspecified => "the clocks change",
    };
    let time = change.time.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{time}, {what}: {}", change.effect)
}

/// The fire to mark. What is skipped comes after the change, or not at all; what is repeated lies on both
/// sides of it.
fn moved(times: &[DateTime<Utc>], change: &DstChange) -> Option<usize> {
    let time = change.time.as_ref().and_then(instant)?;
    match change.kind() {
        Kind::Overlap => (0..times.len()).min_by_key(|&at| (times[at] - time).abs()),
        Kind::Gap | Kind::Unspecified => Some(times.partition_point(|fire| *fire < time).min(times.len() - 1)),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use prost_types::Timestamp;
    use punctual_proto::v1::PreviewScheduleResponse;

    use super::*;

    fn shown(fire_times: &[&str], change: (&str, Kind), zone: Option<Tz>) -> Vec<String> {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let change = DstChange { time: Some(time(change.0)), kind: change.1.into(), effect: "moved".to_owned() };
        let answer = PreviewScheduleResponse {
            fire_times: fire_times.iter().map(|text| time(text)).collect(),
            description: String::new(),
            dst_changes: vec![change],
        };
        let text = anstream::adapter::strip_str(&fires(&Preview { answer, zone, change_ahead: None })).to_string();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_gap_is_marked_at_the_fire_that_comes_after_it() {
        let fires = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        let lines = shown(&fires, ("2026-03-29T01:00:00Z", Kind::Gap), Some(Tz::Europe__Paris));
        assert_eq!(
            lines,
            [
                "2026-03-28T01:30:00Z  Sat 2026-03-28 02:30:00 +01:00",
                "2026-03-29T01:00:00Z  Sun 2026-03-29 03:00:00 +02:00  \
                 <- 2026-03-29T01:00:00Z, the clocks go forward: moved",
                "2026-03-30T00:30:00Z  Mon 2026-03-30 02:30:00 +02:00",
            ]
        );
    }

    #[test]
    fn an_overlap_is_marked_at_the_fire_next_to_it_although_that_may_be_before() {
        let fires = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        let lines = shown(&fires, ("2026-10-25T01:00:00Z", Kind::Overlap), None);
        assert_eq!(lines[1], "2026-10-25T00:30:00Z  <- 2026-10-25T01:00:00Z, the clocks go back: moved");
        assert_eq!([lines[0].as_str(), lines[2].as_str()], ["2026-10-24T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn fires_within_a_second_stay_in_their_columns() {
        let fires = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.250Z"];
        let lines = shown(&fires, ("2026-03-29T01:00:00Z", Kind::Gap), Some(Tz::UTC));
        assert_eq!(lines[0], "2026-01-01T00:00:00Z      Thu 2026-01-01 00:00:00 +00:00");
        assert!(lines[1].starts_with("2026-01-01T00:00:00.250Z  Thu 2026-01-01 00:00:00.250 +00:00  <- "), "{lines:?}");
    }
}
