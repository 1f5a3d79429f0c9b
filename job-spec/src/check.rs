//! Reads single fields: the value, or a violation and something to go on with, so that one answer names
//! everything that is wrong.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use prost_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};
use scheduler_core::Violations;
use scheduler_core::time::Timestamp;

use crate::text::clean;
use crate::time;

/// A duration above this is a slip of the unit.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
pub(crate) const LONGEST_DISPLAY_NAME: usize = 256;
pub(crate) const LONGEST_DESCRIPTION: usize = 8_192;
const MOST_LABELS: usize = 64;
const LONGEST_LABEL_KEY: usize = 128;
const LONGEST_LABEL_VALUE: usize = 256;

#[derive(Default)]
pub(crate) struct Check {
    pub(crate) violations: Violations,
}

impl Check {
    pub(crate) fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.add(field, description);
    }

    pub(crate) fn duration(
        &mut self,
        field: &str,
        value: Option<ProtoDuration>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(value) = value else { return default };
        match time::duration(&value) {
            Err(description) => self.refuse(field, description),
            Ok(value) if range.contains(&value) => return value,
            Ok(value) => {
                let (least, most) = (time::in_words(*range.start()), time::in_words(*range.end()));
                self.refuse(field, format!("{} is not between {least} and {most}", time::in_words(value)));
            }
        }
        default
    }

    pub(crate) fn instant(&mut self, field: &str, value: Option<ProtoTimestamp>) -> Option<Timestamp> {
        match time::instant(&value?) {
            Ok(value) => Some(value),
            Err(description) => {
                self.refuse(field, description);
                None
            }
        }
    }

    pub(crate) fn count(&mut self, field: &str, value: Option<i32>, default: u32, range: RangeInclusive<u32>) -> u32 {
        let Some(value) = value else { return default };
        match u32::try_from(value) {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.refuse(field, format!("{value} is not between {} and {}", range.start(), range.end()));
                default
            }
        }
    }

    /// `P` is the proto's enum; its unspecified value means the default.
    pub(crate) fn choice<P, T>(&mut self, field: &str, value: i32, to_core: fn(P) -> Option<T>, default: T) -> T
    where
        P: TryFrom<i32>,
    {
        match P::try_from(value) {
            Ok(value) => to_core(value).unwrap_or(default),
            Err(_) => {
                self.refuse(field, format!("{value} is none of its values"));
                default
            }
        }
    }

    pub(crate) fn text(&mut self, field: impl Into<String>, value: &str, longest: usize) -> String {
        let length = value.chars().count();
        if length > longest {
            self.refuse(field, format!("{length} characters are above {longest}, the most"));
        }
        clean(value).into_owned()
    }

    /// A label's key can be written as `key=value` in a URL.
    pub(crate) fn labels(&mut self, field: &str, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        if labels.len() > MOST_LABELS {
            self.refuse(field, format!("{} labels are above {MOST_LABELS}, the most", labels.len()));
        }
        let mut checked = BTreeMap::new();
        for (key, value) in labels {
            let path = format!("{field}.{}", clean(key));
            if key.is_empty() || key.contains('=') || key.chars().any(char::is_control) {
                self.refuse(&path, "a label's key is not empty and has no `=` and no control characters");
            }
            let key = self.text(&path, key, LONGEST_LABEL_KEY);
            let value = self.text(&path, value, LONGEST_LABEL_VALUE);
            checked.insert(key, value);
        }
        checked
    }
}

/// Labels of a request, outside a job's definition.
pub fn labels(field: &str, labels: &BTreeMap<String, String>, violations: &mut Violations) -> BTreeMap<String, String> {
    let mut check = Check::default();
    let labels = check.labels(field, labels);
    violations.0.append(&mut check.violations.0);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_absent_value_is_the_default_and_a_zero_is_a_value() {
        let mut check = Check::default();
        assert_eq!(check.count("n", None, 7, 1..=9), 7);
        assert_eq!(check.count("n", Some(9), 7, 1..=9), 9);
        assert_eq!(check.duration("d", None, HOUR, Duration::ZERO..=HOUR), HOUR);
        assert_eq!(check.duration("d", Some(ProtoDuration::default()), HOUR, Duration::ZERO..=HOUR), Duration::ZERO);
        assert_eq!(check.violations, Violations::default());

        check.count("n", Some(0), 7, 1..=9);
        check.count("n", Some(-1), 7, 0..=9);
        check.duration("d", Some(ProtoDuration::default()), HOUR, HOUR..=LONGEST);
        assert_eq!(check.violations.0.len(), 3);
    }

    #[test]
    fn a_label_that_a_url_cannot_name_is_refused() {
        let mut check = Check::default();
        for key in ["", "a=b", "a\nb", &"k".repeat(129)] {
            check.labels("labels", &BTreeMap::from([(key.to_owned(), String::new())]));
        }
        check.labels("labels", &BTreeMap::from([("team".to_owned(), "v".repeat(257))]));
        assert_eq!(check.violations.0.len(), 5);
        assert_eq!(check.violations.0[4].field, "labels.team");
    }
}
