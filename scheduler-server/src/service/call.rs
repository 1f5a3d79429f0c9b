//! One call of a client.

use std::sync::Mutex;

use scheduler_core::audit::Origin;

use crate::access::{Admission, Reach};

/// A write that the leader has and has not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// With which the client may ask again; for methods that can simply be repeated, none.
    pub request_id: Option<String>,
}

/// Who calls, and whether a write of theirs is with the leader: if the call is given up then, its outcome is
/// not known.
#[derive(Debug)]
pub struct Call {
    admission: Admission,
    handed: Mutex<Option<Handed>>,
}

impl Call {
    pub fn new(admission: Admission) -> Self {
        Self { admission, handed: Mutex::new(None) }
    }

    pub fn author(&self) -> String {
        self.admission.caller.author()
    }

    pub fn origin(&self) -> Origin {
        self.admission.caller.origin(self.admission.method)
    }

    pub fn reach(&self) -> Reach {
        self.admission.caller.reach()
    }

    pub fn handed(&self) -> Option<Handed> {
        self.handed.lock().expect("because no holder panics").clone()
    }

    pub(super) fn hand(&self, handed: Option<Handed>) {
        *self.handed.lock().expect("because no holder panics") = handed;
    }
}
