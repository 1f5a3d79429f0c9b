//! All that is ever asked of etcd, in one place.

use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, GetOptions, KeyValue, PutOptions, ResponseHeader, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use super::Shared;
use super::members::Failure;

const LONGEST_CALL: Duration = Duration::from_secs(3);
/// Keys in one answer: it must not be longer than gRPC's 4 MiB.
const PAGE: i64 = 8_192;

/// What must be so for a transaction to be done.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// The key was made by this revision, and is there still; 0: it is not there.
    Made(String, i64),
    /// The key has this value.
    Is(String, Vec<u8>),
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Put { key: String, value: Vec<u8>, lease: i64 },
    Delete { key: String },
}

/// All of its writes are done, or none and the keys are read instead.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) guards: Vec<Guard>,
    pub(super) writes: Vec<Write>,
    pub(super) otherwise_read: Vec<String>,
}

/// What became of a transaction, and at which revision.
pub(super) enum Outcome {
    Done {
        revision: i64,
        cluster: u64,
    },
    /// For each key that was to be read, what it is.
    NotDone {
        read: Vec<Option<KeyValue>>,
        cluster: u64,
    },
}

impl Shared {
    /// How long a call may take with all its tries. What a lease has outlived is worth nothing.
    fn within(&self) -> Duration {
        self.settings.lease.min(LONGEST_CALL)
    }

    /// A linearizable read of a key, and its revision.
    pub(super) async fn read(&self, key: &str) -> Result<(Option<KeyValue>, i64), Failure> {
        let (mut kvs, revision) = self.get(key, GetOptions::new()).await?;
        Ok((kvs.pop(), revision))
    }

    /// A linearizable read of all keys with a prefix, and its revision.
    pub(super) async fn read_all(&self, prefix: &str) -> Result<(Vec<KeyValue>, i64), Failure> {
        self.get(prefix, GetOptions::new().with_prefix()).await
    }

    /// The same where they may be too many for one answer; all as they were at one revision.
    pub(super) async fn read_pages(&self, prefix: &str) -> Result<Vec<KeyValue>, Failure> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let (mut all, mut from, mut at) = (Vec::new(), prefix.as_bytes().to_vec(), 0);
        loop {
            let page = GetOptions::new().with_range(end.clone()).with_limit(PAGE).with_revision(at);
            let (kvs, revision) = self.get(&from, page).await?;
            at = if at == 0 { revision } else { at };
            let Some(last) = kvs.last() else { return Ok(all) };
            from = [last.key(), &[0]].concat();
            let is_last = i64::try_from(kvs.len()).is_ok_and(|found| found < PAGE);
            all.extend(kvs);
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn get(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<(Vec<KeyValue>, i64), Failure> {
        let get = |mut client: Client| {
            let (key, options) = (key.as_ref().to_vec(), options.clone());
            async move { client.get(key, Some(options)).await }
        };
        let mut response = self.members.ask(self.within(), get).await?;
        let revision = revision(response.header());
        #[cfg_attr(not(test), expect(unused_mut, reason = "only tests alter it"))]
        let mut kvs = response.take_kvs();
        #[cfg(test)]
        self.alter_read(key.as_ref(), &mut kvs);
        Ok((kvs, revision))
    }

    /// May be done more than once, when answers are lost: its guards must refuse it then.
    pub(super) async fn transact(&self, transaction: &Transaction) -> Result<Outcome, Failure> {
        #[cfg(test)]
        let transaction = &self.alter_transaction(transaction);
        let transact = |mut client: Client| {
            let transaction = Txn::from(transaction);
            async move { client.txn(transaction).await }
        };
        #[cfg_attr(not(test), expect(unused_mut, reason = "only tests alter it"))]
        let mut outcome = Outcome::from(self.members.ask(self.within(), transact).await?);
        #[cfg(test)]
        self.alter_outcome(&mut outcome);
        Ok(outcome)
    }

    pub(super) async fn grant(&self, lasts: Duration) -> Result<i64, Failure> {
        let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let grant = |mut client: Client| async move { client.lease_grant(seconds, None).await };
        Ok(self.members.ask(self.within(), grant).await?.id())
    }

    pub(super) async fn renew(&self, lease: i64) -> Result<(), Failure> {
        let renew = |mut client: Client| async move { client.lease_keep_alive(lease).await };
        self.members.ask(self.within(), renew).await.map(|_| ())
    }

    /// How long the lease lasts after each renewal.
    pub(super) async fn time_to_live(&self, lease: i64) -> Result<Duration, Failure> {
        let ask = |mut client: Client| async move { client.lease_time_to_live(lease, None).await };
        let granted = self.members.ask(self.within(), ask).await?.granted_ttl();
        u64::try_from(granted).ok().filter(|granted| *granted > 0).map(Duration::from_secs).ok_or(Failure::Gone)
    }

    /// Ends a lease, and with it all keys on it.
    pub(super) async fn revoke(&self, lease: i64) -> Result<(), Failure> {
        let revoke = |mut client: Client| async move { client.lease_revoke(lease).await };
        self.members.ask(self.within(), revoke).await.map(|_| ())
    }
}

pub(super) fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, ResponseHeader::revision)
}

impl From<&Transaction> for Txn {
    fn from(transaction: &Transaction) -> Self {
        let Transaction { guards, writes, otherwise_read } = transaction;
        let guards: Vec<Compare> = guards.iter().map(Compare::from).collect();
        let writes: Vec<TxnOp> = writes.iter().map(TxnOp::from).collect();
        let reads: Vec<TxnOp> = otherwise_read.iter().map(|key| TxnOp::get(key.as_str(), None)).collect();
        Self::new().when(guards).and_then(writes).or_else(reads)
    }
}

impl From<&Guard> for Compare {
    fn from(guard: &Guard) -> Self {
        match guard {
            Guard::Made(key, revision) => Self::create_revision(key.as_str(), CompareOp::Equal, *revision),
            Guard::Is(key, value) => Self::value(key.as_str(), CompareOp::Equal, value.as_slice()),
        }
    }
}

impl From<&Write> for TxnOp {
    fn from(write: &Write) -> Self {
        match write {
            Write::Put { key, value, lease } => {
                Self::put(key.as_str(), value.as_slice(), Some(PutOptions::new().with_lease(*lease)))
            }
            Write::Delete { key } => Self::delete(key.as_str(), None),
        }
    }
}

impl From<TxnResponse> for Outcome {
    fn from(response: TxnResponse) -> Self {
        let cluster = response.header().map_or(0, ResponseHeader::cluster_id);
        if response.succeeded() {
            return Self::Done { revision: revision(response.header()), cluster };
        }
        let read = response.op_responses().into_iter().filter_map(|op| match op {
            TxnOpResponse::Get(mut get) => Some(get.take_kvs().pop()),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        Self::NotDone { read: read.collect(), cluster }
    }
}
