use prost_reflect::{DynamicMessage, Kind, MethodDescriptor, ReflectMessage, Value};
use serde_json::{Value as Json, json};

use crate::calls::{Outcome, pool};
use crate::node::Node;

/// The bindings of a method: verb, path, body.
pub(crate) fn bindings(method: &MethodDescriptor) -> Vec<(&'static str, String, String)> {
    fn add(rule: &DynamicMessage, found: &mut Vec<(&'static str, String, String)>) {
        let text = |name: &str| rule.get_field_by_name(name).unwrap().as_str().unwrap().to_owned();
        let verbs = [("get", "GET"), ("put", "PUT"), ("post", "POST"), ("delete", "DELETE"), ("patch", "PATCH")];
        let (field, verb) = verbs.into_iter().find(|(field, _)| rule.has_field_by_name(field)).unwrap();
        found.push((verb, text(field), text("body")));
        for more in rule.get_field_by_name("additional_bindings").unwrap().as_list().unwrap() {
            add(more.as_message().unwrap(), found);
        }
    }
    let http = pool().get_extension_by_name("google.api.http").unwrap();
    let mut found = Vec::new();
    if method.options().has_extension(&http) {
        add(method.options().get_extension(&http).as_message().unwrap(), &mut found);
    }
    found
}

/// The path with its variables filled in, and the message that gRPC is sent to mean the same.
pub(crate) fn filled(method: &MethodDescriptor, template: &str, body: &str) -> (String, DynamicMessage) {
    let mut message = DynamicMessage::new(method.input());
    if let Some(field) = method.input().get_field_by_name(body) {
        message.get_field_mut(&field);
        let empty = DynamicMessage::new(field.kind().as_message().unwrap().clone());
        message.set_field(&field, Value::Message(empty));
    }
    let segments = template.split('/').map(|segment| {
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return segment.to_owned();
        };
        let mut inner = &mut message;
        let (above, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        for field in above.split('.').filter(|name| !name.is_empty()) {
            inner = inner.get_field_by_name_mut(field).unwrap().as_message_mut().unwrap();
        }
        let is_number = inner.descriptor().get_field_by_name(leaf).unwrap().kind() == Kind::Int32;
        let value = if is_number { Value::I32(1) } else { Value::String("nobody".to_owned()) };
        inner.set_field_by_name(leaf, value);
        if is_number { "1".to_owned() } else { "nobody".to_owned() }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    (path, message)
}

/// Answered by a service: with what was asked for, or with a refusal of its own.
pub(crate) fn is_the_services(outcome: &Outcome) -> bool {
    outcome.code == "OK" || (!outcome.reason.is_empty() && outcome.reason != "PATH_NOT_FOUND")
}

#[tokio::test]
async fn every_method_answers_alike_over_grpc_grpc_web_and_rest() {
    let node = Node::start().await;
    let (mut methods, mut routes) = (0, 0);
    for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let bound = bindings(&method);
        if bound.is_empty() {
            assert_eq!(method.full_name(), "punctual.v1.ExecutorService.Connect");
            let opened = node.framed("application/grpc", &method, &[]).await;
            // Agents are told by words, not by reasons.
            assert!(opened.as_ref().is_err_and(|status| status.message().contains("Hello")), "{opened:?}");
        }
        for (verb, template, body) in bound {
            let (path, message) = filled(&method, &template, &body);
            let grpc =
                Outcome::of(&node.framed("application/grpc", &method, &prost::Message::encode_to_vec(&message)).await);
            let web = Outcome::of(&node.grpc_web(&method, &message).await);
            let empty: Option<Json> = (!body.is_empty()).then(|| json!({}));
            let rest = node.rest(verb, &path, empty.as_ref()).await;
            assert!(is_the_services(&grpc) && rest.status != 405, "{}: {grpc:?} {rest:?}", method.full_name());
            assert_eq!(grpc, web, "{}", method.full_name());
            let rest = rest.outcome();
            assert_eq!((&grpc.code, &grpc.reason), (&rest.code, &rest.reason), "{verb} {path}");
            routes += 1;
        }
        methods += 1;
    }
    assert!(methods >= 45 && routes >= methods, "{methods} methods, {routes} routes");
    node.end().await;
}

#[tokio::test]
async fn what_no_service_has_is_told_from_what_one_refuses() {
    let node = Node::start().await;
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let unknown = node.framed_to(content_type, "/punctual.v1.JobService/Explode", &[]).await;
        let outcome = Outcome::of(&unknown);
        assert_eq!(outcome.code, "UNIMPLEMENTED");
        assert!(!is_the_services(&outcome), "{unknown:?}");
    }
    let unknown = node.rest("GET", "/api/v1/scheduler/explode", None).await.outcome();
    assert!(!is_the_services(&unknown), "{unknown:?}");
    node.end().await;
}
