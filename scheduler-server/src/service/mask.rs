//! Update masks: which fields of a job or a calendar an update changes.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, SerializeOptions, Value,
};
use prost_types::FieldMask;
use punctual_proto::v1;
use scheduler_core::Violations;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET)
        .expect("because the descriptor set is built with the code")
});

/// What can be updated field by field.
pub(super) trait Resource: Message + Default + Clone {
    const MESSAGE: &'static str;
    /// Which one is meant, in which state, and what only the server says: no changes.
    const NO_CHANGES: &'static [&'static str];

    /// What a replacement of everything makes of `stored`.
    fn replaced(stored: &Self, given: &Self) -> Self;
}

impl Resource for v1::Job {
    const MESSAGE: &'static str = "punctual.v1.Job";
    const NO_CHANGES: &'static [&'static str] = &[
        "namespace",
        "job_id",
        "etag",
        "uid",
        "state",
        "pause",
        "next_fire_time",
        "schedule_text",
        "last_run",
        "revision",
        "create_time",
        "update_time",
        "delete_time",
        "expire_time",
    ];

    /// An absent `enabled` stays as it is.
    fn replaced(stored: &Self, given: &Self) -> Self {
        Self { enabled: given.enabled.or(stored.enabled), ..given.clone() }
    }
}

impl Resource for v1::Calendar {
    const MESSAGE: &'static str = "punctual.v1.Calendar";
    const NO_CHANGES: &'static [&'static str] = &["namespace", "calendar_id", "etag", "create_time", "update_time"];

    fn replaced(_: &Self, given: &Self) -> Self {
        given.clone()
    }
}

fn descriptor<R: Resource>() -> MessageDescriptor {
    POOL.get_message_by_name(R::MESSAGE).expect("because the package has the message")
}

#[derive(Debug)]
pub(super) enum Mask {
    /// All of the definition.
    Whole,
    Fields(Vec<Path>),
}

/// A way to a field, or to one entry of a map.
#[derive(Debug)]
pub(super) struct Path {
    fields: Vec<FieldDescriptor>,
    key: Option<String>,
}

impl Mask {
    /// Without a mask, the fields that are set.
    pub(super) fn read<R: Resource>(mask: Option<&FieldMask>, given: &R, violations: &mut Violations) -> Self {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
            let mut paths = Vec::new();
            set_fields(&dynamic(given), &[], &mut paths);
            paths.retain(Path::is_change::<R>);
            return Self::Fields(paths);
        };
        if mask.paths.iter().any(|path| path == "*") {
            if mask.paths.len() > 1 {
                violations.add("update_mask", "`*` stands alone");
            }
            return Self::Whole;
        }
        let mut paths = Vec::new();
        for path in &mask.paths {
            match Path::resolve(descriptor::<R>(), path) {
                Some(path) if path.is_change::<R>() => paths.push(path),
                Some(_) => {}
                None => violations.add("update_mask", format!("{path:?} is no field of a {}", R::MESSAGE)),
            }
        }
        Self::Fields(paths)
    }

    /// `stored` with what the mask names taken from `given`.
    pub(super) fn apply<R: Resource>(&self, stored: &R, given: &R) -> R {
        match self {
            Self::Whole => R::replaced(stored, given),
            Self::Fields(paths) => {
                let (mut merged, given) = (dynamic(stored), dynamic(given));
                for path in paths {
                    path.copy(&given, &mut merged);
                }
                merged.transcode_to().expect("because it is its own message, changed field by field")
            }
        }
    }
}

impl Path {
    fn resolve(mut message: MessageDescriptor, text: &str) -> Option<Self> {
        let mut fields = Vec::new();
        let mut rest = text;
        loop {
            let (name, inner) = rest.split_once('.').map_or((rest, None), |(name, inner)| (name, Some(inner)));
            let field = message.get_field_by_name(name)?;
            fields.push(field.clone());
            match inner {
                None => return Some(Self { fields, key: None }),
                Some("") if field.is_map() => return None,
                Some(key) if field.is_map() => return Some(Self { fields, key: Some(key.to_owned()) }),
                Some(inner) => {
                    message = parts(&field)?;
                    rest = inner;
                }
            }
        }
    }

    fn is_change<R: Resource>(&self) -> bool {
        !self.fields.first().is_some_and(|field| R::NO_CHANGES.contains(&field.name()))
    }

    fn copy(&self, from: &DynamicMessage, to: &mut DynamicMessage) {
        let Some((leaf, above)) = self.fields.split_last() else { return };
        let mut source = Some(from.clone());
        let mut target = to;
        for field in above {
            source = source
                .filter(|source| source.has_field(field))
                .and_then(|source| source.get_field(field).as_message().cloned());
            target = target.get_field_mut(field).as_message_mut().expect("because only messages have fields");
        }
        let value = source.filter(|source| source.has_field(leaf)).map(|source| source.get_field(leaf).into_owned());
        match (&self.key, value) {
            (None, Some(value)) => target.set_field(leaf, value),
            (None, None) => target.clear_field(leaf),
            (Some(key), value) => {
                let key = MapKey::String(key.clone());
                let entry = value.as_ref().and_then(Value::as_map).and_then(|map| map.get(&key)).cloned();
                let map = target.get_field_mut(leaf).as_map_mut().expect("because only maps have keys");
                match entry {
                    Some(entry) => map.insert(key, entry),
                    None => map.remove(&key),
                };
            }
        }
    }
}

