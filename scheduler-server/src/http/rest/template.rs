//! Paths of bindings, such as `/api/v1/scheduler/jobs/{job_id}`: literal segments and whole-segment variables.

use prost_reflect::MessageDescriptor;

use super::field::FieldPath;

#[derive(Debug)]
pub(in crate::http) struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Variable(FieldPath),
}

/// The segments of a request's path, decoded; none if it cannot be.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    path.split('/').map(percent_decoded).collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl Template {
    /// Reads a template whose variables are fields of the message. Panics on one that the transcoder cannot serve:
    /// all templates are built in, and a test reads them.
    pub(super) fn parse(text: &str, message: &MessageDescriptor) -> Self {
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            None => Segment::Literal(segment.to_owned()),
            Some(name) => match FieldPath::resolve(message, name) {
                Some((path, None)) => Segment::Variable(path),
                _ => panic!("{text} binds {name}, which {} does not have", message.full_name()),
            },
        };
        Template { segments: text.trim_start_matches('/').split('/').map(segment).collect() }
    }

    /// The values of the variables, if the path is one of this template's.
    pub(super) fn matches(&self, path: &[String]) -> Option<Vec<String>> {
        if path.len() != self.segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (segment, given) in self.segments.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == given => {}
                Segment::Literal(_) => return None,
                Segment::Variable(_) if given.is_empty() => return None,
                Segment::Variable(_) => values.push(given.clone()),
            }
        }
        Some(values)
    }

    /// The fields that the path gives, in its order.
    pub(in crate::http) fn variables(&self) -> impl Iterator<Item = &FieldPath> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Variable(path) => Some(path),
        })
    }

    /// The template as OpenAPI has it, its variables named as in the body.
    pub(in crate::http) fn in_json(&self) -> String {
        let shown = self.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::Variable(path) => format!("/{{{}}}", path.leaf().json_name()),
        });
        shown.collect()
    }

    /// Where the variables stand: of two templates that match, the one that is smaller by this is meant.
    pub(super) fn looseness(&self) -> Vec<bool> {
        self.segments.iter().map(|segment| matches!(segment, Segment::Variable(_))).collect()
    }

    /// The template with the names of its variables left out, by which two templates are the same.
    #[cfg(test)]
    pub(super) fn shape(&self) -> String {
        let shown = self.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::Variable(_) => "/{}".to_owned(),
        });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::pool;
    use super::*;

    #[test]
    fn paths_match_segment_by_segment() {
        let message = pool().get_message_by_name("punctual.v1.RestoreJobRevisionRequest").unwrap();
        let template = Template::parse("/jobs/{job_id}/revisions/{revision}/restore", &message);
        let cases: [(&str, Option<&[&str]>); 9] = [
            ("/jobs/a/revisions/3/restore", Some(&["a", "3"])),
            ("/jobs/a%2Fb/revisions/3/restore", Some(&["a/b", "3"])),
            ("/jobs/%C3%A9/revisions/x/restore", Some(&["é", "x"])),
            ("/jobs//revisions/3/restore", None),
            ("/jobs/a/revisions/3/restore/", None),
            ("/jobs/a/revisions/3", None),
            ("/jobs/a/revisions/3/undo", None),
            ("/jobs/%FF/revisions/3/restore", None),
            ("/jobs/%4/revisions/3/restore", None),
        ];
        for (path, expected) in cases {
            let values = segments(path).and_then(|path| template.matches(&path));
            let expected = expected.map(|values| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
            assert_eq!(values, expected, "{path}");
        }
        let names: Vec<_> = template.variables().map(|path| path.leaf().name().to_owned()).collect();
        assert_eq!(names, ["job_id", "revision"]);
    }
}
