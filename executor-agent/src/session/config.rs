//! What a session is made with.

use std::collections::BTreeMap;

use uuid::Uuid;

/// All that a session needs to know from the start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses as URLs, tried in this order. At least one.
    pub servers: Vec<String>,
    pub agent_id: String,
    /// New with every start.
    pub instance: Uuid,
    /// Version of the program.
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub queues: Vec<String>,
    pub task_types: Vec<OfferedTaskType>,
    /// Attempts that run at a time. At least 1.
    pub slots: usize,
    /// Earlier instances that are proved gone, with their tasks.
    pub instances_proved_gone: Vec<Uuid>,
    /// Seed of the jitter between attempts to connect.
    pub seed: u64,
}

/// A task type as it is offered.
#[derive(Clone, Debug)]
pub struct OfferedTaskType {
    pub name: String,
    /// JSON Schema of the payload, as JSON text.
    pub payload_schema: Option<String>,
    /// Whether its tasks run in this process, where a task that does not end can only be ended with the process.
    pub in_process: bool,
}
