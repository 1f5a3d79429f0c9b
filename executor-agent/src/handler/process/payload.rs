//! What a `process` task is asked to run.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::handler::payload;
use crate::handler::secrets::Filling;
use crate::session::Failure;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Payload {
    command: Vec<String>,
    shell: Option<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) working_dir: Option<String>,
    pub(super) stdin: Option<String>,
    success_exit_codes: Option<Vec<i32>>,
}

impl Payload {
    pub(super) fn parse(json: &[u8]) -> Result<Self, Failure> {
        let payload: Self = payload::read(json)?;
        let named = payload.command.first().is_some_and(|program| !program.is_empty());
        if named == payload.shell.is_some() {
            return Err(payload::invalid(
                "give either `command`, as a list that starts with the program, or `shell`".to_owned(),
            ));
        }
        if let Some(name) = payload.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(payload::invalid(format!("env: {name:?} is no name for a variable")));
        }
        payload.refuse_nul()?;
        Ok(payload)
    }

    /// Resolves references to secrets where a program gets text that others do not see: not in its arguments.
    pub(super) fn fill(&mut self, filling: &mut Filling<'_>) -> Result<(), Failure> {
        for (name, value) in &mut self.env {
            *value = filling.text(&format!("env.{name}"), value)?;
        }
        if let Some(stdin) = &mut self.stdin {
            *stdin = filling.text("stdin", stdin)?;
        }
        self.refuse_nul()
    }

    fn refuse_nul(&self) -> Result<(), Failure> {
        let texts = self.command.iter().chain(&self.shell).chain(self.env.values()).chain(&self.working_dir);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(payload::invalid("a NUL character cannot be passed to a program".to_owned()));
        }
        Ok(())
    }

    pub(super) fn program(&self) -> (String, Vec<String>) {
        match (&self.shell, self.command.split_first()) {
            (Some(line), _) => ("/bin/sh".to_owned(), vec!["-c".to_owned(), line.clone()]),
            (None, Some((program, arguments))) => (program.clone(), arguments.to_vec()),
            (None, None) => unreachable!("because a payload without either was refused"),
        }
    }

    pub(super) fn is_success(&self, code: i32) -> bool {
        self.success_exit_codes.as_ref().map_or(code == 0, |codes| codes.contains(&code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Secrets;
    use crate::handler::trial::cases;

    #[test]
    fn what_cannot_be_run_is_refused_for_good() {
        for json in [
            "{}",
            r#"{"command":[]}"#,
            r#"{"command":[""]}"#,
            r#"{"command":["a"],"shell":"b"}"#,
            r#"{"command":"a b"}"#,
            r#"{"command":["a"],"cwd":"/"}"#,
            r#"[["a"]]"#,
            r#"{"command":["a"],"env":{"A=B":"c"}}"#,
            "{\"command\":[\"a\\u0000b\"]}",
        ] {
            let failure = Payload::parse(json.as_bytes()).expect_err(json);
            assert_eq!((failure.code.as_str(), failure.retryable), ("PAYLOAD_INVALID", false), "{json}");
        }
    }

    #[test]
    fn the_handler_and_the_server_agree_on_references() {
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = Secrets { folder: Some(folder.path().to_owned()), ..Secrets::default() };
        for (json, is_valid) in cases("process") {
            let filled = Payload::parse(&json).and_then(|mut payload| payload.fill(&mut secrets.filling()));
            let is_refused = filled.is_err_and(|failure| failure.code == "PAYLOAD_INVALID");
            assert_eq!(is_refused, !is_valid, "{}", String::from_utf8_lossy(&json));
        }
    }

    #[test]
    fn no_shell_unless_asked_for() {
        let payload = |json: &str| Payload::parse(json.as_bytes()).expect(json);
        assert_eq!(payload(r#"{"command":["echo","$HOME"]}"#).program(), ("echo".to_owned(), vec!["$HOME".to_owned()]));
        assert_eq!(payload(r#"{"shell":"exit 3"}"#).program().0, "/bin/sh");
    }

    #[test]
    fn success_is_what_the_payload_says_it_is() {
        let payload = Payload::parse(br#"{"command":["a"],"success_exit_codes":[3]}"#).expect("valid");
        assert!(payload.is_success(3) && !payload.is_success(0));
    }
}
