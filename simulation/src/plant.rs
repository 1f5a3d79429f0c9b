//! Deliberate bugs, each at the seam where a real one would act. They show that the simulation finds what it is for.
//! Neither the engine nor the agent's session has a switch: a plant alters a model, or what passes between the two.

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Plant {
    /// The ledger does not compare the epoch of a transaction with its own.
    FenceRemoved,
    /// A take-over does not wait for the transactions that hold EPOCH.
    TakeOverDoesNotWait,
    /// Heartbeats are confirmed without asking whether the node still leads.
    ConfirmedWithoutProof,
    /// The leader believes that an agent holds all that the ledger says it holds.
    InventoryIgnored,
    /// The leader believes that an agent that comes back holds nothing.
    InventoryBelievedEmpty,
    /// A new leader does not read the rows entered since the watermark.
    RowsSinceWatermarkUnread,
    /// The watermark is in the ledger before the rows are.
    WatermarkBeforeInsert,
    /// A new leader begins at a later watermark than the ledger's.
    WatermarkAhead,
    /// After an unknown outcome the transaction is made anew, with new ids.
    UnknownDecidedAnew,
    /// Reports are acknowledged before they are durable.
    ReportAcknowledgedEarly,
    /// Changes are answered before they are durable.
    ChangeAnsweredEarly,
    /// The ledger says that it has committed, and commits later, if nothing comes in between.
    CommitAnsweredEarly,
    /// An agent takes orders from a leader that it knows to be deposed.
    LowerEpochAccepted,
    /// Attempts are LOST after a quarter of the TTL.
    LostBeforeTtl,
    /// Neither the agent nor its supervisors stop what has no right to run.
    RightToRunIgnored,
    /// A MISSED record ends one fire late.
    MissedOffByOne,
    /// A new leader reads jobs as they were one change before.
    StaleJobsRead,
    /// Ended runs are deleted though they are later than the watermark.
    RetentionDeletesRecentRows,
    /// Numbers of requests are not remembered.
    RequestsForgotten,
    /// A new instance claims that the old one is gone while its tasks live.
    FalseProofOfDeath,
    /// Tokens begin anew with every take-over.
    TokensRestart,
    /// What a leader does not hear for a while, it sends to the next agent too.
    AssignedTwice,
}

impl Plant {
    pub const ALL: [Self; 22] = [
        Self::FenceRemoved,
        Self::TakeOverDoesNotWait,
        Self::ConfirmedWithoutProof,
        Self::InventoryIgnored,
        Self::InventoryBelievedEmpty,
        Self::RowsSinceWatermarkUnread,
        Self::WatermarkBeforeInsert,
        Self::WatermarkAhead,
        Self::UnknownDecidedAnew,
        Self::ReportAcknowledgedEarly,
        Self::ChangeAnsweredEarly,
        Self::CommitAnsweredEarly,
        Self::LowerEpochAccepted,
        Self::LostBeforeTtl,
        Self::RightToRunIgnored,
        Self::MissedOffByOne,
        Self::StaleJobsRead,
        Self::RetentionDeletesRecentRows,
        Self::RequestsForgotten,
        Self::FalseProofOfDeath,
        Self::TokensRestart,
        Self::AssignedTwice,
    ];
}
