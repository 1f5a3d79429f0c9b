//! REST knows nothing but the bindings: what they leave out or get wrong cannot be reached.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, Value};

const VERBS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

struct Binding {
    verb: &'static str,
    path: String,
    body: String,
}

impl Binding {
    fn read(rule: &DynamicMessage, found: &mut Vec<Self>) {
        let verb = VERBS.into_iter().find(|verb| rule.has_field_by_name(verb)).expect("a rule has a verb");
        found.push(Self { verb, path: text(rule, verb), body: text(rule, "body") });
        let further = rule.get_field_by_name("additional_bindings").expect("HttpRule has the field");
        for rule in further.as_list().expect("it is repeated") {
            Self::read(rule.as_message().expect("of rules"), found);
        }
    }

    fn variables(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

fn text(rule: &DynamicMessage, field: &str) -> String {
    rule.get_field_by_name(field).expect("HttpRule has the field").as_str().expect("it is a string").to_owned()
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).expect("the descriptor set is whole")
}

fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn bindings(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<Binding> {
    let http = pool.get_extension_by_name("google.api.http").expect("the extension is in the set");
    let options = method.options();
    let mut found = Vec::new();
    if let (true, Value::Message(rule)) = (options.has_extension(&http), options.get_extension(&http).into_owned()) {
        Binding::read(&rule, &mut found);
    }
    found
}

fn has_path(message: &MessageDescriptor, path: &str) -> bool {
    match path.split_once('.') {
        None => message.get_field_by_name(path).is_some(),
        Some((first, rest)) => message
            .get_field_by_name(first)
            .and_then(|field| field.kind().as_message().cloned())
            .is_some_and(|inner| has_path(&inner, rest)),
    }
}

#[test]
fn every_method_but_the_agents_stream_has_a_rest_path() {
    let pool = pool();
    let without: Vec<String> = methods(&pool)
        .iter()
        .filter(|method| bindings(&pool, method).is_empty())
        .map(|method| method.full_name().to_owned())
        .collect();
    assert_eq!(without, ["punctual.v1.ExecutorService.Connect"]);
}

#[test]
fn every_path_variable_and_body_is_a_field_of_its_request() {
    let pool = pool();
    for method in methods(&pool) {
        for binding in bindings(&pool, &method) {
            let (path, request) = (&binding.path, method.input());
            assert!(path.starts_with("/api/v1/scheduler/"), "{path}");
            for variable in binding.variables() {
                assert!(has_path(&request, variable), "{path}: {} has no {variable}", request.name());
            }
            match binding.body.as_str() {
                "" => assert!(["get", "delete"].contains(&binding.verb), "{path} has no body"),
                "*" => {}
                field => assert!(has_path(&request, field), "{path}: {} has no {field}", request.name()),
            }
        }
    }
}

#[test]
fn no_two_methods_share_a_verb_and_path() {
    let pool = pool();
    let mut seen = BTreeSet::new();
    for method in methods(&pool) {
        for binding in bindings(&pool, &method) {
            let shape: Vec<&str> =
                binding.path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
            assert!(seen.insert((binding.verb, shape.join("/"))), "{} {} twice", binding.verb, binding.path);
        }
    }
}

#[test]
fn replacing_a_resource_is_the_same_method_as_updating_it() {
    let pool = pool();
    for method in methods(&pool).iter().filter(|method| method.name().starts_with("Update")) {
        let found = bindings(&pool, method);
        let verbs: Vec<&str> = found.iter().map(|binding| binding.verb).collect();
        assert_eq!(verbs, ["patch", "put"], "{}", method.full_name());
        assert_eq!(found[0].path, found[1].path, "{}", method.full_name());
    }
}
