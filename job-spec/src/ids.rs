//! Names that users give: namespaces and ids of jobs and calendars, queues and task types.

use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::calendar::CalendarKey;
use scheduler_core::job::JobKey;

/// What an absent namespace means.
pub const DEFAULT_NAMESPACE: &str = "default";
const LONGEST: usize = 128;

/// `[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?`; the error says so.
pub fn id(text: &str) -> Result<(), String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    let outer = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err("is required".to_owned());
    }
    if bytes.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} characters"));
    }
    if !bytes.iter().copied().all(inner) || !outer(bytes.first()) || !outer(bytes.last()) {
        return Err(
            "may have lower-case letters, digits, `.`, `_` and `-`, and starts and ends with a letter or digit"
                .to_owned(),
        );
    }
    Ok(())
}

/// How a request names a job. The paths are those of the request, with `prefix` before them.
pub fn job_key(namespace: &str, job_id: &str, prefix: &str, violations: &mut Violations) -> JobKey {
    let (namespace, job_id) = key(namespace, ("job_id", job_id), prefix, violations);
    JobKey { namespace, job_id }
}

/// As [`job_key`].
pub fn calendar_key(namespace: &str, calendar_id: &str, prefix: &str, violations: &mut Violations) -> CalendarKey {
    let (namespace, calendar_id) = key(namespace, ("calendar_id", calendar_id), prefix, violations);
    CalendarKey { namespace, calendar_id }
}

fn key(namespace: &str, named: (&str, &str), prefix: &str, violations: &mut Violations) -> (String, String) {
    let namespace = if namespace.is_empty() { DEFAULT_NAMESPACE } else { namespace };
    for (field, text) in [("namespace", namespace), named] {
        if let Err(description) = id(text) {
            violations.add(format!("{prefix}{field}"), description);
        }
    }
    (namespace.to_owned(), named.1.to_owned())
}

pub(crate) fn key_of(job: &v1::Job, violations: &mut Violations) -> JobKey {
    job_key(&job.namespace, &job.job_id, "", violations)
}

/// Queues and task types are named by agents too, whose authors like dots, slashes and capitals.
pub(crate) fn name(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':');
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} characters"));
    }
    if !text.bytes().all(allowed) || !text.as_bytes()[0].is_ascii_alphanumeric() {
        return Err(
            "may have letters, digits, `.`, `_`, `-`, `/` and `:`, and starts with a letter or digit".to_owned()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_pattern_of_the_contract() {
        for good in ["a", "0", "nightly-report", "a.b_c-d9", &"a".repeat(128)] {
            assert_eq!(id(good), Ok(()), "{good}");
        }
        for bad in ["", "-", "A", "a-", ".a", "a b", "é", "a\0", "a/b", &"a".repeat(129)] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_absent_namespace_is_the_default_one() {
        let mut violations = Violations::default();
        assert_eq!(job_key("", "a", "", &mut violations).to_string(), "default/a");
        assert_eq!(violations, Violations::default());
    }

    #[test]
    fn names_of_queues_and_task_types_are_ones_that_agents_have() {
        for good in ["default", "GPU", "billing/report:v2", "a_b"] {
            assert_eq!(name(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a b", "ä", &"a".repeat(129)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
