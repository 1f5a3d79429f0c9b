//! Held slots as text.

use punctual_proto::v1::ListLocksResponse;

use super::Scene;
use super::table::{Fit, Table};

pub(crate) fn locks(page: &ListLocksResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("JOB", Fit::Cut),
        ("SLOT", Fit::Whole),
        ("AGENT", Fit::Cut),
        ("RUN", Fit::Whole),
        ("ATTEMPT", Fit::Drop(1)),
        ("TOKEN", Fit::Drop(0)),
    ]);
    for lock in &page.locks {
        table.row(vec![
            format!("{}/{}", lock.namespace, lock.job_id).into(),
            lock.slot.to_string().into(),
            lock.agent_id.as_str().into(),
            lock.run_id.as_str().into(),
            lock.attempt.to_string().into(),
            lock.fencing_token.to_string().into(),
        ]);
    }
    table.render(scene.width)
}
