//! The one table of who may call what. A method that it does not name is called by nobody.

use scheduler_core::access::Role;

use crate::peers::PRESENCE;

use Place::{Among, Cluster, In, Whole};
use Role::{Admin, Agent, Operator, Viewer};

/// What a method needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `punctual.v1.JobService/GetJob`, or all methods of a service: `grpc.reflection.v1.ServerReflection/`.
    pub method: &'static str,
    /// `None`: nobody has to sign in.
    pub role: Option<Role>,
    pub place: Place,
}

/// Where a call acts, for callers who may see some namespaces only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the namespace that this field of the request names.
    In(&'static str),
    /// As `In`; `-` stands for all that the caller may see, and the service leaves out the rest.
    Among(&'static str),
    /// In none: what it shows or does belongs to no namespace, or the service leaves out what the caller may not see.
    Cluster,
    /// In all of them: it is for those who may see every namespace.
    Whole,
}

const fn rule(method: &'static str, role: Role, place: Place) -> Rule {
    Rule { method, role: Some(role), place }
}

/// By service and name.
pub const RULES: &[Rule] = &[
    rule("punctual.v1.JobService/CreateJob", Admin, In("job.namespace")),
    rule("punctual.v1.JobService/GetJob", Viewer, In("namespace")),
    rule("punctual.v1.JobService/ListJobs", Viewer, Among("namespace")),
    rule("punctual.v1.JobService/UpdateJob", Admin, In("job.namespace")),
    rule("punctual.v1.JobService/DeleteJob", Admin, In("namespace")),
    rule("punctual.v1.JobService/UndeleteJob", Admin, In("namespace")),
    rule("punctual.v1.JobService/PauseJob", Operator, In("namespace")),
    rule("punctual.v1.JobService/ResumeJob", Operator, In("namespace")),
    rule("punctual.v1.JobService/EnableJob", Admin, In("namespace")),
    rule("punctual.v1.JobService/DisableJob", Admin, In("namespace")),
    rule("punctual.v1.JobService/TriggerJob", Operator, In("namespace")),
    rule("punctual.v1.JobService/BackfillJob", Operator, In("namespace")),
    rule("punctual.v1.JobService/PreviewSchedule", Viewer, In("namespace")),
    rule("punctual.v1.JobService/ExplainFire", Viewer, In("namespace")),
    rule("punctual.v1.JobService/ListUpcomingFires", Viewer, Among("namespace")),
    rule("punctual.v1.JobService/ListJobRevisions", Viewer, In("namespace")),
    rule("punctual.v1.JobService/RestoreJobRevision", Admin, In("namespace")),
    rule("punctual.v1.JobService/ListNamespaces", Viewer, Cluster),
    rule("punctual.v1.RunService/GetRun", Viewer, In("namespace")),
    rule("punctual.v1.RunService/ListRuns", Viewer, Among("namespace")),
    rule("punctual.v1.RunService/WatchRuns", Viewer, Among("namespace")),
    rule("punctual.v1.RunService/CancelRun", Operator, In("namespace")),
    rule("punctual.v1.RunService/RetryRun", Operator, In("namespace")),
    rule("punctual.v1.RunService/GetRunLogs", Viewer, In("namespace")),
    rule("punctual.v1.RunService/TailRunLogs", Viewer, In("namespace")),
    rule("punctual.v1.RunService/GetRunStats", Viewer, Among("namespace")),
    rule("punctual.v1.RunService/PurgeRuns", Admin, In("namespace")),
    rule("punctual.v1.CalendarService/CreateCalendar", Admin, In("calendar.namespace")),
    rule("punctual.v1.CalendarService/GetCalendar", Viewer, In("namespace")),
    rule("punctual.v1.CalendarService/ListCalendars", Viewer, Among("namespace")),
    rule("punctual.v1.CalendarService/UpdateCalendar", Admin, In("calendar.namespace")),
    rule("punctual.v1.CalendarService/DeleteCalendar", Admin, In("namespace")),
    // Agents serve all namespaces.
    rule("punctual.v1.AgentService/ListAgents", Viewer, Cluster),
    rule("punctual.v1.AgentService/GetAgent", Viewer, Cluster),
    rule("punctual.v1.AgentService/CordonAgent", Operator, Whole),
    rule("punctual.v1.AgentService/UncordonAgent", Operator, Whole),
    rule("punctual.v1.AgentService/DrainAgent", Operator, Whole),
    rule("punctual.v1.TaskTypeService/ListTaskTypes", Viewer, Cluster),
    rule("punctual.v1.TaskTypeService/GetTaskType", Viewer, Cluster),
    rule("punctual.v1.SchedulerService/GetStatus", Viewer, Cluster),
    rule("punctual.v1.SchedulerService/ListLocks", Viewer, Among("namespace")),
    rule("punctual.v1.SchedulerService/StepDown", Admin, Whole),
    rule("punctual.v1.TokenService/CreateToken", Admin, Whole),
    rule("punctual.v1.TokenService/ListTokens", Admin, Whole),
    rule("punctual.v1.TokenService/RevokeToken", Admin, Whole),
    rule("punctual.v1.AuditService/ListAuditEvents", Admin, Among("namespace")),
    // Which agent, and which queues, its Hello says; the stream's reader compares them with the token.
    rule("punctual.v1.ExecutorService/Connect", Agent, Cluster),
    // It says that the process serves, and nothing else; who watches over processes has no token.
    Rule { method: "grpc.health.v1.Health/", role: None, place: Cluster },
    rule("grpc.reflection.v1.ServerReflection/", Viewer, Cluster),
    rule("grpc.reflection.v1alpha.ServerReflection/", Viewer, Cluster),
];

/// What is answered by hand, beside the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByHand {
    Page,
    Healthz,
    Readyz,
    Metrics,
    OpenApi,
    Presence,
}

