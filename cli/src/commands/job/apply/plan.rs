//! What there is to do: the jobs of a file beside those that the server has.

use std::collections::BTreeMap;

use job_spec::Rules;
use punctual_proto::v1::Job;
use scheduler_core::Violations;
use scheduler_core::job::{Definition, JobKey};
use scheduler_core::time::Timestamp;
use serde_json::{Value, json};

use super::difference::{Change, changes};
use super::key;
use crate::failure::Failure;

/// One write.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(Box<Job>),
    Change { job: Box<Job>, changes: Vec<Change> },
    Delete { key: JobKey, etag: String },
}

#[derive(Debug)]
pub(super) struct Plan {
    /// By name; deletions last.
    pub(super) steps: Vec<Step>,
    pub(super) unchanged: usize,
}

impl Plan {
    /// `prune`: jobs with these labels that the file does not have go.
    pub(super) fn new(
        jobs: Vec<Job>,
        mut stored: BTreeMap<JobKey, Job>,
        prune: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, Failure> {
        let mut plan = Self { steps: Vec::new(), unchanged: 0 };
        let mut wanted = BTreeMap::new();
        for job in jobs {
            let name = key(&job);
            if wanted.insert(name.clone(), job).is_some() {
                let mut violations = Violations::default();
                violations.add("jobId", format!("{name} is there twice"));
                return Err(Failure::Input { what: "the file".to_owned(), violations });
            }
        }
        for (name, job) in wanted {
            match stored.remove(&name) {
                None => plan.steps.push(Step::Create(Box::new(job))),
                Some(stored) => plan.compare(job, &stored)?,
            }
        }
        let has_labels = |job: &Job| prune.is_some_and(|prune| prune.iter().all(|(k, v)| job.labels.get(k) == Some(v)));
        let gone = stored.into_iter().filter(|(_, job)| has_labels(job));
        plan.steps.extend(gone.map(|(key, job)| Step::Delete { key, etag: job.etag }));
        Ok(plan)
    }

    fn compare(&mut self, mut job: Job, stored: &Job) -> Result<(), Failure> {
        // As a replacement does: what the file does not say stays.
        job.enabled = job.enabled.or(stored.enabled);
        let (before, after) = (normal(stored)?, normal(&job)?);
        if before == after {
            self.unchanged += 1;
            return Ok(());
        }
        if job.etag.is_empty() {
            job.etag.clone_from(&stored.etag);
        }
        let changes = changes(&before, &after, stored);
        self.steps.push(Step::Change { job: Box::new(job), changes });
        Ok(())
    }

    /// Jobs as they are to be.
    pub(super) fn written(&self) -> impl Iterator<Item = &Job> {
        self.steps.iter().filter_map(|step| match step {
            Step::Create(job) | Step::Change { job, .. } => Some(&**job),
            Step::Delete { .. } => None,
        })
    }
}

/// With its defaults filled in, by the server's own rules.
fn normal(job: &Job) -> Result<Definition, Failure> {
    let create_time = job.create_time.as_ref().and_then(|time| job_spec::time::instant(time).ok());
    match job_spec::definition(job, &Rules::new(create_time.unwrap_or(Timestamp::MIN))) {
        Ok((_, definition)) => Ok(definition),
        Err(violations) => Err(Failure::Input { what: format!("job {}", job.job_id), violations }),
    }
}

impl Step {
    pub(super) fn key(&self) -> JobKey {
        match self {
            Self::Create(job) | Self::Change { job, .. } => key(job),
            Self::Delete { key, .. } => key.clone(),
        }
    }

    /// A line, and one for each field that changes.
    pub(super) fn text(&self, dry_run: bool) -> String {
        let key = self.key();
        match self {
            Self::Create(_) => format!("{} {key}\n", if dry_run { "would create" } else { "create" }),
            Self::Delete { .. } => format!("{} {key}\n", if dry_run { "would delete" } else { "delete" }),
            Self::Change { changes, .. } => {
                let fields: String = changes.iter().map(|change| format!("  {change}\n")).collect();
                format!("{} {key}\n{fields}", if dry_run { "would change" } else { "change" })
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let JobKey { namespace, job_id } = self.key();
        let (action, changes) = match self {
            Self::Create(_) => ("create", Vec::new()),
            Self::Delete { .. } => ("delete", Vec::new()),
            Self::Change { changes, .. } => ("change", changes.iter().map(Change::json).collect()),
        };
        json!({ "action": action, "namespace": namespace, "jobId": job_id, "changes": changes })
    }
}

#[cfg(test)]
mod tests {
    use punctual_proto::v1::Task;

    use super::*;

    fn job(job_id: &str) -> Job {
        let task = Some(Task { r#type: "noop".to_owned(), payload: None });
        Job { namespace: "default".to_owned(), job_id: job_id.to_owned(), task, ..Job::default() }
    }

    /// As a server answers it.
    fn stored(job_id: &str) -> (JobKey, Job) {
        let stored = Job {
            etag: "e".to_owned(),
            max_instances: Some(1),
            queue: Some("default".to_owned()),
            enabled: Some(false),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            ..job(job_id)
        };
        (key(&stored), stored)
    }

    fn labelled(job_id: &str) -> Job {
        Job { labels: stored(job_id).1.labels, ..job(job_id) }
    }

    fn said(plan: &Plan) -> String {
        plan.steps.iter().map(|step| step.text(false)).collect()
    }

    #[test]
    fn what_says_the_same_in_fewer_words_is_unchanged() {
        let plan = Plan::new(vec![labelled("a")], [stored("a")].into(), None).unwrap();
        assert_eq!((plan.steps.len(), plan.unchanged), (0, 1));
    }

    #[test]
    fn what_differs_is_created_or_changed_and_said_field_by_field() {
        let changed = Job { priority: 5, ..labelled("a") };
        let plan = Plan::new(vec![job("b"), changed], [stored("a"), stored("c")].into(), None).unwrap();
        assert_eq!(said(&plan), "change default/a\n  priority: 0 → 5\ncreate default/b\n");
        let Step::Change { job, .. } = &plan.steps[0] else { panic!() };
        assert_eq!((job.etag.as_str(), job.enabled), ("e", Some(false)), "it stays disabled");
    }

    #[test]
    fn only_jobs_with_the_labels_are_pruned() {
        let other = (key(&job("other")), job("other"));
        let prune = [("team".to_owned(), "a".to_owned())].into();
        let plan = Plan::new(vec![labelled("a")], [stored("a"), stored("b"), other].into(), Some(&prune)).unwrap();
        assert_eq!(said(&plan), "delete default/b\n");
    }

    #[test]
    fn a_job_that_is_there_twice_is_refused() {
        let failure = Plan::new(vec![job("a"), job("a")], BTreeMap::new(), None).unwrap_err();
        assert!(failure.to_string().contains("default/a is there twice"), "{failure}");
    }
}
