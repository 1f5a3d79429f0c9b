//! Which method answers which request: a table read from the `google.api.http` options of the descriptor set.

use std::sync::{Arc, LazyLock};

use axum::http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MethodDescriptor};

use super::template::Template;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET)
        .expect("because the descriptor set is built in and whole")
});

/// All that is described.
pub(in crate::http) fn pool() -> &'static DescriptorPool {
    &POOL
}

/// One binding of a method.
#[derive(Debug)]
pub(in crate::http) struct Route {
    pub(in crate::http) verb: Method,
    pub(in crate::http) template: Template,
    pub(in crate::http) method: MethodDescriptor,
    pub(in crate::http) body: Body,
}

/// What the body of a request is read into.
#[derive(Debug, PartialEq)]
pub(in crate::http) enum Body {
    /// There is none.
    Empty,
    /// The whole request.
    Whole,
    /// One field of the request, a message.
    Field(FieldDescriptor),
}

impl Route {
    pub(in crate::http) fn body_field(&self) -> Option<&FieldDescriptor> {
        match &self.body {
            Body::Field(field) => Some(field),
            Body::Empty | Body::Whole => None,
        }
    }
}

/// What the table has for a request.
pub(super) enum Found<'t> {
    /// The route, and the values of its template's variables.
    Route(&'t Arc<Route>, Vec<String>),
    /// The path is known, with these methods.
    Allowed(Vec<&'t Method>),
    /// The path is not known.
    Nothing,
}

pub(in crate::http) struct Table {
    routes: Vec<Arc<Route>>,
}

impl Table {
    pub(in crate::http) fn new() -> Self {
        let http = pool().get_extension_by_name("google.api.http").expect("because every service imports it");
        let mut routes = Vec::new();
        for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let options = method.options();
            if options.has_extension(&http)
                && let Some(rule) = options.get_extension(&http).as_message()
            {
                bind(&mut routes, &method, rule);
            }
        }
        Table { routes }
    }

    pub(in crate::http) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    pub(super) fn find(&self, verb: &Method, path: &[String]) -> Found<'_> {
        let matching = || self.routes.iter().filter_map(|route| Some((route, route.template.matches(path)?)));
        let of_verb = matching().filter(|(route, _)| route.verb == *verb);
        if let Some((route, values)) = of_verb.min_by_key(|(route, _)| route.template.looseness()) {
            return Found::Route(route, values);
        }
        let mut allowed: Vec<&Method> = matching().map(|(route, _)| &route.verb).collect();
        allowed.sort_by_key(|verb| verb.as_str());
        allowed.dedup();
        if allowed.is_empty() { Found::Nothing } else { Found::Allowed(allowed) }
    }
}

fn bind(routes: &mut Vec<Arc<Route>>, method: &MethodDescriptor, rule: &DynamicMessage) {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name)?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let verbs = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("patch", Method::PATCH),
    ];
    for (name, verb) in verbs {
        let Some(path) = text(name) else { continue };
        let input = method.input();
        let body = match text("body").as_deref() {
            None => Body::Empty,
            Some("*") => Body::Whole,
            Some(field) => {
                Body::Field(input.get_field_by_name(field).expect("because bodies are fields of the request"))
            }
        };
        let template = Template::parse(&path, &input);
        routes.push(Arc::new(Route { verb, template, method: method.clone(), body }));
    }
    if let Some(more) = rule.get_field_by_name("additional_bindings") {
        more.as_list()
            .into_iter()
            .flatten()
            .filter_map(|rule| rule.as_message())
            .for_each(|rule| bind(routes, method, rule));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::template::segments;
    use super::*;

    fn found(verb: Method, path: &str) -> String {
        let table = Table::new();
        match table.find(&verb, &segments(path).unwrap()) {
            Found::Route(route, values) => format!("{} {}", route.method.name(), values.join(",")).trim().to_owned(),
            Found::Allowed(verbs) => verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join("|"),
            Found::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn requests_find_their_method() {
        let cases = [
            (Method::POST, "/jobs", "CreateJob"),
            (Method::GET, "/jobs", "ListJobs"),
            (Method::GET, "/jobs/a", "GetJob a"),
            (Method::PUT, "/jobs/a", "UpdateJob a"),
            (Method::PATCH, "/jobs/a", "UpdateJob a"),
            (Method::DELETE, "/jobs/a", "DeleteJob a"),
            (Method::GET, "/jobs/a/history", "ListRuns a"),
            (Method::POST, "/jobs/a/revisions/3/restore", "RestoreJobRevision a,3"),
            (Method::GET, "/runs/stats", "GetRunStats"),
            (Method::GET, "/runs/events", "WatchRuns"),
            (Method::GET, "/runs/x", "GetRun x"),
            (Method::GET, "/runs/x/logs/events", "TailRunLogs x"),
            (Method::POST, "/runs/purge", "PurgeRuns"),
            (Method::POST, "/jobs/a", "DELETE|GET|PATCH|PUT"),
            (Method::DELETE, "/jobs", "GET|POST"),
            (Method::GET, "/jobs/a/pause", "POST"),
            (Method::GET, "/jobs/a/b", "-"),
            (Method::GET, "/jobs/", "-"),
            (Method::GET, "", "-"),
        ];
        for (verb, path, expected) in cases {
            assert_eq!(found(verb.clone(), &format!("/api/v1/scheduler{path}")), expected, "{verb} {path}");
        }
    }

    #[test]
    fn every_method_but_connect_has_a_route() {
        let table = Table::new();
        for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let has_route = table.routes.iter().any(|route| route.method == method);
            assert_eq!(has_route, method.name() != "Connect", "{}", method.full_name());
        }
    }

    #[test]
    fn no_two_routes_collide() {
        let mut seen = BTreeMap::new();
        for route in &Table::new().routes {
            let key = (route.verb.to_string(), route.template.shape());
            let earlier = seen.insert(key.clone(), route.method.full_name().to_owned());
            assert_eq!(earlier, None, "{key:?}");
        }
        assert!(seen.len() >= 40, "{} routes", seen.len());
    }

    #[test]
    fn bodies_are_the_whole_request_or_a_message_in_it() {
        for route in &Table::new().routes {
            if let Body::Field(field) = &route.body {
                assert!(field.kind().as_message().is_some() && !field.is_list(), "{}", route.method.full_name());
            }
        }
    }
}
