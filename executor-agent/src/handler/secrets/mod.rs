//! Secrets of tasks: a payload names them, the agent has them (ADR 9).
//!
//! `${env:NAME}` and `${file:NAME}` in certain strings of a built-in task's payload stand for a variable of the agent's
//! environment and for a file of its folder of secrets, each only if the agent was told to give it out. They are resolved
//! when an attempt starts, in memory only: the ledger has the reference. What the agent itself writes about the attempt
//! goes through a [`Mask`] first.

mod mask;
mod reference;

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;

use serde_json::Value;

pub(super) use self::mask::Mask;
use self::reference::{Part, Source};
use super::payload;
use crate::session::Failure;

/// The longest secret.
const MAX_BYTES: u64 = 64 << 10;

/// What this agent gives out. By default nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) variables: BTreeSet<String>,
    pub(crate) folder: Option<PathBuf>,
}

/// Resolves the references of one attempt's payload, and remembers what it gave out.
#[derive(Debug)]
pub(super) struct Filling<'s> {
    secrets: &'s Secrets,
    given: BTreeSet<String>,
}

impl Secrets {
    pub(super) fn filling(&self) -> Filling<'_> {
        Filling { secrets: self, given: BTreeSet::new() }
    }

    fn read(&self, source: &Source<'_>) -> Result<String, String> {
        match source {
            Source::Variable(name) if !self.variables.contains(*name) => {
                Err(format!("this agent gives it to no task: start it with --secret-env {name}"))
            }
            Source::Variable(name) => match env::var(name) {
                Ok(value) => Ok(value),
                Err(env::VarError::NotPresent) => Err("the agent's environment does not have it".to_owned()),
                Err(env::VarError::NotUnicode(_)) => Err("it is not UTF-8".to_owned()),
            },
            Source::File(name) => match &self.folder {
                Some(folder) => read_file(&folder.join(name)),
                None => Err("this agent has no folder of secrets: start it with --secret-dir".to_owned()),
            },
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("the file cannot be read: {}", error.kind());
    // A pipe would hold the task up.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    // Editors and `echo` end a file with a newline that is no part of the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

impl Filling<'_> {
    /// `text` with its references resolved; `way` is where in the payload it stands.
    pub(super) fn text(&mut self, way: &str, text: &str) -> Result<String, Failure> {
        let mut filled = String::new();
        for part in reference::parts(text) {
            match part.map_err(|error| payload::invalid(format!("{way}: {error}")))? {
                Part::Text(text) => filled += text,
                Part::Secret { source, written } => {
                    let secret = self.secrets.read(&source).map_err(|why| {
                        Failure::permanent("SECRET_UNAVAILABLE", format!("{way}: {written} cannot be resolved: {why}"))
                    })?;
                    filled += &secret;
                    self.given.insert(secret);
                }
            }
        }
        Ok(filled)
    }

    /// Resolves the references in all strings of `value`.
    pub(super) fn json(&mut self, way: &str, value: &mut Value) -> Result<(), Failure> {
        match value {
            Value::String(text) => *text = self.text(way, text)?,
            Value::Array(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.json(&format!("{way}[{i}]"), item)?;
                }
            }
            Value::Object(object) => {
                for (key, value) in object {
                    self.json(&format!("{way}.{key}"), value)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }

    /// What hides all that was given out.
    pub(super) fn mask(self) -> Mask {
        Mask::of(self.given)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    /// A variable that every process of a test has.
    const PATH: &str = "PATH";

    fn with_variable() -> Secrets {
        Secrets { variables: [PATH.to_owned()].into(), folder: None }
    }

    #[test]
    fn nothing_is_given_out_by_default() {
        for reference in ["${env:PATH}", "${file:a}"] {
            let failure = Secrets::default().filling().text("headers.a", reference).expect_err(reference);
            assert_eq!((failure.code.as_str(), failure.retryable), ("SECRET_UNAVAILABLE", false));
            assert!(failure.message.starts_with(&format!("headers.a: {reference} ")), "{}", failure.message);
        }
    }

    #[test]
    fn references_are_resolved_wherever_they_stand_in_a_string() {
        let path = env::var(PATH).expect("a test has a PATH");
        let secrets = with_variable();
        let mut filling = secrets.filling();
        assert_eq!(
            filling.text("a", "Bearer ${env:PATH}, $${env:PATH}").expect("allowed"),
            format!("Bearer {path}, ${{env:PATH}}")
        );
        let mut value = json!({"a": ["${env:PATH}", 1, null], "${env:PATH}": true});
        filling.json("body", &mut value).expect("allowed");
        assert_eq!(value, json!({"a": [path, 1, null], "${env:PATH}": true}));
        assert_eq!(filling.mask().text(&format!("<{path}>")), "<[secret]>");
    }

    #[test]
    fn a_variable_is_given_out_by_its_whole_name_only() {
        for name in ["PAT", "PATH_", "path"] {
            let reference = format!("${{env:{name}}}");
            assert!(with_variable().filling().text("a", &reference).is_err(), "{name}");
        }
        let missing = Secrets { variables: ["PUNCTUAL_NO_SUCH".to_owned()].into(), folder: None };
        assert!(missing.filling().text("a", "${env:PUNCTUAL_NO_SUCH}").is_err());
    }

    #[test]
    fn files_are_those_of_the_folder_without_their_last_newline() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("written");
        fs::create_dir(folder.path().join("below")).expect("made");
        file("below/token", b"one\ntwo\r\n");
        file("bytes", &[0xff]);
        file("large", &vec![b'a'; MAX_BYTES as usize + 1]);
        // Kubernetes mounts secrets as links.
        symlink("below/token", folder.path().join("link")).expect("linked");
        let secrets = Secrets { folder: Some(folder.path().to_owned()), ..Secrets::default() };
        let read = |name: &str| secrets.filling().text("a", &format!("${{file:{name}}}"));
        assert_eq!(read("below/token").expect("there"), "one\ntwo");
        assert_eq!(read("link").expect("there"), "one\ntwo");
        for name in ["none", "below", "bytes", "large"] {
            assert_eq!(read(name).expect_err(name).code, "SECRET_UNAVAILABLE", "{name}");
        }
        for name in ["../token", "/etc/passwd", "below/../link", ""] {
            assert_eq!(read(name).expect_err(name).code, "PAYLOAD_INVALID", "{name}");
        }
    }
}
