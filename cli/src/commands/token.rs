//! `punctual token`.

use prost_types::Timestamp;
use punctual_proto::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Token, token};

use crate::client::Server;
use crate::commands::Page;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create a token and print it, once
    Create(Create),
    /// List tokens, without their secrets
    List(List),
    /// End a token at once
    Revoke {
        /// Id of the token
        token_id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// What its bearer may do: VIEWER, OPERATOR, ADMIN or AGENT
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: token::Role,
    /// What its bearer is called in revisions and in the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    name: String,
    /// A namespace that it is good for; may be repeated [default: all]
    #[arg(long = "for-namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// For AGENT: an agent that may use it; may be repeated [default: any]
    #[arg(long = "agent", value_name = "ID")]
    agent_ids: Vec<String>,
    /// For AGENT: a queue that its agents may serve; may be repeated [default: any]
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,
    /// How long it is good for: 12h, 90d [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = value::ahead)]
    expires_in: Option<Timestamp>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Expired and revoked ones, too
    #[arg(long)]
    ended: bool,
    #[command(flatten)]
    page: Page,
}

fn role(text: &str) -> Result<token::Role, String> {
    value::name(text, token::Role::from_str_name, &["VIEWER", "OPERATOR", "ADMIN", "AGENT"])
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    match command {
        Command::Create(args) => create(args, &server, settings).await,
        Command::List(args) => list(args, &server, settings).await,
        Command::Revoke { token_id } => {
            let revoked = server.answer(server.tokens().revoke_token(RevokeTokenRequest { token_id }).await)?;
            view::show(settings.output, &revoked, |token, _| format!("revoked {}\n", token.token_id))
        }
    }
}

async fn create(args: Create, server: &Server, settings: &Settings) -> Result<(), Failure> {
    let token = Token {
        display_name: args.name,
        role: args.role.into(),
        namespaces: args.namespaces,
        agent_ids: args.agent_ids,
        queues: args.queues,
        expire_time: args.expires_in,
        ..Token::default()
    };
    let request = CreateTokenRequest { token: Some(token), request_id: String::new() };
    let created = server.answer(server.tokens().create_token(request).await)?;
    // The secret alone, for a file; what it is goes beside it.
    view::show(settings.output, &created, |token, _| format!("{}\n", token.secret))?;
    if settings.output == crate::settings::Output::Table {
        anstream::eprintln!("Token {} is shown this once: give it with --token-file.", created.token_id);
    }
    Ok(())
}

async fn list(args: List, server: &Server, settings: &Settings) -> Result<(), Failure> {
    let request =
        ListTokensRequest { show_ended: args.ended, page_size: args.page.page_size, page_token: args.page.page_token };
    let page = server.answer(server.tokens().list_tokens(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.tokens.as_slice() {
        [] => "No tokens. The first is made by `scheduler-server token bootstrap`.\n".to_owned(),
        _ => view::tokens(page, scene),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}
