//! This process, as other nodes tell it from those of the same node before and after it.

use scheduler_core::time::Timestamp;
use uuid::Uuid;

use crate::clock;

pub(crate) struct Process {
    pub(crate) instance: String,
    pub(crate) started: Timestamp,
}

impl Process {
    pub(crate) fn starts() -> Self {
        Self { instance: Uuid::new_v4().to_string(), started: clock::wall() }
    }
}
