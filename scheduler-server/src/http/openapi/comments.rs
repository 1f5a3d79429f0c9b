//! The comments of the protos, for readers of JSON.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DescriptorPool, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor,
};

pub(super) struct Comments {
    /// By file, and path in it.
    texts: BTreeMap<(String, Vec<i32>), String>,
}

impl Comments {
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        let fields = pool.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>());
        let names: BTreeMap<String, String> =
            fields.map(|field| (field.name().to_owned(), field.json_name().to_owned())).collect();
        let mut texts = BTreeMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            for location in info.into_iter().flat_map(|info| &info.location) {
                if let Some(text) = &location.leading_comments {
                    let key = (file.name().to_owned(), location.path.clone());
                    texts.insert(key, in_json(text, &names));
                }
            }
        }
        Comments { texts }
    }

    pub(super) fn of_service(&self, service: &ServiceDescriptor) -> &str {
        self.at(&service.parent_file(), service.path())
    }

    pub(super) fn of_method(&self, method: &MethodDescriptor) -> &str {
        self.at(&method.parent_service().parent_file(), method.path())
    }

    pub(super) fn of_message(&self, message: &MessageDescriptor) -> &str {
        self.at(&message.parent_file(), message.path())
    }

    pub(super) fn of_field(&self, field: &FieldDescriptor) -> &str {
        self.at(&field.parent_message().parent_file(), field.path())
    }

    pub(super) fn of_enum(&self, values: &EnumDescriptor) -> &str {
        self.at(&values.parent_file(), values.path())
    }

    pub(super) fn of_value(&self, value: &EnumValueDescriptor) -> &str {
        self.at(&value.parent_enum().parent_file(), value.path())
    }

    fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        let key = (file.name().to_owned(), path.to_vec());
        self.texts.get(&key).map(String::as_str).unwrap_or_default()
    }
}

/// The values that have a meaning for clients: the first one says that there is no value, mostly.
pub(super) fn values(comments: &Comments, values: &EnumDescriptor) -> Vec<EnumValueDescriptor> {
    let says_nothing = |value: &EnumValueDescriptor| {
        let comment = comments.of_value(value);
        value.number() == 0 && (comment.starts_with("Never") || comment.starts_with("The default"))
    };
    let numbers: BTreeSet<i32> = values.values().filter(|value| !says_nothing(value)).map(|v| v.number()).collect();
    values.values().filter(|value| numbers.contains(&value.number())).collect()
}

/// The first sentence.
pub(super) fn summary(text: &str) -> &str {
    text.split_inclusive(". ").next().unwrap_or(text).trim_end().trim_end_matches('.')
}

/// One line, with fields named as in JSON.
fn in_json(text: &str, names: &BTreeMap<String, String>) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let spelled = line.split('`').enumerate().map(|(index, part)| match names.get(part) {
        Some(name) if index % 2 == 1 => name.clone(),
        _ => part.to_owned(),
    });
    spelled.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::super::super::rest::routes::pool;
    use super::*;

    #[test]
    fn a_comment_is_one_line_with_the_names_of_json() {
        let names = [("max_instances".to_owned(), "maxInstances".to_owned())].into();
        let text = " What a fire does when `max_instances` runs\n are active, `agent_ttl` or\n max_instances.\n";
        let expected = "What a fire does when `maxInstances` runs are active, `agent_ttl` or max_instances.";
        assert_eq!(in_json(text, &names), expected);
    }

    #[test]
    fn a_summary_is_a_sentence_without_its_stop() {
        assert_eq!(summary("Answers one run. With its attempts, e.g. two."), "Answers one run");
        assert_eq!(summary("REST 1.0 is this."), "REST 1.0 is this");
        assert_eq!(summary(""), "");
    }

    #[test]
    fn values_that_mean_no_value_are_left_out_and_others_are_not() {
        let comments = Comments::of(pool());
        let first = |name: &str| {
            let found = pool().get_enum_by_name(&format!("punctual.v1.{name}")).unwrap();
            values(&comments, &found)[0].name().to_owned()
        };
        assert_eq!(first("Job.State"), "ACTIVE");
        assert_eq!(first("Job.OverlapPolicy"), "SKIP");
        assert_eq!(first("Run.Reason"), "REASON_UNSPECIFIED");
    }
}