/// The paths of the fields that are set, down to what is replaced as a whole.
fn set_fields(message: &DynamicMessage, above: &[FieldDescriptor], paths: &mut Vec<Path>) {
    for (field, value) in message.fields() {
        let fields: Vec<FieldDescriptor> = above.iter().cloned().chain([field.clone()]).collect();
        match (parts(&field), value.as_message()) {
            (Some(_), Some(inner)) if inner.fields().next().is_some() => set_fields(inner, &fields, paths),
            _ => paths.push(Path { fields, key: None }),
        }
    }
}

/// The message of a field that is changed part by part: not a list, a map, a payload or a time.
fn parts(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = field.kind();
    let message = kind.as_message().filter(|message| message.package_name() != "google.protobuf")?;
    (!field.is_list() && !field.is_map()).then(|| message.clone())
}

/// A message of that name, as JSON has it; zeros and empty lists too.
pub(super) fn json(name: &str, message: &impl Message) -> serde_json::Map<String, serde_json::Value> {
    let descriptor = POOL.get_message_by_name(name).expect("because the package has the message");
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).expect("because it is its own message");
    let options = SerializeOptions::new().skip_default_fields(false);
    match dynamic.serialize_with_options(serde_json::value::Serializer, &options) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

pub(super) fn dynamic<R: Resource>(resource: &R) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor::<R>());
    message.transcode_from(resource).expect("because it is its own message");
    message
}

#[cfg(test)]
mod tests {
    use prost_types::Duration;

    use super::*;

    fn stored() -> v1::Job {
        v1::Job {
            job_id: "a".to_owned(),
            description: "old".to_owned(),
            labels: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into(),
            schedule: Some(v1::Schedule { every: vec![Duration { seconds: 5, nanos: 0 }], ..Default::default() }),
            retry: Some(v1::RetryPolicy { max_attempts: Some(3), backoff_multiplier: Some(4.0), ..Default::default() }),
            priority: 7,
            enabled: Some(false),
            revision: 4,
            ..Default::default()
        }
    }

    fn apply(paths: &[&str], given: &v1::Job) -> v1::Job {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let mut violations = Violations::default();
        let mask = Mask::read(Some(&mask), given, &mut violations);
        assert_eq!(violations, Violations::default());
        mask.apply(&stored(), given)
    }

    #[test]
    fn without_a_mask_the_fields_that_are_set_change_and_no_others() {
        let given = v1::Job {
            job_id: "a".to_owned(),
            description: "new".to_owned(),
            retry: Some(v1::RetryPolicy { max_attempts: Some(9), ..Default::default() }),
            revision: 99,
            ..Default::default()
        };
        let merged = apply(&[], &given);
        let mut expected = stored();
        expected.description = "new".to_owned();
        expected.retry = Some(v1::RetryPolicy { max_attempts: Some(9), ..stored().retry.unwrap() });
        assert_eq!(merged, expected);
    }

    #[test]
    fn a_named_field_that_is_absent_returns_to_its_default() {
        let merged = apply(&["priority", "retry.backoff_multiplier", "schedule", "enabled"], &v1::Job::default());
        assert_eq!((merged.priority, merged.schedule, merged.enabled), (0, None, None));
        assert_eq!(merged.retry, Some(v1::RetryPolicy { max_attempts: Some(3), ..Default::default() }));
    }

    #[test]
    fn one_entry_of_a_map_can_be_set_or_removed() {
        let given = v1::Job { labels: [("a".to_owned(), "9".to_owned())].into(), ..Default::default() };
        let merged = apply(&["labels.a", "labels.b"], &given);
        assert_eq!(merged.labels, given.labels);
    }

    #[test]
    fn a_star_replaces_everything_but_an_absent_enabled() {
        let given = v1::Job { job_id: "a".to_owned(), ..Default::default() };
        assert_eq!(apply(&["*"], &given), v1::Job { enabled: Some(false), ..given.clone() });
        let enabling = v1::Job { enabled: Some(true), ..given };
        assert_eq!(apply(&["*"], &enabling).enabled, Some(true));
    }

    #[test]
    fn output_only_fields_in_a_mask_change_nothing() {
        let given = v1::Job { revision: 99, uid: "u".to_owned(), ..Default::default() };
        assert_eq!(apply(&["revision", "uid", "pause.note", "job_id", "etag"], &given), stored());
    }

    #[test]
    fn a_path_that_is_no_field_is_refused() {
        for path in ["nothing", "schedule.nothing", "priority.x", "schedule.every.seconds", "", "labels."] {
            let mut violations = Violations::default();
            let mask = FieldMask { paths: vec![path.to_owned()] };
            Mask::read(Some(&mask), &v1::Job::default(), &mut violations);
            assert_eq!(violations.0.len(), 1, "{path}");
        }
        let mut violations = Violations::default();
        let mask = FieldMask { paths: vec!["*".to_owned(), "priority".to_owned()] };
        Mask::read(Some(&mask), &v1::Job::default(), &mut violations);
        assert_eq!(violations.0[0].field, "update_mask");
    }

    #[test]
    fn a_list_of_a_calendar_is_replaced_as_a_whole() {
        let dates = |dates: [&str; 2]| dates.map(str::to_owned).to_vec();
        let stored = v1::Calendar {
            calendar_id: "a".to_owned(),
            description: "old".to_owned(),
            dates: dates(["2026-12-24", "2026-12-25"]),
            ..Default::default()
        };
        let given =
            v1::Calendar { dates: dates(["2027-12-24", "2027-12-25"]), etag: "e".to_owned(), ..Default::default() };
        let merged = Mask::read(None, &given, &mut Violations::default()).apply(&stored, &given);
        assert_eq!(merged, v1::Calendar { dates: given.dates, ..stored });
    }
}
