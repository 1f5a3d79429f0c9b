//! All that is ever asked of etcd, in one place.

use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, GetOptions, KeyValue, PutOptions, ResponseHeader, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use super::Shared;
use super::members::Failure;

/// What must be so for a transaction to be done.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// The key was made by this revision, and is there still; 0: it is not there.
    Made(String, i64),
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Put { key: String, value: Vec<u8>, lease: i64 },
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
    },
    /// For each key that was to be read, what it is.
    NotDone {
        read: Vec<Option<KeyValue>>,
    },
}

impl Shared {
    /// A linearizable read of a key.
    pub(super) async fn read(&self, key: &str) -> Result<Option<KeyValue>, Failure> {
        Ok(self.get(key, GetOptions::new()).await?.0.pop())
    }

    /// A linearizable read of all keys with a prefix, and its revision.
    pub(super) async fn read_all(&self, prefix: &str) -> Result<(Vec<KeyValue>, i64), Failure> {
        self.get(prefix, GetOptions::new().with_prefix()).await
    }

    async fn get(&self, key: &str, options: GetOptions) -> Result<(Vec<KeyValue>, i64), Failure> {
        let get = |mut client: Client| {
            let (key, options) = (key.to_owned(), options.clone());
            async move { client.get(key, Some(options)).await }
        };
        let mut response = self.members.ask(self.settings.lease, get).await?;
        let revision = revision(response.header());
        Ok((response.take_kvs(), revision))
    }

    /// May be done more than once, when answers are lost: its guards must refuse it then.
    pub(super) async fn transact(&self, transaction: &Transaction) -> Result<Outcome, Failure> {
        let transact = |mut client: Client| {
            let transaction = Txn::from(transaction);
            async move { client.txn(transaction).await }
        };
        Ok(self.members.ask(self.settings.lease, transact).await?.into())
    }

    pub(super) async fn grant(&self, lasts: Duration) -> Result<i64, Failure> {
        let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let grant = |mut client: Client| async move { client.lease_grant(seconds, None).await };
        Ok(self.members.ask(self.settings.lease, grant).await?.id())
    }

    pub(super) async fn renew(&self, lease: i64) -> Result<(), Failure> {
        let renew = |mut client: Client| async move { client.lease_keep_alive(lease).await };
        self.members.ask(self.settings.lease, renew).await.map(|_| ())
    }

    /// Ends a lease, and with it all keys on it.
    pub(super) async fn revoke(&self, lease: i64) -> Result<(), Failure> {
        let revoke = |mut client: Client| async move { client.lease_revoke(lease).await };
        self.members.ask(self.settings.lease, revoke).await.map(|_| ())
    }
}

fn revision(header: Option<&ResponseHeader>) -> i64 {
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
        }
    }
}

impl From<&Write> for TxnOp {
    fn from(write: &Write) -> Self {
        match write {
            Write::Put { key, value, lease } => {
                Self::put(key.as_str(), value.as_slice(), Some(PutOptions::new().with_lease(*lease)))
            }
        }
    }
}

impl From<TxnResponse> for Outcome {
    fn from(response: TxnResponse) -> Self {
        if response.succeeded() {
            return Self::Done { revision: revision(response.header()) };
        }
        let read = response.op_responses().into_iter().filter_map(|op| match op {
            TxnOpResponse::Get(mut get) => Some(get.take_kvs().pop()),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        Self::NotDone { read: read.collect() }
    }
}
