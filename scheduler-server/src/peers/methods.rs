//! Which methods need the leader. Reads come from the ledger, at any node; so do tokens, which any node writes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MethodDescriptor};

/// What any node answers by itself.
const ANYWHERE: [&str; 17] = [
    "AuditService.ListAuditEvents",
    "CalendarService.GetCalendar",
    "CalendarService.ListCalendars",
    "JobService.ExplainFire",
    "JobService.GetJob",
    "JobService.ListJobRevisions",
    "JobService.ListJobs",
    "JobService.ListNamespaces",
    "JobService.PreviewSchedule",
    "RunService.GetRun",
    "RunService.GetRunLogs",
    "RunService.GetRunStats",
    "RunService.ListRuns",
    "TokenService.CreateToken",
    "TokenService.ListTokens",
    "TokenService.RevokeToken",
    // An agent is sent to the leader with a Redirect: its stream ends where its right to run comes from.
    "ExecutorService.Connect",
];

/// Of what needs the leader, what changes nothing, so that it may be asked twice.
const READS: [&str; 9] = [
    "AgentService.GetAgent",
    "AgentService.ListAgents",
    // Who leads knows each job's next fire.
    "JobService.ListUpcomingFires",
    "RunService.TailRunLogs",
    "RunService.WatchRuns",
    "SchedulerService.GetStatus",
    "SchedulerService.ListLocks",
    "TaskTypeService.GetTaskType",
    "TaskTypeService.ListTaskTypes",
];

/// A method that needs the leader.
pub(super) struct Method {
    pub(super) descriptor: MethodDescriptor,
    /// Asked twice it does what it does once: it reads, or the ledger remembers its number.
    pub(super) is_repeatable: bool,
}

static METHODS: LazyLock<BTreeMap<String, Method>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).expect("because it is built in and whole");
    let ours = pool.services().filter(|service| service.package_name() == "punctual.v1");
    let methods: Vec<_> = ours.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let leaders = methods.into_iter().filter(|descriptor| !ANYWHERE.contains(&name(descriptor).as_str()));
    leaders
        .map(|descriptor| {
            let path = format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name());
            let is_numbered = descriptor.input().get_field_by_name("request_id").is_some();
            let is_repeatable = is_numbered || READS.contains(&name(&descriptor).as_str());
            (path, Method { descriptor, is_repeatable })
        })
        .collect()
});

fn name(descriptor: &MethodDescriptor) -> String {
    format!("{}.{}", descriptor.parent_service().name(), descriptor.name())
}

/// The method at this path, if it needs the leader.
pub(super) fn of_leader(path: &str) -> Option<&'static Method> {
    METHODS.get(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_name_methods_that_there_are() {
        let pool = DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).unwrap();
        let all: Vec<String> = pool
            .services()
            .flat_map(|service| service.methods().map(|method| name(&method)).collect::<Vec<_>>())
            .collect();
        for listed in ANYWHERE.iter().chain(&READS) {
            assert!(all.iter().any(|method| method == listed), "{listed}");
        }
    }

    /// Every method whose name says that it changes something needs the leader, and none is asked twice by mistake.
    #[test]
    fn writes_need_the_leader_and_only_numbered_ones_are_repeated() {
        let repeatable = |path: &str| of_leader(path).map(|method| method.is_repeatable);
        for path in ["JobService/CreateJob", "JobService/TriggerJob", "JobService/BackfillJob", "RunService/RetryRun"] {
            assert_eq!(repeatable(&format!("/punctual.v1.{path}")), Some(true), "{path}");
        }
        for path in ["JobService/UpdateJob", "JobService/PauseJob", "RunService/CancelRun", "RunService/PurgeRuns"] {
            assert_eq!(repeatable(&format!("/punctual.v1.{path}")), Some(false), "{path}");
        }
        for path in ["/punctual.v1.JobService/GetJob", "/grpc.health.v1.Health/Check", "/nothing"] {
            assert_eq!(repeatable(path), None, "{path}");
        }
        let verbs = ["Get", "List", "Watch", "Tail", "Explain", "Preview"];
        for method in METHODS.values().filter(|method| method.is_repeatable) {
            let name = method.descriptor.name();
            let is_numbered = method.descriptor.input().get_field_by_name("request_id").is_some();
            assert!(is_numbered || verbs.iter().any(|verb| name.starts_with(verb)), "{name}");
        }
    }
}
