//! `punctual agent`.

use punctual_proto::v1::{
    Agent, CordonAgentRequest, DrainAgentRequest, GetAgentRequest, ListAgentsRequest, UncordonAgentRequest, agent,
};

use crate::client::Server;
use crate::commands::{Page, labels};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the agents that the leader knows
    List(List),
    /// Show one agent
    Get {
        /// Id of the agent
        agent_id: String,
    },
    /// Give an agent no new work until it is uncordoned, through restarts too
    Cordon {
        /// Id of the agent
        agent_id: String,
        /// Why; shown with the agent
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Give a cordoned agent work again
    Uncordon {
        /// Id of the agent
        agent_id: String,
    },
    /// Ask an agent to take nothing new, finish what it has, and leave
    Drain {
        /// Id of the agent
        agent_id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only agents in this state, or in one of several: A,B
    #[arg(long = "state", value_name = "STATE,…", value_parser = state, value_delimiter = ',')]
    states: Vec<agent::State>,
    /// Only agents that have this label, and each further one
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// Only agents whose id starts with this
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    query: String,
    #[command(flatten)]
    page: Page,
}

fn state(text: &str) -> Result<agent::State, String> {
    value::name(text, agent::State::from_str_name, &["ALIVE", "STALE", "DRAINING", "GONE"])
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    match command {
        Command::List(args) => list(args, &server, settings).await,
        Command::Get { agent_id } => {
            let agent = server.answer(server.agents().get_agent(GetAgentRequest { agent_id }).await)?;
            view::show(settings.output, &agent, view::agent)
        }
        Command::Cordon { agent_id, note } => {
            let request = CordonAgentRequest { agent_id, note };
            say("cordoned", &server.answer(server.agents().cordon_agent(request).await)?, settings)
        }
        Command::Uncordon { agent_id } => {
            let request = UncordonAgentRequest { agent_id };
            say("uncordoned", &server.answer(server.agents().uncordon_agent(request).await)?, settings)
        }
        Command::Drain { agent_id } => {
            let agent = server.answer(server.agents().drain_agent(DrainAgentRequest { agent_id }).await)?;
            say("draining", &agent, settings)
        }
    }
}

fn say(done: &str, agent: &Agent, settings: &Settings) -> Result<(), Failure> {
    view::show(settings.output, agent, |agent, _| {
        format!("{done} {}, {} of {} slots busy\n", agent.agent_id, agent.busy_slots, agent.slots)
    })
}

async fn list(args: List, server: &Server, settings: &Settings) -> Result<(), Failure> {
    let is_narrow = !(args.states.is_empty() && args.labels.is_empty() && args.query.is_empty());
    let request = ListAgentsRequest {
        states: args.states.into_iter().map(i32::from).collect(),
        labels: labels(args.labels),
        query: args.query,
        page_size: args.page.page_size,
        page_token: args.page.page_token,
    };
    let page = server.answer(server.agents().list_agents(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.agents.as_slice() {
        [] if is_narrow => "No agent fits.\n".to_owned(),
        [] => "No agents. Start one with `executor-agent`.\n".to_owned(),
        _ => view::agents(page, scene),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}
