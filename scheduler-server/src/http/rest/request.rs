//! Puts a gRPC request together from the parts of a REST request: body, path, URL parameters, headers.

use axum::http::HeaderMap;
use prost_reflect::DynamicMessage;
use tonic::Status;

use super::errors;
use super::json::Json;
use super::json_in::Reader;
use super::patch;
use super::query;
use super::routes::{Body, Route};

/// What the caller sent, taken apart.
pub(super) struct Parts<'r> {
    pub(super) route: &'r Route,
    /// The values of the path's variables.
    pub(super) values: Vec<String>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: Option<Json>,
}

impl Parts<'_> {
    /// The request, or all that is wrong with its fields.
    pub(super) fn message(&self) -> Result<DynamicMessage, Status> {
        let mut reader = Reader::default();
        let mut message = self.body(&mut reader)?;
        self.path(&mut reader, &mut message);
        query::read(&mut reader, self.route, &self.parameters, &mut message);
        patch::complete_mask(&mut reader, self.route, self.body.as_ref(), &mut message);
        patch::read_if_match(&mut reader, self.route, self.headers, &mut message);
        match reader.violations() {
            violations if violations.is_empty() => Ok(message),
            violations => Err(errors::invalid_fields(violations)),
        }
    }

    fn body(&self, reader: &mut Reader) -> Result<DynamicMessage, Status> {
        let input = self.route.method.input();
        let nothing = Json::Object(Vec::new());
        let json = self.body.as_ref().unwrap_or(&nothing);
        match &self.route.body {
            Body::Empty if self.body.is_some() => Err(errors::malformed("this method takes no body")),
            Body::Empty => Ok(DynamicMessage::new(input)),
            Body::Whole => Ok(reader.message(&input, json)),
            Body::Field(field) => {
                let kind = field.kind();
                let resource = reader.message(kind.as_message().expect("because bodies are messages"), json);
                let mut message = DynamicMessage::new(input);
                message.set_field(field, prost_reflect::Value::Message(resource));
                Ok(message)
            }
        }
    }

    fn path(&self, reader: &mut Reader, message: &mut DynamicMessage) {
        for (path, text) in self.route.template.variables().zip(&self.values) {
            let kind = path.leaf().kind();
            reader.at(&path.in_body(self.route.body_field()), |reader| {
                if let Some(value) = reader.single(&kind, &query::json(&kind, text)) {
                    query::assign(reader, path, value, message, "the path");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
