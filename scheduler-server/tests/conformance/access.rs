//! Who may call what: every method by every way, with every kind of wrong token and with the right one.

use std::collections::BTreeMap;

use futures::StreamExt;
use prost::Message;
use punctual_proto::v1;
use scheduler_core::access::Role;
use scheduler_server::access::rules::{BY_HAND, ByHand, Place, of_method};
use scheduler_server::http::{ServedRoute, served_routes};
use serde_json::{Value as Json, json};
use tonic::{Code, Request, Status};
use v1::executor_service_client::ExecutorServiceClient;
use v1::run_service_client::RunServiceClient;

use crate::calls::{API, Outcome, pool};
use crate::node::Node;
use crate::walk::{bindings, filled, is_the_services};

/// Each way that the method can be called, and what it comes to.
async fn outcomes(node: &Node, method: &prost_reflect::MethodDescriptor) -> Vec<(String, Outcome)> {
    let bound = bindings(method);
    let mut outcomes = Vec::new();
    for (verb, template, body) in &bound {
        let (path, message) = filled(method, template, body);
        let bytes = message.encode_to_vec();
        let empty: Option<Json> = (!body.is_empty()).then(|| json!({}));
        let rest = node.rest(verb, &path, empty.as_ref()).await;
        outcomes.push((format!("{verb} {path}"), rest.outcome()));
        for content_type in ["application/grpc", "application/grpc-web+proto"] {
            let framed = node.framed(content_type, method, &bytes).await;
            outcomes.push((format!("{} {content_type}", method.name()), Outcome::of(&framed)));
        }
    }
    if bound.is_empty() {
        let opened = node.framed("application/grpc", method, &[]).await;
        outcomes.push((method.name().to_owned(), Outcome::of(&opened)));
    }
    outcomes
}

async fn assert_all(node: &Node, method: &prost_reflect::MethodDescriptor, who: &str, code: &str, reason: &str) {
    for (way, outcome) in outcomes(node, method).await {
        assert_eq!((outcome.code.as_str(), outcome.reason.as_str()), (code, reason), "{way}: {who}");
    }
}

#[tokio::test]
async fn every_method_is_answered_to_the_right_token_only() {
    let node = Node::start_signed_in().await;
    let mut of_role = BTreeMap::new();
    for role in Role::ALL {
        let scoped = if *role == Role::Agent { &[][..] } else { &["default"] };
        of_role.insert(*role, (node.token(*role, &[]).await, node.token(*role, scoped).await));
    }
    let (expired, revoked) = (node.expired(Role::Admin).await, node.revoked(Role::Admin).await);
    let elsewhere = node.token(Role::Admin, &["elsewhere"]).await;
    // Who has been let in once is not held up by the wrong tokens that come from here, too.
    for made in of_role.values().flat_map(|(whole, scoped)| [whole, scoped]).chain([&expired, &revoked, &elsewhere]) {
        node.sign_in(Some(&made.text));
        node.rest("GET", "/metrics", None).await;
    }
    let mut methods = 0;
    for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let rule = of_method(&path).unwrap_or_else(|| panic!("{path} has no rule"));
        let needed = rule.role.unwrap_or_else(|| panic!("{path} is open"));

        node.sign_in(None);
        assert_all(&node, &method, "nobody", "UNAUTHENTICATED", "NOT_SIGNED_IN").await;
        node.sign_in(Some("pct_nonsense"));
        assert_all(&node, &method, "a text that is no token", "UNAUTHENTICATED", "NOT_SIGNED_IN").await;
        for ended in [&expired, &revoked] {
            node.sign_in(Some(&ended.text));
            assert_all(&node, &method, "an ended token", "UNAUTHENTICATED", "TOKEN_EXPIRED").await;
        }
        for (role, (whole, scoped)) in &of_role {
            let may = match (role, needed) {
                (Role::Agent, needed) | (_, needed @ Role::Agent) => *role == needed,
                (role, needed) => *role >= needed,
            };
            for (made, reaches) in [(whole, true), (scoped, rule.place != Place::Whole)] {
                node.sign_in(Some(&made.text));
                let who = format!("{role} of {:?}", made.token.namespaces);
                if !(may && reaches) {
                    assert_all(&node, &method, &who, "PERMISSION_DENIED", "NOT_ALLOWED").await;
                    continue;
                }
                if needed != *role && (needed, *role) != (Role::Admin, Role::Admin) {
                    // One that may more is let in like the one that just may.
                    continue;
                }
                for (way, outcome) in outcomes(&node, &method).await {
                    // Agents are told by words, not by reasons.
                    let is_connect = method.name() == "Connect" && outcome.code == "FAILED_PRECONDITION";
                    assert!(is_connect || is_the_services(&outcome), "{way} by {who}: {outcome:?}");
                    assert_ne!(outcome.reason, "NOT_ALLOWED", "{way} by {who}");
                }
            }
        }
        if needed != Role::Agent {
            node.sign_in(Some(&elsewhere.text));
            match rule.place {
                Place::In(_) | Place::Among(_) | Place::Whole => {
                    assert_all(&node, &method, "an admin of elsewhere", "PERMISSION_DENIED", "NOT_ALLOWED").await;
                }
                Place::Cluster => {}
            }
        }
        methods += 1;
    }
    assert!(methods >= 45, "{methods} methods");
    node.end().await;
}

