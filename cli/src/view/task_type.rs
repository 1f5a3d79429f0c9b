//! Task types as text.

use punctual_proto::v1::{ListTaskTypesResponse, TaskType};

use super::Scene;
use super::json;
use super::table::{Fit, Table, facts};
use super::when::{absolute, relative};

pub(crate) fn task_types(page: &ListTaskTypesResponse, scene: &Scene) -> String {
    let columns =
        [("TASK TYPE", Fit::Whole), ("AGENTS", Fit::Whole), ("OF PUNCTUAL", Fit::Drop(0)), ("SEEN", Fit::Drop(1))];
    let mut table = Table::new(columns.into());
    for shown in &page.task_types {
        table.row(vec![
            shown.name.as_str().into(),
            shown.agent_count.to_string().into(),
            if shown.built_in { "yes" } else { "no" }.into(),
            relative(shown.seen_time.as_ref(), scene.now).into(),
        ]);
    }
    table.render(scene.width)
}

pub(crate) fn task_type(shown: &TaskType, scene: &Scene) -> String {
    let mut text = facts(&[
        ("task type", shown.name.as_str().into()),
        ("agents", shown.agent_count.to_string().into()),
        ("seen", absolute(shown.seen_time.as_ref(), scene.now).into()),
    ]);
    if let Some(schema) = &shown.payload_schema {
        text.push_str(&format!("\npayload:\n{:#}\n", json::of(schema)));
    }
    text
}
