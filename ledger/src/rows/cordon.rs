use scheduler_core::agent::Cordon;
use scheduler_core::ids::AgentId;

use super::{Columns, Values, time};

pub(crate) fn put_cordon(values: &mut impl Values, (agent, cordon): (&AgentId, &Cordon)) {
    values.put(agent.as_str()).put(cordon.note.as_str()).put(cordon.author.as_str()).put(cordon.time.as_micros());
}

pub(crate) fn cordon(row: &impl Columns) -> sqlx::Result<(AgentId, Cordon)> {
    let cordon =
        Cordon { note: row.get("cordon_note")?, author: row.get("cordon_author")?, time: time(row, "cordon_time")? };
    Ok((AgentId(row.get("agent_id")?), cordon))
}