#[tokio::test]
async fn what_is_answered_by_hand_is_open_to_probes_and_closed_where_it_tells_something() {
    let node = Node::start_signed_in().await;
    let (viewer, agent) = (node.token(Role::Viewer, &["team-a"]).await, node.token(Role::Agent, &[]).await);
    for (path, what, role) in BY_HAND {
        // A node alone has nobody to tell that it is there.
        let open = if *what == ByHand::Presence { 404 } else { 200 };
        let expected = if role.is_some() { [401, 200, 403] } else { [open; 3] };
        for (token, expected) in [None, Some(&viewer), Some(&agent)].into_iter().zip(expected) {
            node.sign_in(token.map(|made| made.text.as_str()));
            assert_eq!(node.rest("GET", path, None).await.status, expected, "{path}");
            // What a request says of itself opens no other way to it.
            let disguised = node.rest_bytes("GET", path, &[("content-type", "application/grpc")], "").await;
            assert_eq!(disguised.headers.contains_key("grpc-status"), matches!(expected, 401 | 403), "{path}");
        }
    }
    node.sign_in(None);
    assert_eq!(node.rest("GET", &format!("{API}/nothing"), None).await.status, 401, "paths are not told apart");
    let health = node.framed_to("application/grpc", "/grpc.health.v1.Health/Check", &[]).await;
    assert_ne!(health.map_err(|status| status.code()), Err(Code::Unauthenticated));
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let refused = node.framed_to("application/grpc", reflection, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    node.sign_in(Some(&agent.text));
    assert_eq!(node.framed_to("application/grpc", reflection, &[]).await.unwrap_err().code(), Code::PermissionDenied);
    node.sign_in(Some(&viewer.text));
    // It says nothing to who asks nothing.
    let asked = node.framed_to("application/grpc", reflection, &[]).await;
    assert!(!asked.is_err_and(|status| matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)));
    node.end().await;
}

/// What the router has, rather than what the protos say that it should have.
#[tokio::test]
async fn every_route_of_the_router_has_a_rule_and_is_closed_without_a_token() {
    let node = Node::start_signed_in().await;
    let routes = served_routes();
    assert!(routes.len() >= 45, "{} routes", routes.len());
    for ServedRoute { verb, path, methods } in routes {
        assert!(!methods.is_empty(), "{verb} {path} leads nowhere");
        for method in &methods {
            let rule = of_method(method).unwrap_or_else(|| panic!("{verb} {path}: {method} has no rule"));
            assert!(rule.role.is_some(), "{verb} {path}: {method} is open");
        }
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "1" } else { segment });
        let path = segments.collect::<Vec<_>>().join("/");
        for path in [path.clone(), format!("{path}/"), path.replacen("/api", "//api", 1), format!("{path}/nothing")] {
            let body = (verb != "GET" && verb != "DELETE").then(|| json!({}));
            assert_eq!(node.rest(&verb, &path, body.as_ref()).await.status, 401, "{verb} {path}");
        }
    }
    // What nobody has thought of is nobody's.
    for path in ["/nothing", "/metrics/", "/api", "/assets/index.js", "/healthz/x", "/punctual.v1.JobService/GetJob"] {
        assert_eq!(node.rest("GET", path, None).await.status, 401, "{path}");
    }
    node.end().await;
}

