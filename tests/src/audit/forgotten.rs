//! What the ledger knew and knows no more: it was put back to what it had been.

/// The attempts that are not in the ledger any more, by their fencing tokens.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    /// The greatest that is still there.
    pub after: u64,
    /// The least that was handed out since.
    pub before: u64,
    /// Nobody knows that they were executed, and so their fires come again; else they were settled.
    pub may_run_again: bool,
}

impl Forgotten {
    pub(super) fn has(&self, token: u64) -> bool {
        self.after < token && token < self.before
    }
}
