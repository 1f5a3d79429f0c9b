//! Deliberate bugs, each at the seam where a real one would act. They show that the simulation finds what it is for.
//! Neither the engine nor the agent's session has a switch: a plant alters a model, or what passes between the two.

use crate::kinds::kinds;

kinds! {
    Plant {
        /// The ledger does not compare the epoch of a transaction with its own.
        FenceRemoved = "fence check removed",
        /// A take-over does not wait for the transactions that hold EPOCH.
        TakeOverDoesNotWait = "take-over does not wait for open transactions",
        /// Heartbeats are confirmed without asking the coordinator or the ledger whether the node still leads.
        ConfirmedWithoutProof = "confirmation without renewal",
        /// The leader believes that an agent holds all that the ledger says it holds.
        InventoryIgnored = "Inventory ignored",
        /// The leader believes that an agent that comes back holds nothing.
        InventoryBelievedEmpty = "Inventory believed to be empty",
        /// A new leader does not read the rows entered since the watermark.
        RowsSinceWatermarkUnread = "rows since the watermark not read",
        /// The watermark is in the ledger before the rows are.
        WatermarkBeforeInsert = "watermark moved before the insert",
        /// A new leader begins at a later watermark than the ledger's.
        WatermarkAhead = "watermark taken to be later than it is",
        /// After an unknown outcome the transaction is made anew, with new ids.
        UnknownDecidedAnew = "unknown commit decided anew",
        /// Reports are acknowledged before they are durable.
        ReportAcknowledgedEarly = "report acknowledged before it is durable",
        /// The leader takes an attempt's slot for free before the end of the attempt is in the ledger.
        SlotFreedEarly = "lock released before the report is durable",
        /// A leader does not hear that agents' leases end, with their locks.
        IdleLockOutlivesLease = "idle lock reused after its lease ended",
        /// A leader takes locks for taken as soon as it has asked for them.
        DispatchBeforeLock = "dispatch before the lock's answer",
        /// A release frees the lock, whoever has it by then.
        LockOfAnotherReleased = "release of another's lock",
        /// Changes are answered before they are durable.
        ChangeAnsweredEarly = "change answered before it is durable",
        /// What is under way to an agent when its job is changed is sent after the answer.
        ChangeAnsweredBeforeRevocation = "change answered before revocation",
        /// The ledger says that it has committed, and commits later, if nothing comes in between.
        CommitAnsweredEarly = "commit answered before it is one",
        /// The answer to one transaction is taken for the answer to the next one too.
        AnswerAppliedTwice = "a batch's answer applied twice",
        /// An agent keeps no highest epoch: it takes orders from whoever says that it leads.
        LowerEpochAccepted = "a lower epoch's Assign accepted",
        /// Attempts are LOST after a quarter of the TTL.
        LostBeforeTtl = "LOST before the TTL has passed",
        /// Neither the agent nor its supervisors stop what has no right to run.
        RightToRunIgnored = "right to run ignored by the agent",
        /// An agent takes the end of its stream for the end of its right to run.
        TasksDieWithStream = "tasks killed when the stream breaks",
        /// A MISSED record ends one fire late.
        MissedOffByOne = "a MISSED range off by one",
        /// A new leader reads jobs as they were one change before.
        StaleJobsRead = "jobs read as they were before their last change",
        /// A leader tells of changes up to the last that is in the ledger, though one before may be on its way.
        ChangesToldAsRead = "changes told up to what is read, not to what is complete",
        /// A new leader that knows jobs is not told what was counted of them since.
        CountsUnread = "counts of known jobs not read",
        /// A node that stands by takes the watermark to be later than it is.
        TimersAhead = "timers ahead of the watermark",
        /// A new leader goes by the largest `max_instances` that a job ever had.
        ShrinkIgnored = "a shrunk max_instances ignored",
        /// What a resume makes up is entered by two rows.
        CatchUpEnteredTwice = "catch_up entered twice",
        /// Ended runs are deleted though they are later than the watermark.
        RetentionDeletesRecentRows = "retention that deletes rows since the watermark",
        /// A node puts right what a client asks for instead of refusing it.
        BadInputPutRight = "bad input taken for good",
        /// Numbers of requests are not remembered.
        RequestsForgotten = "numbers of requests forgotten",
        /// A new instance claims that the old one is gone while its tasks live.
        FalseProofOfDeath = "an agent's end proved while its tasks live",
        /// Every instance that comes counts as proof that the others of its id are gone.
        TwoInstances = "two instances of an id",
        /// A take-over's epoch is the ledger's clock, whatever the last one was.
        EpochByClockAlone = "epochs and tokens that follow a clock back",
        /// Now and then, those who watch are not told of a commit.
        PublicationLost = "a commit that watchers are not told of",
        /// Watchers are told that no older run will change, though the ledger has not taken its end yet.
        FloorTooHigh = "watchers' floor above a run on its way",
        /// What a leader hands to an agent, it sends to the next agent too.
        AssignedTwice = "an Assign sent to a second agent",
    }
}