async fn create(node: &Node, namespace: &str, job_id: &str) {
    let body = json!({"namespace": namespace, "jobId": job_id, "task": {"type": "noop"}});
    node.rest("POST", &format!("{API}/jobs"), Some(&body)).await.ok();
}

/// Whose items all pages have, in order.
async fn listed(node: &Node, list: &str, items: &str) -> Vec<String> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("{API}/{list}pageSize=2&pageToken={token}");
        let page = node.rest("GET", &path, None).await.ok();
        let shown = page[items].as_array().unwrap();
        assert!(shown.len() <= 2);
        found.extend(shown.iter().map(|item| item["namespace"].as_str().unwrap().to_owned()));
        token = page["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn lists_of_all_namespaces_show_those_that_the_caller_may_see() {
    let node = Node::start_signed_in().await;
    let admin = node.token(Role::Admin, &[]).await;
    let scoped = node.token(Role::Viewer, &["a", "c"]).await;
    node.sign_in(Some(&admin.text));
    let mut of_b = String::new();
    for (namespace, jobs) in [("a", 3), ("b", 2), ("c", 2)] {
        for n in 0..jobs {
            create(&node, namespace, &format!("j{n}")).await;
            let trigger = format!("{API}/jobs/j{n}/trigger?namespace={namespace}");
            let run = node.rest("POST", &trigger, Some(&json!({}))).await.ok();
            if namespace == "b" {
                of_b = run["runId"].as_str().unwrap().to_owned();
            }
        }
        let calendar = json!({"namespace": namespace, "calendarId": "days", "dates": ["2026-12-25"]});
        node.rest("POST", &format!("{API}/calendars"), Some(&calendar)).await.ok();
    }
    let count = |found: &[String], namespace: &str| found.iter().filter(|name| *name == namespace).count();
    for (list, items) in [
        ("jobs?namespace=-&", "jobs"),
        ("jobs?namespace=-&orderBy=update_time&", "jobs"),
        ("runs?namespace=-&", "runs"),
    ] {
        node.sign_in(Some(&admin.text));
        assert_eq!(listed(&node, list, items).await.len(), 7, "{list}");
        node.sign_in(Some(&scoped.text));
        let found = listed(&node, list, items).await;
        let counts = ["a", "b", "c"].map(|namespace| count(&found, namespace));
        assert_eq!(counts, [3, 0, 2], "{list}");
    }
    for (list, items) in [("calendars?namespace=-&", "calendars"), ("namespaces?", "namespaces")] {
        node.sign_in(Some(&scoped.text));
        assert_eq!(listed(&node, list, items).await, ["a", "c"], "{list}");
    }
    let here = node.rest("GET", &format!("{API}/runs/{of_b}?namespace=a"), None).await.outcome();
    assert_eq!(here.reason, "RUN_NOT_FOUND", "an id of another namespace tells nothing");
    let there = node.rest("GET", &format!("{API}/runs/{of_b}?namespace=b"), None).await.outcome();
    assert_eq!(there.reason, "NOT_ALLOWED");
    let stats = node.rest("GET", &format!("{API}/runs/stats?namespace=-"), None).await.outcome();
    assert_eq!((stats.code.as_str(), &stats.fields[..]), ("INVALID_ARGUMENT", &["namespace".to_owned()][..]));
    let watch = with(v1::WatchRunsRequest { namespace: "-".to_owned(), ..Default::default() }, &scoped.text);
    let mut watched = runs(&node).watch_runs(watch).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(run) = watched.next().await.unwrap().unwrap().run {
        seen.push(run.namespace);
    }
    assert_eq!((seen.len(), count(&seen, "b")), (5, 0));
    node.end().await;
}

