//! References to secrets in payloads: `${env:NAME}` and `${file:NAME}`, anywhere in a string. The agent resolves them, so
//! that no secret is in the ledger (ADR 9); here only their form is checked. `$${env:` stands for `${env:` itself.

use serde_json::Value as Json;

use super::{Fault, below};

/// What begins a reference.
const OPENINGS: [&str; 2] = ["${env:", "${file:"];
/// What a reference is replaced by to check the rest.
const STAND_IN: &str = "x";

/// The text with every reference replaced by a letter, or what is wrong with one.
pub(super) fn without(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((at, opening)) = first(rest) {
        let name = &rest[at + opening.len()..];
        if let Some(before) = rest[..at].strip_suffix('$') {
            plain = plain + before + opening;
            rest = name;
            continue;
        }
        let Some((name, after)) = name.split_once('}') else {
            return Err(format!("has a secret's reference without its end: `{opening}`"));
        };
        check_name(opening, name)?;
        plain = plain + &rest[..at] + STAND_IN;
        rest = after;
    }
    Ok(plain + rest)
}

/// A string in which references may stand.
pub(super) fn text(value: &Json) -> Result<(), Fault> {
    let Some(text) = value.as_str() else { return Err("must be a string".into()) };
    without(text).map(|_| ()).map_err(Fault::from)
}

/// Any JSON, in whose strings references may stand.
pub(super) fn anywhere(value: &Json) -> Result<(), Fault> {
    match value {
        Json::String(text) => without(text).map(|_| ()).map_err(Fault::from),
        Json::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| part(format!("[{i}]"), item)),
        Json::Object(object) => object.iter().try_for_each(|(key, value)| part(format!(".{key}"), value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}

fn part(way: String, value: &Json) -> Result<(), Fault> {
    anywhere(value).map_err(|fault| below(way + &fault.below, fault.description))
}

fn first(text: &str) -> Option<(usize, &'static str)> {
    OPENINGS.into_iter().filter_map(|opening| Some((text.find(opening)?, opening))).min()
}

fn check_name(opening: &str, name: &str) -> Result<(), String> {
    let is_file = opening == OPENINGS[1];
    let is_right = if is_file { is_file_name(name) } else { is_variable(name) };
    match (is_right, is_file) {
        (true, _) => Ok(()),
        (false, false) => {
            Err(format!("has a secret's reference that names no environment variable: `{opening}{name}}}`"))
        }
        (false, true) => {
            Err(format!("has a secret's reference that names no file below a folder: `{opening}{name}}}`"))
        }
    }
}

fn is_variable(name: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    !name.is_empty() && name.chars().all(is_word) && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// Relative, and never up.
fn is_file_name(name: &str) -> bool {
    !name.contains('\0') && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
