//! What this node hears of the election: that its own key is gone, who else stands, and who leads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Event, EventType};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use scheduler_core::engine::{CandidacyId, Other};
use tokio::time::sleep;

use crate::{News, Standing};

use super::Shared;
use super::candidate::{Candidate, Value};
use super::watching::Watching;

const PAUSE: Duration = Duration::from_millis(200);

/// Never ends. Whoever drops a wait for the next item loses nothing: what was under way goes on with the next wait.
pub(super) fn news(shared: Arc<Shared>) -> BoxStream<'static, News> {
    let watcher = Watcher {
        shared,
        watching: None,
        candidates: BTreeMap::new(),
        told: Standing::default(),
        untold: VecDeque::new(),
        checked: BTreeSet::new(),
    };
    stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) }).boxed()
}

struct Watcher {
    shared: Arc<Shared>,
    watching: Option<Watching>,
    candidates: BTreeMap<Vec<u8>, Candidate>,
    told: Standing,
    untold: VecDeque<News>,
    /// Members whose version was looked at.
    checked: BTreeSet<usize>,
}

impl Watcher {
    async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.untold.pop_front() {
                return news;
            }
            match &mut self.watching {
                None => self.read_anew().await,
                Some(watching) => match watching.next(&self.shared.members).await {
                    Some(events) => self.take(&events),
                    None => self.watching = None,
                },
            }
        }
    }

    async fn read_anew(&mut self) {
        let prefix = self.shared.settings.leader_prefix();
        // Those that have a key before the read are in it, or have lost it, whatever its revision is.
        let own = self.shared.candidacies.keys();
        let (read, revision) = match self.shared.read_all(&prefix).await {
            Ok(read) => read,
            Err(failure) => {
                tracing::debug!(?failure, "the candidates cannot be read");
                return sleep(PAUSE).await;
            }
        };
        for (id, key) in own {
            if !read.iter().any(|kv| key.is(kv)) {
                self.lost(id);
            }
        }
        self.candidates = read.iter().map(|kv| (kv.key().to_vec(), Candidate::from(kv))).collect();
        self.tell_standing();
        let member = *self.shared.members.preferred().borrow();
        if self.checked.insert(member) {
            self.shared.warn_of_version(member).await;
        }
        match Watching::begin(&self.shared.members, &prefix, revision).await {
            Ok(watching) => self.watching = Some(watching),
            Err(failure) => {
                tracing::debug!(?failure, "the candidates cannot be watched");
                sleep(PAUSE).await;
            }
        }
    }

    fn take(&mut self, events: &[Event]) {
        for event in events {
            let Some(kv) = event.kv() else { continue };
            match event.event_type() {
                EventType::Put => {
                    self.candidates.insert(kv.key().to_vec(), Candidate::from(kv));
                }
                EventType::Delete => {
                    self.candidates.remove(kv.key());
                    let own = self.shared.candidacies.keys();
                    for (id, _) in own.iter().filter(|(_, key)| key.name.as_bytes() == kv.key()) {
                        self.lost(*id);
                    }
                }
            }
        }
        self.tell_standing();
    }

    fn lost(&mut self, id: CandidacyId) {
        if self.shared.candidacies.end(id).is_some() {
            self.untold.push_back(News::Lost(id));
        }
    }

    fn tell_standing(&mut self) {
        let mut candidates: Vec<&Candidate> = self.candidates.values().collect();
        candidates.sort_by_key(|candidate| candidate.created);
        let leader = candidates.first().and_then(|first| first.value.clone()).map(Value::peer);
        let mut others = BTreeMap::new();
        for value in candidates.iter().filter_map(|candidate| candidate.value.as_ref()) {
            // A key of an earlier process of this node is nobody else's.
            if value.node != self.shared.settings.node.as_str() {
                others.insert(value.node.as_str(), value.schedule_version.as_str());
            }
        }
        let other = |(node, version): (&str, &str)| Other { node: node.into(), schedule_version: version.to_owned() };
        let standing = Standing { leader, others: others.into_iter().map(other).collect() };
        if standing != self.told {
            self.told.clone_from(&standing);
            self.untold.push_back(News::Standing(standing));
        }
    }
}
