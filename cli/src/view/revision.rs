//! Revisions of jobs as text, and other lists of few columns.

use punctual_proto::v1::{
    FieldChange, JobRevision, ListJobRevisionsResponse, ListNamespacesResponse, ListUpcomingFiresResponse,
};

use super::Scene;
use super::table::{Fit, Table, facts};
use super::when::{absolute, duration, relative};

pub(crate) fn revisions(page: &ListJobRevisionsResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("REVISION", Fit::Whole),
        ("CHANGE", Fit::Whole),
        ("WHEN", Fit::Whole),
        ("AUTHOR", Fit::Cut),
        ("FIELDS", Fit::Cut),
        ("NOTE", Fit::Drop(0)),
    ]);
    for revision in &page.revisions {
        let fields: Vec<&str> = revision.changes.iter().map(|change| change.field.as_str()).collect();
        let time = revision.job.as_ref().and_then(|job| job.update_time.as_ref());
        table.row(vec![
            revision.revision.to_string().into(),
            revision.change().as_str_name().into(),
            relative(time, scene.now).into(),
            revision.author.as_str().into(),
            or_none(&fields.join(", ")).into(),
            or_none(&revision.note).into(),
        ]);
    }
    table.render(scene.width)
}

/// One revision with what it changed.
pub(crate) fn revision(revision: &JobRevision, scene: &Scene) -> String {
    let mut text = facts(&[
        ("revision", revision.revision.to_string().into()),
        ("change", revision.change().as_str_name().into()),
        ("author", revision.author.as_str().into()),
        ("note", revision.note.as_str().into()),
        ("holds from", absolute(revision.effective_from.as_ref(), scene.now).into()),
    ]);
    text.push('\n');
    if revision.changes.is_empty() {
        text.push_str("It changed no field of the job.\n");
    }
    for FieldChange { field, before, after } in &revision.changes {
        let value =
            |value: &Option<_>| value.as_ref().map_or_else(|| "none".to_owned(), |v| super::json::of(v).to_string());
        text.push_str(&format!("{field}: {} -> {}\n", value(before), value(after)));
    }
    text
}

pub(crate) fn upcoming(page: &ListUpcomingFiresResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("TIME", Fit::Whole),
        ("IN", Fit::Whole),
        ("NAMESPACE", Fit::Drop(0)),
        ("JOB", Fit::Cut),
        ("JITTER", Fit::Drop(1)),
    ]);
    for fire in &page.fires {
        let jitter = fire.delay.filter(|delay| (delay.seconds, delay.nanos) != (0, 0));
        table.row(vec![
            fire.time.map(|time| time.to_string()).unwrap_or_default().into(),
            relative(fire.time.as_ref(), scene.now).into(),
            fire.namespace.as_str().into(),
            fire.job_id.as_str().into(),
            jitter.map_or_else(|| "-".to_owned(), |jitter| duration(&jitter)).into(),
        ]);
    }
    table.render(scene.width)
}

pub(crate) fn namespaces(page: &ListNamespacesResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![("NAMESPACE", Fit::Whole), ("JOBS", Fit::Whole)]);
    for namespace in &page.namespaces {
        table.row(vec![namespace.namespace.as_str().into(), namespace.job_count.to_string().into()]);
    }
    table.render(scene.width)
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
