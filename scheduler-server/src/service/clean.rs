//! Small texts of requests, outside a job's definition.

use job_spec::clean;
use scheduler_core::Violations;

use super::Error;

const LONGEST_NOTE: usize = 1_024;
const LONGEST_REQUEST_ID: usize = 36;

pub(super) fn note(text: &str) -> Result<String, Error> {
    let length = text.chars().count();
    if length > LONGEST_NOTE {
        return Err(Error::field("note", format!("{length} characters are above {LONGEST_NOTE}, the most")));
    }
    Ok(clean(text).into_owned())
}

pub(super) fn request_id(text: &str, violations: &mut Violations) -> Option<String> {
    if text.len() > LONGEST_REQUEST_ID || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        violations.add("request_id", format!("may have {LONGEST_REQUEST_ID} printable ASCII characters at most"));
    }
    (!text.is_empty()).then(|| text.to_owned())
}