/// By path: probes have no token, and pages are the same for everybody. The port's router is made of this table, so that it
/// has no path that is not in it.
pub const BY_HAND: &[(&str, ByHand, Option<Role>)] = &[
    ("/", ByHand::Page, None),
    ("/healthz", ByHand::Healthz, None),
    ("/readyz", ByHand::Readyz, None),
    ("/metrics", ByHand::Metrics, Some(Viewer)),
    ("/api/v1/openapi.json", ByHand::OpenApi, Some(Viewer)),
    (PRESENCE, ByHand::Presence, None),
];

/// The rule of a gRPC path, as `/punctual.v1.JobService/GetJob`.
pub fn of_method(path: &str) -> Option<&'static Rule> {
    let method = path.strip_prefix('/')?;
    RULES.iter().find(|rule| {
        let is_service = rule.method.ends_with('/');
        if is_service { method.starts_with(rule.method) } else { method == rule.method }
    })
}

/// Whether the path is one of those that are answered by hand.
pub fn is_by_hand(path: &str) -> bool {
    BY_HAND.iter().any(|(known, ..)| *known == path)
}

/// What a path that is not gRPC's needs before anything is read of the request. REST's methods say more by their own rules,
/// and what there is not is nobody's.
pub fn of_path(path: &str) -> Entry {
    match BY_HAND.iter().find(|(known, ..)| *known == path) {
        Some((_, _, None)) => Entry::Open,
        Some((_, _, Some(role))) => Entry::Role(*role),
        None => Entry::SignedIn,
    }
}

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Open,
    SignedIn,
    Role(Role),
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

    use super::*;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    /// The field of that path, if it is a text.
    fn is_text(message: &MessageDescriptor, path: &str) -> bool {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        match message.get_field_by_name(first).map(|field| field.kind()) {
            Some(Kind::String) => rest.is_empty(),
            Some(Kind::Message(inner)) => is_text(&inner, rest),
            _ => false,
        }
    }

    #[test]
    fn every_method_has_one_rule_and_every_rule_a_method() {
        let mut described = Vec::new();
        for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let name = format!("{}/{}", method.parent_service().full_name(), method.name());
            let rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.method == name).collect();
            assert_eq!(rules.len(), 1, "{name} needs one rule in access/rules.rs");
            assert_eq!(of_method(&format!("/{name}")), Some(rules[0]));
            described.push(name);
        }
        let ours = RULES.iter().filter(|rule| rule.method.starts_with("punctual."));
        for rule in ours {
            assert!(described.iter().any(|name| name == rule.method), "{} is no method", rule.method);
        }
    }

    #[test]
    fn a_request_that_names_a_namespace_is_judged_by_it() {
        for method in pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let name = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let place = of_method(&name).unwrap().place;
            let paths = ["namespace", "job.namespace", "calendar.namespace"];
            let named = paths.into_iter().find(|path| is_text(&method.input(), path));
            match place {
                In(path) | Among(path) => assert_eq!(Some(path), named, "{name}"),
                Cluster | Whole => assert_eq!(None, named, "{name}"),
            }
        }
    }

    #[test]
    fn what_no_rule_names_is_nobodys() {
        for path in ["/punctual.v1.JobService/Explode", "/punctual.v1.JobService/", "/x/GetJob", "GetJob", ""] {
            assert_eq!(of_method(path), None, "{path}");
        }
        for path in ["/api/v1/scheduler/nothing", "/nothing", "/healthz/", "//", "", "/api", "/Metrics"] {
            assert_eq!(of_path(path), Entry::SignedIn, "{path}");
        }
        assert_eq!(of_path("/metrics"), Entry::Role(Viewer));
    }

    #[test]
    fn who_may_change_definitions_is_admin_and_who_steers_them_operator() {
        let role = |name: &str| of_method(&format!("/punctual.v1.JobService/{name}")).unwrap().role.unwrap();
        for (name, expected) in
            [("GetJob", Viewer), ("TriggerJob", Operator), ("PauseJob", Operator), ("UpdateJob", Admin)]
        {
            assert_eq!(role(name), expected, "{name}");
        }
    }
}