fn runs(node: &Node) -> RunServiceClient<axum::Router> {
    RunServiceClient::with_origin(node.router.clone(), "http://localhost".parse().unwrap())
}

fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn who_changes_something_is_named_by_the_token() {
    let node = Node::start_signed_in().await;
    let (admin, operator) = (node.token(Role::Admin, &[]).await, node.token(Role::Operator, &["default"]).await);
    node.sign_in(Some(&admin.text));
    create(&node, "default", "j").await;
    node.sign_in(Some(&operator.text));
    let paused = node.rest("POST", &format!("{API}/jobs/j/pause"), Some(&json!({"note": "why"}))).await.ok();
    assert_eq!(paused["pause"]["author"], "the OPERATOR");
    let revisions = node.rest("GET", &format!("{API}/jobs/j/revisions"), None).await.ok();
    let authors: Vec<&str> = revisions["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| revision["author"].as_str().unwrap())
        .collect();
    assert_eq!(authors, ["the OPERATOR", "the ADMIN"]);
    let renamed = json!({"description": "mine now"});
    let refused = node.rest("PATCH", &format!("{API}/jobs/j"), Some(&renamed)).await;
    assert_eq!((refused.status.as_u16(), refused.outcome().reason.as_str()), (403, "NOT_ALLOWED"));
    node.end().await;
}

#[tokio::test]
async fn streams_end_when_their_token_is_revoked() {
    let node = Node::start_signed_in().await;
    let viewer = node.token(Role::Viewer, &[]).await;
    let watch = with(v1::WatchRunsRequest::default(), &viewer.text);
    let mut watched = runs(&node).watch_runs(watch).await.unwrap().into_inner();
    watched.next().await.unwrap().unwrap();
    node.revoke(&viewer).await;
    let ended = watched.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    let agent = node.token(Role::Agent, &[]).await;
    let (_open, mut incoming) = connect(&node, hello("a", &["default"]), &agent.text).await.unwrap();
    assert!(incoming.next().await.unwrap().is_ok(), "a Welcome");
    node.revoke(&agent).await;
    let ended = loop {
        if let Err(status) = incoming.next().await.unwrap() {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::Unauthenticated);
    node.end().await;
}

fn hello(agent_id: &str, queues: &[&str]) -> v1::agent_message::Message {
    v1::agent_message::Message::Hello(v1::Hello {
        protocol_version: 1,
        agent_id: agent_id.to_owned(),
        instance: uuid::Uuid::new_v4().to_string(),
        version: "0".to_owned(),
        queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
        task_types: vec![v1::hello::OfferedTaskType { name: "noop".to_owned(), payload_schema: None }],
        slots: 1,
        ..Default::default()
    })
}

type Incoming = tonic::Streaming<v1::ServerMessage>;

async fn connect(
    node: &Node,
    hello: v1::agent_message::Message,
    token: &str,
) -> Result<(tokio::sync::mpsc::Sender<v1::AgentMessage>, Incoming), Status> {
    let (open, outgoing) = tokio::sync::mpsc::channel(4);
    open.send(v1::AgentMessage { message: Some(hello) }).await.unwrap();
    let request = with(tokio_stream::wrappers::ReceiverStream::new(outgoing), token);
    let mut client = ExecutorServiceClient::with_origin(node.router.clone(), "http://localhost".parse().unwrap());
    Ok((open, client.connect(request).await?.into_inner()))
}

#[tokio::test]
async fn an_agents_token_is_good_for_its_ids_and_queues_only() {
    let node = Node::start_signed_in().await;
    let limited = node.token_with(Role::Agent, &[], |token| {
        token.agent_ids = ["a".to_owned()].into();
        token.queues = ["default".to_owned(), "heavy".to_owned()].into();
    });
    let limited = limited.await;
    let cases = [
        ("a", &["default"][..], Code::Ok),
        ("b", &["default"], Code::PermissionDenied),
        ("a", &["default", "billing"], Code::PermissionDenied),
    ];
    for (id, queues, expected) in cases {
        let (_open, mut incoming) = connect(&node, hello(id, queues), &limited.text).await.unwrap();
        let first = incoming.next().await.unwrap();
        assert_eq!(first.map_or_else(|status| status.code(), |_| Code::Ok), expected, "{id} {queues:?}");
    }
    node.end().await;
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let node = Node::start_signed_in().await;
    let admin = node.token(Role::Admin, &[]).await;
    node.sign_in(Some(&admin.text));
    let asked = json!({"displayName": "ci", "role": "OPERATOR", "namespaces": ["default"]});
    let tokens = format!("{API}/tokens");
    let created = node.rest("POST", &format!("{tokens}?requestId=r1"), Some(&asked)).await.ok();
    let (id, secret) = (created["tokenId"].as_str().unwrap(), created["secret"].as_str().unwrap());
    assert!(secret.starts_with("pct_") && created["author"] == "the ADMIN");
    let again = node.rest("POST", &format!("{tokens}?requestId=r1"), Some(&asked)).await.ok();
    assert_eq!((&again["tokenId"], &again["secret"]), (&json!(id), &json!("")));
    let other = json!({"role": "ADMIN"});
    let reused = node.rest("POST", &format!("{tokens}?requestId=r1"), Some(&other)).await.outcome();
    assert_eq!((reused.reason.as_str(), &reused.fields[..]), ("REQUEST_ID_REUSED", &["requestId".to_owned()][..]));
    let listed = node.rest("GET", &tokens, None).await.ok();
    let all = node.rest("GET", &format!("{API}/audit-events?namespace=-"), None).await.ok();
    for text in [listed.to_string(), all.to_string()] {
        assert!(text.contains(id) && !text.contains(secret) && !text.contains(&secret[40..80]), "{text}");
    }
    node.sign_in(Some(secret));
    node.rest("GET", &format!("{API}/jobs"), None).await.ok();
    node.sign_in(Some(&admin.text));
    let revoked = node.rest("POST", &format!("{tokens}/{id}/revoke"), Some(&json!({}))).await.ok();
    assert!(revoked["revokeTime"].is_string());
    let once_more = node.rest("POST", &format!("{tokens}/{id}/revoke"), Some(&json!({}))).await.ok();
    assert_eq!(once_more, revoked);
    node.sign_in(Some(secret));
    assert_eq!(node.rest("GET", &format!("{API}/jobs"), None).await.outcome().reason, "TOKEN_EXPIRED", "at once");
    node.end().await;
}

#[tokio::test]
async fn a_token_that_would_mean_nothing_is_refused_by_its_fields() {
    let node = Node::start().await;
    let cases = [
        (json!({}), "role"),
        (json!({"role": "VIEWER", "namespaces": ["A"]}), "namespaces[0]"),
        (json!({"role": "AGENT", "namespaces": ["a"]}), "namespaces"),
        (json!({"role": "VIEWER", "queues": ["a"]}), "queues"),
        (json!({"role": "AGENT", "agentIds": [""]}), "agentIds[0]"),
        (json!({"role": "VIEWER", "expireTime": "2020-01-01T00:00:00Z"}), "expireTime"),
        (json!({"role": "VIEWER", "displayName": "x".repeat(200)}), "displayName"),
    ];
    for (token, field) in cases {
        let refused = node.rest("POST", &format!("{API}/tokens"), Some(&token)).await.outcome();
        assert_eq!(
            (refused.code.as_str(), &refused.fields[..]),
            ("INVALID_ARGUMENT", &[field.to_owned()][..]),
            "{token}"
        );
    }
    assert_eq!(node.rest("GET", &format!("{API}/tokens"), None).await.ok()["tokens"], json!([]));
    node.end().await;
}
