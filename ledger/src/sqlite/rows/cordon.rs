use scheduler_core::agent::Cordon;
use scheduler_core::ids::AgentId;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::time;

pub(in crate::sqlite) fn cordon(row: &SqliteRow) -> sqlx::Result<(AgentId, Cordon)> {
    let cordon = Cordon {
        note: row.try_get("cordon_note")?,
        author: row.try_get("cordon_author")?,
        time: time(row, "cordon_time")?,
    };
    Ok((AgentId(row.try_get("agent_id")?), cordon))
}
