//! The environment of a process task: a few variables of the agent's own, its payload's, the task's. Nothing else, so that no
//! secret of the agent leaks into a task that was not meant to have it.

use std::collections::BTreeMap;
use std::env;

use super::files::Files;
use super::payload::Payload;
use crate::handler::variables;
use crate::isolation::User;
use crate::session::Task;

/// What every task gets of the agent's environment.
const ALWAYS: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Later ones win: nothing that a payload says changes what the task is told about itself.
pub(super) fn of(
    task: &Task,
    payload: &Payload,
    pass_env: &[String],
    user: Option<&User>,
    files: &Files,
) -> Vec<(String, String)> {
    let names = ALWAYS.into_iter().chain(pass_env.iter().map(String::as_str));
    let mut all: BTreeMap<String, String> =
        names.filter_map(|name| Some((name.to_owned(), env::var(name).ok()?))).collect();
    if let Some(user) = user {
        let own = [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name)];
        all.extend(own.map(|(name, value)| (name.to_owned(), value.clone())));
    }
    all.extend(payload.env.clone());
    all.extend(of_task(task));
    all.insert("PUNCTUAL_RESULT_FILE".to_owned(), files.result_path());
    all.insert("PUNCTUAL_PROGRESS_FILE".to_owned(), files.progress_path());
    all.into_iter().collect()
}

fn of_task(task: &Task) -> impl Iterator<Item = (String, String)> {
    let own = variables::of(task).map(|(name, value)| (format!("PUNCTUAL_{name}"), value));
    own.chain(variables::trace_parent(task).map(|parent| ("TRACEPARENT".to_owned(), parent.to_owned())))
}
