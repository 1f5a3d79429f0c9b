//! Payloads of task types that agents brought: they must fit the schema that GetTaskType shows, as long as an agent that
//! offers the type is there. Those of the built-in types `job-spec` has checked.

use scheduler_core::Violations;
use scheduler_core::engine::{Answer, Command};
use scheduler_core::job::{Payload, Task};

use super::task_type::Offer;
use super::{Call, Error, Service};

impl Service {
    /// What speaks against the payload of a job's task. Paths start at the request.
    pub(super) async fn check_task(&self, call: &Call, task: &Task) -> Result<Violations, Error> {
        self.check_payload(call, &task.task_type, &task.payload, "job.task.payload").await
    }

    /// What speaks against a payload; `path` names it in the request.
    pub(super) async fn check_payload(
        &self,
        call: &Call,
        task_type: &str,
        payload: &Payload,
        path: &str,
    ) -> Result<Violations, Error> {
        if job_spec::BUILT_IN.contains(&task_type) {
            return Ok(Violations::default());
        }
        // Where no leader tells of agents, the write that follows says so, or waits for one.
        let Some(Answer::Agents(agents)) = self.ask_leader(call, Command::Agents).await? else {
            return Ok(Violations::default());
        };
        match Offer::of(task_type, &agents).living_schema() {
            Some(schema) => Ok(self.schemas.check(task_type, schema, payload, path).await),
            None => Ok(Violations::default()),
        }
    }
}
