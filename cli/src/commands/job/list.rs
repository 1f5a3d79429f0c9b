//! `punctual job list`.

use punctual_proto::v1::{ListJobsRequest, job};

use crate::client::Server;
use crate::commands::{ALL, Page, labels};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only jobs whose id starts with this
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Only jobs in this state, or in one of several: A,B
    #[arg(long = "state", value_name = "STATE,…", value_parser = state, value_delimiter = ',')]
    states: Vec<job::State>,
    /// Only jobs that have this label, and each further one
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// Deleted jobs too
    #[arg(long, visible_alias = "deleted")]
    show_deleted: bool,
    /// Only jobs whose id starts with this
    #[arg(long, value_name = "PREFIX", conflicts_with = "prefix")]
    query: Option<String>,
    /// In the order of `job_id`, or of `update_time`: the latest change first
    #[arg(long, value_name = "FIELD", default_value = "job_id", value_parser = ["job_id", "update_time"])]
    order_by: String,
    #[command(flatten)]
    page: Page,
}

fn state(text: &str) -> Result<job::State, String> {
    value::name(text, job::State::from_str_name, &["ACTIVE", "PAUSED", "DISABLED", "COMPLETED", "DELETED"])
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let query = args.query.unwrap_or(args.prefix);
    let narrowed = !(query.is_empty() && args.states.is_empty() && args.labels.is_empty());
    let request = ListJobsRequest {
        namespace: settings.namespace.clone(),
        states: args.states.into_iter().map(i32::from).collect(),
        labels: labels(args.labels),
        query,
        show_deleted: args.show_deleted,
        order_by: args.order_by,
        page_size: args.page.page_size,
        page_token: args.page.page_token,
    };
    let page = server.answer(server.jobs().list_jobs(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.jobs.as_slice() {
        [] => empty(narrowed, &settings.namespace),
        _ => view::jobs(page, scene, settings.namespace == ALL),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}

fn empty(narrowed: bool, namespace: &str) -> String {
    let place = if namespace == ALL { "any namespace".to_owned() } else { format!("namespace {namespace}") };
    if narrowed {
        return format!("No job in {place} is like that. See all of them: punctual job list\n");
    }
    format!("No jobs in {place}. Create one: punctual job create hello --every 10s --task noop\n")
}
