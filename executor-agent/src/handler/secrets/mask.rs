//! Hides secrets in what the agent writes down.
//!
//! An answer may repeat what it was asked with. Secrets are found as they are and as JSON writes them, not encoded in some
//! other way (base64, say).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::session::Failure;

const INSTEAD: &str = "[secret]";

/// The secrets of one attempt.
#[derive(Clone, Debug, Default)]
pub(in crate::handler) struct Mask {
    /// The longest first, since one may contain another.
    secrets: Vec<String>,
}

/// Masks a stream piece by piece.
#[derive(Debug)]
pub(in crate::handler) struct Masking<'m> {
    mask: &'m Mask,
    /// The end of what came, which may be the beginning of a secret.
    held: Vec<u8>,
}

impl Mask {
    pub(super) fn of(given: BTreeSet<String>) -> Self {
        let given = given.into_iter().filter(|secret| !secret.is_empty());
        let mut secrets: Vec<_> = given.flat_map(|secret| [in_json(&secret), secret]).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// Whether there is nothing to hide.
    pub(in crate::handler) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub(in crate::handler) fn text(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut masked = stream.push(text.as_bytes());
        masked.extend(stream.end());
        String::from_utf8(masked).expect("because text is cut where secrets, which are text, begin and end")
    }

    pub(in crate::handler) fn failure(&self, failure: Failure) -> Failure {
        Failure { message: self.text(&failure.message), ..failure }
    }

    /// All of `value`: strings, keys, and numbers that are written like a secret.
    pub(in crate::handler) fn json(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.text(&text);
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(object) => {
                let masked = object.into_iter().map(|(key, value)| (self.text(&key), self.json(value)));
                Value::Object(masked.collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    pub(in crate::handler) fn stream(&self) -> Masking<'_> {
        Masking { mask: self, held: Vec::new() }
    }
}

/// As it stands between the quotes of a string.
fn in_json(secret: &str) -> String {
    let quoted = Value::from(secret).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl Masking<'_> {
    /// What may be written now.
    pub(in crate::handler) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        self.masked(false)
    }

    /// What is left when nothing more comes.
    pub(in crate::handler) fn end(mut self) -> Vec<u8> {
        self.masked(true)
    }

    fn masked(&mut self, is_all: bool) -> Vec<u8> {
        if self.mask.is_empty() {
            return std::mem::take(&mut self.held);
        }
        let mut masked = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while let Some(first) = self.held.get(at) {
            let rest = &self.held[at..];
            // While the longest may still come, no shorter one is looked for.
            let met = self
                .mask
                .secrets
                .iter()
                .map(String::as_bytes)
                .find(|secret| rest.starts_with(secret) || (!is_all && secret.starts_with(rest)));
            match met {
                Some(secret) if rest.len() >= secret.len() => {
                    masked.extend_from_slice(INSTEAD.as_bytes());
                    at += secret.len();
                }
                Some(_) => break,
                None => {
                    masked.push(*first);
                    at += 1;
                }
            }
        }
        self.held.drain(..at);
        masked
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        Mask::of(secrets.iter().map(|secret| (*secret).to_owned()).collect())
    }

    #[test]
    fn json_stays_json() {
        let masked = mask(&["s3cret", "1234"]).json(json!({"a": ["x s3cret"], "s3cret": 12345, "b": 12}));
        assert_eq!(masked, json!({"a": ["x [secret]"], "[secret]": "[secret]5", "b": 12}));
    }

    /// A program that writes what it was given as JSON writes other bytes than it was given.
    #[test]
    fn a_secret_is_hidden_as_json_writes_it_too() {
        let secret = "line\none \"quoted\" back\\slash\ttab";
        let mask = mask(&[secret]);
        let written = json!({"password": secret}).to_string();
        assert!(!written.contains(secret), "or this shows nothing");
        assert_eq!(mask.text(&written), "{\"password\":\"[secret]\"}");
        assert_eq!(mask.text(&format!("as it is: {secret}")), "as it is: [secret]");
    }

    #[test]
    fn the_longer_of_two_secrets_is_hidden_whole() {
        assert_eq!(mask(&["pass", "password", ""]).text("password pass"), "[secret] [secret]");
        let mask = mask(&["pass", "password"]);
        let mut stream = mask.stream();
        assert!(stream.push(b"passw").is_empty(), "it may still become the longer one");
        let mut out = stream.push(b"ag");
        out.extend(stream.end());
        assert_eq!(String::from_utf8(out).expect("text"), "[secret]wag");
    }

    proptest! {
        #[test]
        fn no_cut_lets_a_secret_through(text in "[ab]{0,40}", cuts in prop::collection::vec(0usize..40, 0..6)) {
            let mask = mask(&["aab", "ba"]);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut stream = mask.stream();
            let mut out: Vec<u8> = cuts.windows(2).flat_map(|cut| stream.push(&text.as_bytes()[cut[0]..cut[1]])).collect();
            out.extend(stream.end());
            let out = String::from_utf8(out).expect("text");
            prop_assert!(!out.contains("aab") && !out.replace("[secret]", "|").contains("ba"), "{out}");
            let mut whole = mask.stream();
            let mut at_once = whole.push(text.as_bytes());
            at_once.extend(whole.end());
            prop_assert_eq!(out, String::from_utf8(at_once).expect("text"), "cuts make no difference");
        }
    }
}
