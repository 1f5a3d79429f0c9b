//! The gRPC services: translate between the wire and the use cases of [`crate::service`], nothing more.
//!
//! Agents' streams are not here: they go straight to the engine's shell, in [`crate::leader`].

mod agent_service;
mod answer;
mod audit_service;
mod calendar_service;
mod errors;
mod job_service;
mod run_service;
mod scheduler_service;
mod task_type_service;
mod token_service;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use punctual_proto::v1;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::service::Service;

/// Every service but ExecutorService, to which the server adds that, health and reflection.
/// Streams of answers end when `drain` is cancelled.
pub fn services(service: Arc<Service>, drain: &CancellationToken) -> Routes {
    let runs = run_service::Runs { service: Arc::clone(&service), drain: drain.clone() };
    Routes::new(v1::job_service_server::JobServiceServer::new(job_service::Jobs(Arc::clone(&service))))
        .add_service(v1::run_service_server::RunServiceServer::new(runs))
        .add_service(v1::calendar_service_server::CalendarServiceServer::new(calendar_service::Calendars(Arc::clone(
            &service,
        ))))
        .add_service(v1::agent_service_server::AgentServiceServer::new(agent_service::Agents(Arc::clone(&service))))
        .add_service(v1::task_type_service_server::TaskTypeServiceServer::new(task_type_service::TaskTypes(
            Arc::clone(&service),
        )))
        .add_service(v1::scheduler_service_server::SchedulerServiceServer::new(scheduler_service::Scheduler(
            Arc::clone(&service),
        )))
        .add_service(v1::token_service_server::TokenServiceServer::new(token_service::Tokens(Arc::clone(&service))))
        .add_service(v1::audit_service_server::AuditServiceServer::new(audit_service::Audit(service)))
}
