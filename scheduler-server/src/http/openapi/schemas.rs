//! The schemas of messages and enums: those that requests bring and answers have, by the name in the package.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use super::super::rest::routes::{Body, Route, Table};
use super::comments::{self, Comments};
use super::facts;

/// What durations look like: a `google.protobuf.Duration` has up to 315,576,000,000 seconds.
const DURATION: &str = r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$";

pub(super) struct Schemas<'c> {
    comments: &'c Comments,
    /// What requests bring: nothing else may stand in it, and its comments say what may.
    taken: BTreeSet<String>,
    components: BTreeMap<String, Json>,
}

impl<'c> Schemas<'c> {
    pub(super) fn of(table: &Table, comments: &'c Comments) -> Self {
        let mut schemas = Schemas { comments, taken: BTreeSet::new(), components: BTreeMap::new() };
        let mut taken = BTreeMap::new();
        let mut given = BTreeMap::new();
        for route in table.routes() {
            match &route.body {
                Body::Empty => {}
                Body::Whole => collect(&route.method.input(), &mut taken),
                Body::Field(field) => field.kind().as_message().into_iter().for_each(|m| collect(m, &mut taken)),
            }
            collect(&route.method.output(), &mut given);
        }
        schemas.taken = taken.keys().cloned().collect();
        taken.append(&mut given);
        for (name, message) in &taken {
            let route = table.routes().find(|route| route.body == Body::Whole && route.method.input() == *message);
            let schema = schemas.message(message, route);
            schemas.components.insert(name.clone(), schema);
        }
        schemas
    }

    pub(super) fn into_components(self) -> Map<String, Json> {
        self.components.into_iter().collect()
    }

    pub(super) fn add(&mut self, name: &str, schema: Json) {
        self.components.insert(name.to_owned(), schema);
    }

    /// The fields of a resource that must be there when it is written as a whole by this route.
    pub(super) fn required(&self, resource: &MessageDescriptor, route: &Route) -> Vec<String> {
        let named = |field: &FieldDescriptor| route.template.variables().any(|path| path.leaf() == field);
        let required = |field: &FieldDescriptor| facts::is_required(self.comments.of_field(field)) && !named(field);
        resource.fields().filter(required).map(|field| field.json_name().to_owned()).collect()
    }

    /// A field, or a parameter of a URL.
    pub(super) fn field(&mut self, field: &FieldDescriptor, is_taken: bool) -> Json {
        let comment = self.comments.of_field(field);
        let mut schema = self.value(field);
        let entries = schema.as_object_mut().expect("because schemas are objects");
        entries.insert("description".to_owned(), comment.into());
        if facts::is_output_only(comment) {
            entries.insert("readOnly".to_owned(), true.into());
        } else if is_taken {
            entries.extend(facts::keywords(field, comment));
        }
        schema
    }

    fn message(&mut self, message: &MessageDescriptor, route: Option<&std::sync::Arc<Route>>) -> Json {
        let is_taken = self.taken.contains(&name(message.full_name()));
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            // What the path and the URL's `namespace` say need not be said again.
            let elsewhere = |route: &std::sync::Arc<Route>| {
                field.name() == "namespace" || route.template.variables().any(|path| *path.leaf() == field)
            };
            if route.is_some_and(elsewhere) {
                continue;
            }
            let is_required = match (is_taken, route) {
                // Answers print zeros and empty lists, too.
                (false, _) => !field.supports_presence(),
                (true, Some(_)) => facts::is_required(self.comments.of_field(&field)),
                // An update of a resource may have any part of it. What stands in lists is always whole.
                (true, None) => {
                    facts::is_required(self.comments.of_field(&field)) && message.full_name().ends_with("DateRange")
                }
            };
            if is_required {
                required.push(field.json_name().to_owned());
            }
            properties.insert(field.json_name().to_owned(), self.field(&field, is_taken));
        }
        let mut schema = super::object([
            ("type", Some("object".into())),
            ("description", Some(self.comments.of_message(message).into())),
            ("properties", Some(Json::Object(properties))),
            ("required", (!required.is_empty()).then(|| required.into())),
        ]);
        if is_taken {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
        Json::Object(schema)
    }

    fn value(&mut self, field: &FieldDescriptor) -> Json {
        let kind = field.kind();
        if field.is_map() {
            let values = kind.as_message().expect("because a map's kind is its entry").map_entry_value_field().kind();
            json!({"type": "object", "additionalProperties": self.single(&values)})
        } else if field.is_list() {
            json!({"type": "array", "items": self.single(&kind)})
        } else {
            self.single(&kind)
        }
    }

    fn single(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "format": "uint32", "minimum": 0}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}),
            Kind::Double | Kind::Float => json!({"type": "number", "format": "double"}),
            Kind::Enum(values) => self.enumeration(values),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
                "google.protobuf.Duration" => json!({"type": "string", "pattern": DURATION}),
                "google.protobuf.Struct" => json!({"type": "object", "additionalProperties": true}),
                "google.protobuf.Value" => json!({}),
                "google.protobuf.FieldMask" => json!({"type": "string"}),
                full_name => reference(&name(full_name)),
            },
        }
    }

    fn enumeration(&mut self, values: &EnumDescriptor) -> Json {
        let name = name(values.full_name());
        if !self.components.contains_key(&name) {
            let known = comments::values(self.comments, values);
            let names: Vec<&str> = known.iter().map(|value| value.name()).collect();
            let lines = known.iter().map(|value| format!("\n- `{}`: {}", value.name(), self.comments.of_value(value)));
            let description = format!("{}\n{}", self.comments.of_enum(values), lines.collect::<String>());
            let schema = json!({"type": "string", "description": description, "enum": names});
            self.components.insert(name.clone(), schema);
        }
        reference(&name)
    }
}

/// All messages that are part of this one, by name; those of other packages are written out where they stand.
fn collect(message: &MessageDescriptor, found: &mut BTreeMap<String, MessageDescriptor>) {
    let is_ours = message.package_name() == "punctual.v1" && !message.is_map_entry();
    if is_ours && found.insert(name(message.full_name()), message.clone()).is_none() {
        for field in message.fields() {
            field.kind().as_message().into_iter().for_each(|inner| collect(inner, found));
        }
    }
}

pub(super) fn name(full_name: &str) -> String {
    full_name.trim_start_matches("punctual.v1.").to_owned()
}

pub(super) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}
