//! What this node hears of the election: that its own key is gone, who else stands, and who leads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Event, EventType};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use scheduler_core::engine::{CandidacyId, Other};
use scheduler_core::ids::AgentInstance;
use tokio::time::sleep;

use crate::{News, Standing};

use super::Shared;
use super::candidate::Candidate;
use super::members::Failure;
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
    watching: Option<(Watching, Watching)>,
    candidates: BTreeMap<Vec<u8>, Candidate>,
    told: Standing,
    untold: VecDeque<News>,
    /// Members whose version was looked at.
    checked: BTreeSet<usize>,
}

enum Happened {
    ToCandidates(Vec<Event>),
    ToLeases(Vec<Event>),
}

impl Watcher {
    async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.untold.pop_front() {
                return news;
            }
            match &mut self.watching {
                None => self.read_anew().await,
                Some((candidates, leases)) => {
                    let happened = tokio::select! {
                        biased;
                        events = candidates.next(&self.shared.members) => events.map(Happened::ToCandidates),
                        events = leases.next(&self.shared.members) => events.map(Happened::ToLeases),
                    };
                    match happened {
                        Some(Happened::ToCandidates(events)) => self.take(&events),
                        Some(Happened::ToLeases(events)) => self.take_leases(&events),
                        None => self.watching = None,
                    }
                }
            }
        }
    }

    async fn read_anew(&mut self) {
        match self.try_to_read_anew().await {
            Ok(watching) => self.watching = Some(watching),
            Err(failure) => {
                tracing::debug!(?failure, "the election cannot be watched");
                sleep(PAUSE).await;
            }
        }
    }

    async fn try_to_read_anew(&mut self) -> Result<(Watching, Watching), Failure> {
        let prefix = self.shared.settings.leader_prefix();
        // Those that have a key before the read are in it, or have lost it, whatever its revision is.
        let own = self.shared.candidacies.keys();
        let (read, revision) = self.shared.read_all(&prefix).await?;
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
        let candidates = Watching::begin(&self.shared.members, &prefix, revision).await?;
        let agents = self.shared.settings.agent_prefix();
        let lent = self.shared.lent.all();
        let (read, revision) = self.shared.read_all(&agents).await?;
        let there: BTreeSet<_> = read.iter().filter_map(|kv| self.shared.agent_of(kv.key())).collect();
        let ended =
            lent.into_iter().filter(|(agent, lease)| !there.contains(agent) && self.shared.lent.ended(*agent, *lease));
        let ended = ended.map(|(agent, _)| agent).collect();
        self.tell_ended(ended);
        let leases = Watching::begin(&self.shared.members, &agents, revision).await?;
        Ok((candidates, leases))
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

    fn take_leases(&mut self, events: &[Event]) {
        let deleted = events.iter().filter(|event| event.event_type() == EventType::Delete).filter_map(Event::kv);
        let ended = deleted.filter_map(|kv| Some((self.shared.agent_of(kv.key())?, kv.mod_revision())));
        let ended = ended.filter(|(agent, revision)| self.shared.lent.deleted(*agent, *revision));
        let ended = ended.map(|(agent, _)| agent).collect();
        self.tell_ended(ended);
    }

    fn tell_ended(&mut self, agents: Vec<AgentInstance>) {
        if !agents.is_empty() {
            self.untold.push_back(News::LeasesEnded(agents));
        }
    }

    fn lost(&mut self, id: CandidacyId) {
        if self.shared.candidacies.end(id).is_some() {
            self.untold.push_back(News::Lost(id));
        }
    }

    fn tell_standing(&mut self) {
        let mut candidates: Vec<&Candidate> = self.candidates.values().collect();
        candidates.sort_by_key(|candidate| candidate.created);
        let leader = candidates.first().and_then(|first| first.peer());
        let mut others = BTreeMap::new();
        for value in candidates.iter().filter_map(|candidate| candidate.value.as_ref()) {
            // A key of an earlier process of this node is nobody else's.
            if value.node != self.shared.settings.node.as_str() {
                others.insert(value.node.as_str(), value.schedule_version.as_str());
            }
        }
        let other = |(node, version): (&str, &str)| Other { node: node.into(), schedule_version: version.to_owned() };
        let standing = Standing {
            leader,
            others: others.into_iter().map(other).collect(),
            candidates: candidates.iter().filter_map(|candidate| candidate.peer()).collect(),
        };
        if standing != self.told {
            self.told.clone_from(&standing);
            self.untold.push_back(News::Standing(standing));
        }
    }
}
