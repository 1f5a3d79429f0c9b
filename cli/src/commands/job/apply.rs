//! `punctual job apply`: what a file says becomes what the server has, and what that changes is said.

mod difference;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;

use punctual_proto::v1::{CreateJobRequest, DeleteJobRequest, Job, ListJobsRequest, UpdateJobRequest};
use scheduler_core::job::JobKey;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::create::warn_of_task_types_not_offered;
use crate::client::Server;
use crate::commands::labels;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::{clock, definition, value, view};
use plan::{Plan, Step};

/// Writes under way at a time.
const AT_ONCE: usize = 64;
const PAGE: i32 = 1_000;
/// Jobs at which it is worth saying how far it is.
const MANY: usize = 500;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of jobs, YAML or JSON; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete the jobs that have the labels of --label and are not in the file
    #[arg(long, requires = "labels")]
    prune: bool,
    /// Which jobs --prune is about; may be repeated, and then all must match
    #[arg(long = "label", id = "labels", value_name = "KEY=VALUE", value_parser = value::label, requires = "prune")]
    labels: Vec<(String, String)>,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let mut jobs = definition::read(&args.file, clock::now().into())?;
    for job in jobs.iter_mut().filter(|job| job.namespace.is_empty()) {
        job.namespace.clone_from(&settings.namespace);
    }
    let server = Server::reach(settings).await?;
    let mut namespaces: Vec<String> = jobs.iter().map(|job| job.namespace.clone()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut stored = BTreeMap::new();
    for namespace in namespaces {
        stored.extend(list(&server, namespace).await?);
    }
    let prune = args.prune.then(|| labels(args.labels));
    let plan = Plan::new(jobs, stored, prune.as_ref())?;
    if settings.output == Output::Table {
        plan.steps.iter().try_for_each(|step| view::styled(&step.text(args.dry_run)))?;
    }
    let refused = if args.dry_run { Vec::new() } else { carry_out(&server, &plan).await? };
    report(&plan, &refused, args.dry_run, settings)?;
    warn_of_task_types_not_offered(&server, plan.written()).await;
    match refused.len() {
        0 => Ok(()),
        failed => Err(Failure::Partly { failed, all: plan.steps.len() }),
    }
}

/// All jobs of a namespace.
async fn list(server: &Server, namespace: String) -> Result<Vec<(JobKey, Job)>, Failure> {
    let mut request = ListJobsRequest { namespace, page_size: PAGE, ..ListJobsRequest::default() };
    let mut found = Vec::new();
    loop {
        let page = server.answer(server.jobs().list_jobs(request.clone()).await)?;
        found.extend(page.jobs.into_iter().map(|job| (key(&job), job)));
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}

fn key(job: &Job) -> JobKey {
    JobKey { namespace: job.namespace.clone(), job_id: job.job_id.clone() }
}

/// A step that the server refused, and why.
type Refused = (JobKey, Failure);

/// A refused step does not keep the others away; a server that is gone does.
async fn carry_out(server: &Server, plan: &Plan) -> Result<Vec<Refused>, Failure> {
    let (mut under_way, mut refused) = (JoinSet::new(), Vec::new());
    let mut progress = Progress::new(plan.steps.len());
    for step in &plan.steps {
        if under_way.len() == AT_ONCE
            && let Some(ended) = under_way.join_next().await
        {
            settle(ended, &mut refused)?;
            progress.step();
        }
        under_way.spawn(write(server.clone(), step.clone()));
    }
    while let Some(ended) = under_way.join_next().await {
        settle(ended, &mut refused)?;
        progress.step();
    }
    Ok(refused)
}

fn settle(
    ended: Result<(JobKey, Result<(), Failure>), tokio::task::JoinError>,
    refused: &mut Vec<Refused>,
) -> Result<(), Failure> {
    match ended.map_err(std::io::Error::other)? {
        (_, Ok(())) => Ok(()),
        (key, Err(failure @ Failure::Refused(_))) => {
            refused.push((key, failure));
            Ok(())
        }
        (_, Err(failure)) => Err(failure),
    }
}

async fn write(server: Server, step: Step) -> (JobKey, Result<(), Failure>) {
    let mut jobs = server.jobs();
    let (key, answer) = match step {
        Step::Create(job) => {
            let request = CreateJobRequest { job: Some(*job.clone()), ..CreateJobRequest::default() };
            (key(&job), jobs.create_job(request).await)
        }
        // The etag is that of what the difference was taken from: an edit that came between is not undone unseen.
        Step::Change { job, .. } => {
            let update_mask = Some(prost_types::FieldMask { paths: vec!["*".to_owned()] });
            let request = UpdateJobRequest { job: Some(*job.clone()), update_mask, ..UpdateJobRequest::default() };
            (key(&job), jobs.update_job(request).await)
        }
        Step::Delete { key: JobKey { namespace, job_id }, etag } => {
            let key = JobKey { namespace: namespace.clone(), job_id: job_id.clone() };
            (key, jobs.delete_job(DeleteJobRequest { namespace, job_id, etag }).await)
        }
    };
    (key, server.answer(answer).map(drop))
}

fn report(plan: &Plan, refused: &[Refused], dry_run: bool, settings: &Settings) -> Result<(), Failure> {
    for (key, failure) in refused {
        anstream::eprint!("{key}: ");
        failure.write(&mut anstream::stderr())?;
    }
    let not_done: BTreeSet<&JobKey> = refused.iter().map(|(key, _)| key).collect();
    let done: Vec<&Step> = plan.steps.iter().filter(|step| !not_done.contains(&step.key())).collect();
    let count = |of: fn(&Step) -> bool| done.iter().filter(|step| of(step)).count();
    let created = count(|step| matches!(step, Step::Create(_)));
    let changed = count(|step| matches!(step, Step::Change { .. }));
    let deleted = count(|step| matches!(step, Step::Delete { .. }));
    if settings.output == Output::Json {
        let steps: Vec<Value> = done.iter().map(|step| step.json()).collect();
        let refused: Vec<Value> = refused
            .iter()
            .map(|(key, why)| json!({ "namespace": key.namespace, "jobId": key.job_id, "error": why.to_string() }))
            .collect();
        return view::value(&json!({
            "dryRun": dry_run,
            "created": created,
            "changed": changed,
            "deleted": deleted,
            "unchanged": plan.unchanged,
            "jobs": steps,
            "refused": refused,
        }));
    }
    let unchanged = plan.unchanged;
    let would = if dry_run { "would be " } else { "" };
    let refused = if refused.is_empty() { String::new() } else { format!("; refused: {}", refused.len()) };
    view::text(&format!(
        "{would}created: {created}, changed: {changed}, deleted: {deleted}; unchanged: {unchanged}{refused}\n"
    ))
}

/// How far it is, on a terminal, where many jobs take their time.
struct Progress {
    all: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self { all, done: 0, shown: all >= MANY && stderr().is_terminal() }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.shown && (self.done.is_multiple_of(MANY) || self.done == self.all) {
            anstream::eprint!("\r{} of {} jobs{}", self.done, self.all, if self.done == self.all { "\n" } else { "" });
        }
    }
}
