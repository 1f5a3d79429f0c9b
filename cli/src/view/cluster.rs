//! The cluster as text.

use punctual_proto::v1::GetStatusResponse;

use super::table::{Cell, Fit, Table, facts};
use super::when::{measured, relative};
use super::{BAD, GOOD, ODD, Scene};

pub(crate) fn status(status: &GetStatusResponse, scene: &Scene) -> String {
    let mut text = facts(&[
        ("leader", leader(status)),
        ("agents", agents(status).into()),
        ("jobs", jobs(status).into()),
        ("runs", runs(status).into()),
        ("rates", rates(status).into()),
        ("lag", lag(status).into()),
    ]);
    if !status.nodes.is_empty() {
        text.push('\n');
        text.push_str(&nodes(status, scene));
    }
    for node in &status.nodes {
        for warning in &node.warnings {
            text.push_str(&facts(&[("warning", Cell::styled(format!("{}: {warning}", node.node_id), ODD))]));
        }
    }
    text
}

fn leader(status: &GetStatusResponse) -> Cell {
    match &status.leader {
        None => Cell::styled("none is known; nothing is handed out until there is one", BAD),
        Some(leader) => {
            let who = format!("{} at {}, epoch {}", leader.node_id, leader.address, leader.epoch);
            if leader.suspended {
                Cell::styled(format!("{who}; suspended: it cannot confirm that it still leads"), ODD)
            } else {
                Cell::styled(who, GOOD)
            }
        }
    }
}

fn agents(status: &GetStatusResponse) -> String {
    let agents = status.agents.unwrap_or_default();
    let mut text = format!("{} alive, {} of {} slots taken", agents.alive, agents.busy_slots, agents.slots);
    for (count, what) in [(agents.stale, "stale"), (agents.cordoned, "cordoned")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if agents.alive == 0 {
        text.push_str("; start one with `executor-agent`");
    }
    text
}

fn jobs(status: &GetStatusResponse) -> String {
    let jobs = status.jobs.unwrap_or_default();
    format!("{} active, {} paused, {} disabled, {} completed", jobs.active, jobs.paused, jobs.disabled, jobs.completed)
}

fn runs(status: &GetStatusResponse) -> String {
    let jobs = status.jobs.unwrap_or_default();
    format!("{} pending, {} running", jobs.pending_runs, jobs.running_runs)
}

fn rates(status: &GetStatusResponse) -> String {
    let Some(rates) = status.rates else { return "not measured".to_owned() };
    format!("{:.1} fires/s, {:.1} dispatches/s, {:.1} completions/s", rates.fires, rates.dispatches, rates.completions)
}

fn lag(status: &GetStatusResponse) -> String {
    let Some(lag) = &status.lag else { return String::new() };
    let mut parts = Vec::new();
    for (name, value) in
        [("watermark", &lag.watermark), ("dispatch p50", &lag.dispatch_p50), ("dispatch p99", &lag.dispatch_p99)]
    {
        parts.extend(value.as_ref().map(|value| format!("{name} {}", measured(value))));
    }
    parts.join(", ")
}

fn nodes(status: &GetStatusResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("NODE", Fit::Whole),
        ("ROLE", Fit::Whole),
        ("ADDRESS", Fit::Cut),
        ("VERSION", Fit::Drop(0)),
        ("STARTED", Fit::Drop(1)),
    ]);
    for node in &status.nodes {
        table.row(vec![
            node.node_id.as_str().into(),
            if node.leader { "leader" } else { "follower" }.into(),
            node.address.as_str().into(),
            node.version.as_str().into(),
            relative(node.start_time.as_ref(), scene.now).into(),
        ]);
    }
    table.render(scene.width)
}

#[cfg(test)]
mod tests {
    use punctual_proto::v1::get_status_response::{Agents, Leader, Node};

    use super::*;

    fn shown(response: &GetStatusResponse) -> String {
        let scene = Scene { now: chrono::DateTime::from_timestamp(1_000, 0).unwrap(), width: None };
        anstream::adapter::strip_str(&status(response, &scene)).to_string()
    }

    #[test]
    fn the_leader_and_its_epoch_come_first() {
        let leader = Leader { node_id: "n1".to_owned(), address: "http://a".to_owned(), epoch: 7, suspended: false };
        let text = shown(&GetStatusResponse { leader: Some(leader), ..GetStatusResponse::default() });
        assert_eq!(text.lines().next(), Some("leader:  n1 at http://a, epoch 7"));
    }

    #[test]
    fn what_is_wrong_with_a_node_is_said() {
        let warnings = vec!["nobody signs in".to_owned()];
        let node = Node { node_id: "n1".to_owned(), warnings, ..Node::default() };
        let text = shown(&GetStatusResponse { nodes: vec![node], ..GetStatusResponse::default() });
        assert!(text.ends_with("warning:  n1: nobody signs in\n"), "{text}");
    }

    #[test]
    fn without_a_leader_or_an_agent_it_says_so() {
        let text = shown(&GetStatusResponse { agents: Some(Agents::default()), ..GetStatusResponse::default() });
        assert!(text.contains("leader:  none is known"), "{text}");
        assert!(text.contains("start one with `executor-agent`"), "{text}");
    }
}
