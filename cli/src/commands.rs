//! The commands, a file or folder for each group: its flags, the calls it makes, and what it prints.

pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod calendar;
pub(crate) mod completions;
pub(crate) mod cron;
mod follow;
pub(crate) mod job;
pub(crate) mod lock;
pub(crate) mod man;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod step_down;
pub(crate) mod task_type;
pub(crate) mod token;
pub(crate) mod upcoming;

use crate::settings::Settings;

/// The flags of every list.
#[derive(Debug, clap::Args)]
pub(crate) struct Page {
    /// Number of lines in a page, 1,000 at most [default: 50]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    page_size: i32,
    /// Go on where a page ended: its nextPageToken
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page_token: String,
}

impl Page {
    /// Says under a table that there is more, where it does not get among the rows.
    fn more(settings: &Settings, next_page_token: &str) {
        if settings.output == crate::settings::Output::Table && !next_page_token.is_empty() {
            anstream::eprintln!("There is more: add --page-token {next_page_token}");
        }
    }
}

/// All namespaces, in lists.
const ALL: &str = "-";

fn labels(labels: Vec<(String, String)>) -> std::collections::BTreeMap<String, String> {
    labels.into_iter().collect()
}
