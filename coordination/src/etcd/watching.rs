//! A watch of keys, from just after a read of them. It ends when it cannot prove any more that it tells everything; then
//! the keys are read anew, because what happened in between may have been compacted away, or have another history.

use etcd_client::{Error as EtcdError, Event, WatchOptions, WatchStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::members::{Failure, Members};
use super::requests::revision;

pub(super) struct Watching {
    stream: WatchStream,
    member: usize,
    preferred: watch::Receiver<usize>,
}

impl Watching {
    /// Watches all keys with a prefix, beginning with what came after `read`, a revision.
    pub(super) async fn begin(members: &Members, prefix: &str, read: i64) -> Result<Self, Failure> {
        let preferred = members.preferred();
        let member = *preferred.borrow();
        let options = WatchOptions::new().with_prefix().with_start_revision(read + 1);
        let begin = async {
            let mut stream = members.client(member).await?.watch(prefix, Some(options)).await?;
            let created = stream.message().await?;
            Ok::<_, EtcdError>((stream, created))
        };
        let why = match timeout(members.patience(), begin).await {
            // Where the revisions have gone back, the watch would be silent until they come to where they were.
            Ok(Ok((stream, Some(created)))) if revision(created.header()) >= read => {
                return Ok(Self { stream, member, preferred });
            }
            Ok(Ok(_)) => "etcd is behind what was read".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        members.leave(member);
        Err(Failure::Unreachable(why))
    }

    /// What happened next; `None`: read anew.
    pub(super) async fn next(&mut self, members: &Members) -> Option<Vec<Event>> {
        let message = tokio::select! {
            biased;
            message = self.stream.message() => message,
            // Others have found that the member does not answer.
            _ = self.preferred.wait_for(|preferred| *preferred != self.member) => return None,
        };
        match message {
            Ok(Some(response)) if !response.canceled() => Some(response.events().to_vec()),
            Ok(Some(response)) => {
                tracing::debug!(
                    compacted = response.compact_revision(),
                    why = response.cancel_reason(),
                    "a watch ends"
                );
                None
            }
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%error, "a watch breaks");
                members.leave(self.member);
                None
            }
        }
    }
}
