//! Agents as text.

use anstyle::Style;
use punctual_proto::v1::{Agent, ListAgentsResponse, agent};

use super::job::labels;
use super::table::{Cell, Fit, Table, facts};
use super::when::{absolute, relative};
use super::{BUSY, GOOD, ODD, PLAIN, Scene};

pub(crate) fn agents(page: &ListAgentsResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("AGENT", Fit::Whole),
        ("STATE", Fit::Whole),
        ("SLOTS", Fit::Whole),
        ("QUEUES", Fit::Cut),
        ("TASK TYPES", Fit::Cut),
        ("LABELS", Fit::Drop(1)),
        ("HEARD", Fit::Drop(2)),
        ("VERSION", Fit::Drop(0)),
    ]);
    for agent in &page.agents {
        table.row(vec![
            agent.agent_id.as_str().into(),
            state(agent),
            slots(agent).into(),
            agent.queues.join(",").into(),
            agent.task_types.join(",").into(),
            labels(&agent.labels).into(),
            relative(agent.heartbeat_time.as_ref(), scene.now).into(),
            agent.version.as_str().into(),
        ]);
    }
    table.render(scene.width)
}

pub(crate) fn agent(agent: &Agent, scene: &Scene) -> String {
    facts(&[
        ("agent", agent.agent_id.as_str().into()),
        ("instance", agent.instance.as_str().into()),
        ("state", state(agent)),
        ("slots", slots(agent).into()),
        ("queues", agent.queues.join(", ").into()),
        ("task types", agent.task_types.join(", ").into()),
        ("labels", labels(&agent.labels).into()),
        ("version", agent.version.as_str().into()),
        ("cordoned", cordon(agent, scene).into()),
        ("connected", absolute(agent.connect_time.as_ref(), scene.now).into()),
        ("heard", absolute(agent.heartbeat_time.as_ref(), scene.now).into()),
    ])
}

fn cordon(agent: &Agent, scene: &Scene) -> String {
    let Some(cordon) = &agent.cordon else { return String::new() };
    let note = if cordon.note.is_empty() { String::new() } else { format!(": {}", cordon.note) };
    format!("by {}, {}{note}", cordon.author, absolute(cordon.time.as_ref(), scene.now))
}

/// What operators look for first.
fn state(agent: &Agent) -> Cell {
    if agent.cordon.is_some() {
        return Cell::styled(format!("{}, CORDONED", agent.state().as_str_name()), ODD);
    }
    Cell::styled(agent.state().as_str_name(), style(agent.state()))
}

fn slots(agent: &Agent) -> String {
    format!("{} of {} busy", agent.busy_slots, agent.slots)
}

fn style(state: agent::State) -> Style {
    match state {
        agent::State::Alive => GOOD,
        agent::State::Stale => ODD,
        agent::State::Draining => BUSY,
        agent::State::Gone | agent::State::Unspecified => PLAIN,
    }
}
