//! A way through a message to one of its fields, such as `job.job_id`.

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

use super::json_in;

#[derive(Clone, Debug)]
pub(in crate::http) struct FieldPath {
    above: Vec<FieldDescriptor>,
    leaf: FieldDescriptor,
}

impl FieldPath {
    pub(super) fn of(leaf: FieldDescriptor) -> Self {
        FieldPath { above: Vec::new(), leaf }
    }

    /// Follows names in either spelling, up to the end or to a map, whose key is what is left of the text.
    pub(super) fn resolve<'t>(message: &MessageDescriptor, text: &'t str) -> Option<(Self, Option<&'t str>)> {
        let (name, rest) = text.split_once('.').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let field = json_in::field(message, name)?;
        let Some(rest) = rest else { return Some((Self::of(field), None)) };
        if field.is_map() {
            return Some((Self::of(field), Some(rest)));
        }
        let inner = field.kind().as_message().filter(|_| !field.is_list())?.clone();
        let (path, key) = Self::resolve(&inner, rest)?;
        Some((path.below(field), key))
    }

    /// The same path from a message that has this one's root as its field.
    pub(super) fn below(mut self, field: FieldDescriptor) -> Self {
        self.above.insert(0, field);
        self
    }

    pub(in crate::http) fn leaf(&self) -> &FieldDescriptor {
        &self.leaf
    }

    pub(in crate::http) fn root(&self) -> &FieldDescriptor {
        self.above.first().unwrap_or(&self.leaf)
    }

    /// The path in JSON, without the first field where that is the body.
    pub(super) fn in_body(&self, body: Option<&FieldDescriptor>) -> String {
        let skipped = usize::from(!self.above.is_empty() && body == Some(self.root()));
        let names = self.above.iter().skip(skipped).chain([&self.leaf]).map(FieldDescriptor::json_name);
        names.collect::<Vec<_>>().join(".")
    }

    /// The path as field masks name it.
    pub(super) fn in_mask(&self) -> String {
        self.above.iter().chain([&self.leaf]).map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
    }

    /// The field's value, if it is set to something.
    pub(super) fn get(&self, message: &DynamicMessage) -> Option<Value> {
        let Some((first, rest)) = self.above.split_first() else {
            return message.has_field(&self.leaf).then(|| message.get_field(&self.leaf).into_owned());
        };
        let inner = message.has_field(first).then(|| message.get_field(first))?;
        FieldPath { above: rest.to_vec(), leaf: self.leaf.clone() }.get(inner.as_message()?)
    }

    /// The field's place, with every message above it made.
    pub(super) fn get_mut<'m>(&self, mut message: &'m mut DynamicMessage) -> &'m mut Value {
        for field in &self.above {
            let value = message.get_field_mut(field);
            message = value.as_message_mut().expect("because only messages stand above a field");
        }
        message.get_field_mut(&self.leaf)
    }
}
