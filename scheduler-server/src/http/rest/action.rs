//! `POST …/jobs/{job_id}/action`: five verbs under one path, as the stacks that Punctual replaces have it.
//!
//! It is the route of that verb (`…/jobs/{job_id}/pause`) with the verb in the body.

use tonic::Status;

use super::errors;
use super::json::Json;
use super::json_in::Reader;

/// The path, as OpenAPI has it.
pub(in crate::http) const PATH: &str = "/api/v1/scheduler/jobs/{jobId}/action";

/// The verbs, the requests they make and the keys that each has a use for.
pub(in crate::http) const ACTIONS: [(&str, &[&str]); 5] = [
    ("trigger", &["requestId", "payload"]),
    ("pause", &["note"]),
    ("resume", &["note", "catchUp"]),
    ("enable", &["note"]),
    ("disable", &["note"]),
];

const KEYS: [&str; 4] = ["requestId", "payload", "note", "catchUp"];

/// Whether the path is that of an action.
pub(super) fn is_action(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path[..], ["api", "v1", "scheduler", "jobs", job_id, "action"] if !job_id.is_empty())
}

/// Takes the verb out of the body; what is left is the body of that verb's own route.
pub(super) fn split(body: Option<Json>) -> Result<(&'static str, Json), Status> {
    let mut reader = Reader::default();
    let entries = match body {
        Some(Json::Object(entries)) => entries,
        None => Vec::new(),
        Some(other) => {
            reader.wrong(format!("must be an object, not {}", other.kind()));
            return Err(errors::invalid_fields(reader.violations()));
        }
    };
    let action = action(&mut reader, &entries);
    let rest: Vec<(String, Json)> = entries.into_iter().filter(|(key, _)| key != "action").collect();
    for (key, _) in &rest {
        reader.at(key, |reader| match action {
            _ if !KEYS.contains(&key.as_str()) => reader.wrong("there is no such field"),
            Some((verb, keys)) if !keys.contains(&key.as_str()) => reader.wrong(format!("{verb} has no use for it")),
            _ => {}
        });
    }
    match (action, reader.violations()) {
        (Some((verb, _)), violations) if violations.is_empty() => Ok((verb, Json::Object(rest))),
        (_, violations) => Err(errors::invalid_fields(violations)),
    }
}

type Action = (&'static str, &'static [&'static str]);

fn action(reader: &mut Reader, entries: &[(String, Json)]) -> Option<Action> {
    let mut given = entries.iter().filter(|(key, _)| key == "action").map(|(_, json)| json);
    let (first, second) = (given.next(), given.next());
    reader.at("action", |reader| {
        if second.is_some() {
            reader.wrong("is given twice");
            return None;
        }
        let named = |json: &Json| ACTIONS.into_iter().find(|(verb, _)| *json == Json::String((*verb).to_owned()));
        let action = first.and_then(named);
        if action.is_none() {
            let verbs: Vec<&str> = ACTIONS.iter().map(|(verb, _)| *verb).collect();
            reader.wrong(format!("must be one of {}", verbs.join(", ")));
        }
        action
    })
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    fn refused(body: &str) -> Vec<String> {
        let status = split(Some(parse(body.as_bytes()).unwrap())).unwrap_err();
        let violations = errors::json(&status)["error"]["details"][1]["fieldViolations"].clone();
        let text = |violation: &serde_json::Value| {
            format!("{}: {}", violation["field"].as_str().unwrap_or(""), violation["description"].as_str().unwrap())
        };
        violations.as_array().unwrap().iter().map(text).collect()
    }

    #[test]
    fn the_verb_is_taken_out_of_the_body() {
        let body = parse(br#"{"note": "why", "action": "pause"}"#).unwrap();
        let rest = Json::Object(vec![("note".to_owned(), Json::String("why".to_owned()))]);
        assert_eq!(split(Some(body)).unwrap(), ("pause", rest));
    }

    #[test]
    fn unknown_verbs_and_useless_keys_are_refused() {
        let verbs = "action: must be one of trigger, pause, resume, enable, disable";
        let cases: [(&str, &[&str]); 7] = [
            ("{}", &[verbs]),
            (r#"{"action": "explode"}"#, &[verbs]),
            (r#"{"action": 1}"#, &[verbs]),
            (r#"{"action": "pause", "action": "pause"}"#, &["action: is given twice"]),
            (r#"{"action": "pause", "catchUp": true}"#, &["catchUp: pause has no use for it"]),
            (r#"{"action": "trigger", "nope": 1}"#, &["nope: there is no such field"]),
            ("[]", &[": must be an object, not a list"]),
        ];
        for (body, expected) in cases {
            assert_eq!(refused(body), expected, "{body}");
        }
    }
}
