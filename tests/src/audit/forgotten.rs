//! What the ledger knew and knows no more: it was put back to what it had been.

/// The attempts that are not in the ledger any more, by their fencing tokens.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    /// The greatest that is still there.
    pub after: u64,
    /// The least that was handed out since.
    pub before: u64,
}

impl Forgotten {
    pub(super) fn has(&self, token: u64) -> bool {
        self.after < token && token < self.before
    }
}
