//! The loop that owns the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use coordination::{Coordinator, News, Peer};
use ledger::Leader;
use scheduler_core::engine::{
    Alert, Answer, CandidacyId, ClockJump, Config, Effect, Engine, Input, MachineClock, Refusal, RequestHandle,
};
use scheduler_core::ids::{AgentId, Epoch};
use scheduler_core::time::{Boot, Now, Skew};
use scheduler_core::txn::CallId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::feed::Feed;
use crate::peers::Whereabouts;

use super::locks;
use super::streams::Streams;
use super::{Glance, Handle, Message, QUEUE};

/// How many inputs are taken before the loop looks at the clock again.
const BURST: usize = 256;
/// How long a leader that has resigned stays for its successor, to send agents and clients there: elections are faster, or
/// do not come about.
const SUCCESSION: Duration = Duration::from_secs(1);
/// How often agents' clocks are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was asked to.
    Asked,
    /// Another process has the ledger: this one must not go on.
    Deposed(String),
}

/// The engine with everything that it acts on.
pub struct Loop {
    engine: Engine,
    node_id: String,
    ledger: Arc<dyn Leader>,
    coordinator: Arc<dyn Coordinator>,
    inputs: mpsc::Receiver<Message>,
    /// Answers to effects come back this way.
    answers: mpsc::Sender<Message>,
    glance: watch::Sender<Glance>,
    agents_skews: watch::Sender<BTreeMap<AgentId, Skew>>,
    agents_skews_told: Boot,
    whereabouts: watch::Sender<Whereabouts>,
    elsewhere: watch::Sender<Option<Peer>>,
    candidates: watch::Sender<Vec<Peer>>,
    epoch: watch::Sender<Option<Epoch>>,
    changes: watch::Sender<Option<i64>>,
    /// Effects under way.
    effects: TaskTracker,
    streams: Streams,
    feed: Arc<Feed>,
    /// Who leads, by the coordinator.
    leader: Option<Peer>,
    /// The process that leads and does not answer.
    doubted: Option<String>,
    /// The last leader whose key was deleted for dead.
    buried: Option<Peer>,
    waiting: BTreeMap<RequestHandle, oneshot::Sender<Result<Answer, Refusal>>>,
    /// Why the process must end.
    quits: Option<String>,
}

impl Loop {
    pub fn new(
        config: Config,
        ledger: Arc<dyn Leader>,
        coordinator: Arc<dyn Coordinator>,
        feed: Arc<Feed>,
    ) -> (Self, Handle) {
        let (messages, inputs) = mpsc::channel(QUEUE);
        let (glance, glanced) = watch::channel(Glance::default());
        let (agents_skews, told) = watch::channel(BTreeMap::new());
        let (whereabouts, known) = watch::channel(Whereabouts::default());
        let (elsewhere, followed) = watch::channel(None);
        let (candidates, standing) = watch::channel(Vec::new());
        let (epoch, led) = watch::channel(None);
        let (changes, committed) = watch::channel(None);
        let numbers = Arc::new(AtomicU64::new(1));
        let handle = Handle {
            messages: messages.clone(),
            numbers,
            glance: glanced,
            agents_skews: told,
            whereabouts: known,
            elsewhere: followed,
            candidates: standing,
            epoch: led,
            changes: committed,
        };
        let this = Self {
            node_id: config.node.to_string(),
            engine: Engine::new(config, clock::now()),
            ledger,
            coordinator,
            inputs,
            answers: messages,
            glance,
            agents_skews,
            agents_skews_told: Boot::default(),
            whereabouts,
            elsewhere,
            candidates,
            epoch,
            changes,
            effects: TaskTracker::new(),
            streams: Streams::default(),
            feed,
            leader: None,
            doubted: None,
            buried: None,
            waiting: BTreeMap::new(),
            quits: None,
        };
        (this, handle)
    }

    /// Runs until asked to stop, or until another process has the ledger.
    pub async fn run(mut self, stop: CancellationToken) -> Stopped {
        let coordinator = Arc::clone(&self.coordinator);
        let mut effects = Vec::new();
        let mut asked = false;
        self.engine.start(&mut effects);
        self.carry_out(&mut effects);
        while !self.engine.has_ended() {
            let wakeup = self.engine.next_wakeup().map(|at| at.since(clock::now().boot));
            tokio::select! {
                biased;
                () = stop.cancelled(), if !asked => {
                    asked = true;
                    self.take(clock::now(), Message::Input(Input::Stop), &mut effects);
                }
                news = coordinator.news() => self.hear(news, &mut effects),
                message = self.inputs.recv() => match message {
                    Some(message) => self.take_burst(message, &mut effects),
                    None => break,
                },
                () = sleep(wakeup) => self.take(clock::now(), Message::Input(Input::Wake), &mut effects),
            }
            self.glance.send_replace(Glance {
                leading: self.engine.is_leading(),
                jobs_known: self.engine.jobs_known(),
                ledger_fails: self.engine.ledger_fails(),
                skew: self.engine.skew(),
                stats: self.engine.stats(),
            });
            self.tell_whereabouts();
            self.tell_agents_skews(clock::now().boot);
        }
        if let Some(why) = self.quits.take() {
            return Stopped::Deposed(why);
        }
        self.effects.close();
        self.see_off().await;
        Stopped::Asked
    }

    fn hear(&mut self, news: News, effects: &mut Vec<Effect>) {
        let now = clock::now();
        let input = match news {
            News::Lost(candidacy) => Input::Unelected(candidacy),
            News::Standing(standing) => {
                if let Some(instance) = self.risen(&standing.candidates) {
                    self.take(now, Message::Input(Input::LeaderSeen { instance }), effects);
                }
                self.candidates.send_replace(standing.candidates);
                self.leader = standing.leader;
                Input::Others(standing.others)
            }
            News::LeasesEnded(agents) => Input::LeasesEnded(agents),
        };
        self.take(now, Message::Input(input), effects);
    }

    /// The process that was buried last, if it has stood again since: it was not dead.
    fn risen(&mut self, candidates: &[Peer]) -> Option<String> {
        let buried = self.buried.as_ref()?;
        let is_it = |peer: &&Peer| peer.instance == buried.instance && peer.elected > buried.elected;
        let risen = candidates.iter().find(is_it)?.instance.clone();
        self.buried = None;
        Some(risen)
    }

    fn tell_whereabouts(&mut self) {
        let elsewhere = self.leader.as_ref().filter(|peer| peer.node.as_str() != self.node_id);
        let whereabouts = match elsewhere {
            _ if self.engine.is_leading() => Whereabouts::Here,
            _ if self.engine.is_taking_over() => Whereabouts::Soon,
            Some(peer) if self.doubted.as_ref() != Some(&peer.instance) => Whereabouts::There(peer.clone()),
            // It does not answer; or this node is about to take over, or the key is that of an earlier process.
            Some(_) | None => Whereabouts::Nowhere,
        };
        if let Whereabouts::There(peer) = &whereabouts {
            self.streams.redirect(peer);
        }
        tell_if_new(&self.elsewhere, elsewhere.cloned());
        tell_if_new(&self.whereabouts, whereabouts);
        tell_if_new(&self.changes, self.engine.changes_committed());
        tell_if_new(&self.epoch, self.engine.epoch());
    }

    /// Not with every input: there may be many agents, and whoever reads metrics does so every few seconds.
    fn tell_agents_skews(&mut self, now: Boot) {
        if now.since(self.agents_skews_told) >= TELL_EVERY {
            self.agents_skews_told = now;
            tell_if_new(&self.agents_skews, self.engine.agents_skews());
        }
    }

    /// Waits for the effects under way, the resignation among them, and then for who leads next.
    async fn see_off(&mut self) {
        let effects = self.effects.clone();
        tokio::select! {
            biased;
            () = self.stand_aside(|_| false) => return,
            () = effects.wait() => {}
        }
        // Without a successor agents and clients look for themselves.
        let _ = tokio::time::timeout(SUCCESSION, self.stand_aside(|this| !this.has_a_successor_to_come())).await;
    }

    /// Hears of the election, and refuses what this node itself is asked, until `is_over`, or until nobody can ask any more.
    async fn stand_aside(&mut self, is_over: impl Fn(&Self) -> bool) {
        let coordinator = Arc::clone(&self.coordinator);
        let mut effects = Vec::new();
        while !is_over(self) {
            tokio::select! {
                biased;
                news = coordinator.news() => self.hear(news, &mut effects),
                message = self.inputs.recv() => match message {
                    Some(Message::Request(_, _, answer)) => {
                        // Who has gone away needs no answer.
                        let _ = answer.send(Err(super::GONE));
                    }
                    Some(_) => {}
                    None => return,
                },
            }
            self.tell_whereabouts();
        }
    }

    fn has_a_successor_to_come(&self) -> bool {
        let is_other = |peer: &Peer| peer.node.as_str() != self.node_id;
        let is_known = self.leader.as_ref().is_some_and(is_other);
        !is_known && self.candidates.borrow().iter().any(is_other)
    }

    fn take_burst(&mut self, first: Message, effects: &mut Vec<Effect>) {
        let mut now = clock::now();
        self.take(now, first, effects);
        for _ in 1..BURST {
            let Ok(message) = self.inputs.try_recv() else { return };
            // It may tell the ledger's clock, which is compared with ours.
            if matches!(message, Message::Input(Input::Called(..))) {
                now = clock::now();
            }
            self.take(now, message, effects);
        }
    }

    fn take(&mut self, now: Now, message: Message, effects: &mut Vec<Effect>) {
        let input = match message {
            Message::Input(input) => input,
            Message::Request(handle, request, answer) => {
                self.waiting.insert(handle, answer);
                Input::Request(handle, request)
            }
            Message::Opened(stream, outbound) => return self.streams.open(stream, outbound),
            Message::Doubted(instance) => {
                self.doubted = instance;
                return;
            }
        };
        match &input {
            Input::FromAgent(stream, message) => self.streams.heard(*stream, message),
            Input::StreamClosed(stream) => self.streams.forget(*stream),
            Input::RequestAbandoned(handle) => drop(self.waiting.remove(handle)),
            _ => {}
        }
        self.engine.handle(now, input, effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Campaign(candidacy) => self.campaign(candidacy),
                Effect::KeepAlive(candidacy, id) => {
                    let coordinator = Arc::clone(&self.coordinator);
                    self.answer(async move {
                        let kept = coordinator.keep_alive(candidacy).await;
                        kept.ok().map(|()| Input::KeptAlive(id))
                    });
                }
                Effect::ProveLeadership(candidacy, id, renewing) => {
                    let coordinator = Arc::clone(&self.coordinator);
                    self.answer(async move {
                        let Ok(proof) = coordinator.prove(candidacy, &renewing).await else { return Vec::new() };
                        let some = |agents: Vec<_>| Some(agents).filter(|agents| !agents.is_empty());
                        let ended = some(proof.ended).map(Input::LeasesEnded);
                        let unrenewed = some(proof.unrenewed).map(|agents| Input::LeasesUnrenewed(id, agents));
                        let proved = Input::LeadershipProved(id, proof.revision);
                        ended.into_iter().chain(unrenewed).chain([proved]).collect()
                    });
                }
                Effect::LendLease(candidacy, id, agent, lasts) => {
                    let coordinator = Arc::clone(&self.coordinator);
                    self.answer(async move {
                        let lent = coordinator.locks()?.lend(candidacy, agent, lasts).await;
                        lent.ok().map(|lasts| Input::LeaseLent(id, agent, lasts))
                    });
                }
                Effect::ReadLocks(candidacy, id) => self.answer(locks::read(self.coordinator(), candidacy, id)),
                Effect::TakeLocks(candidacy, id, locks) => {
                    self.answer(locks::take(self.coordinator(), candidacy, id, locks));
                }
                Effect::ReleaseLocks(candidacy, id, locks) => {
                    self.answer(locks::release(self.coordinator(), candidacy, id, locks));
                }
                Effect::Resign(candidacy) => {
                    let coordinator = Arc::clone(&self.coordinator);
                    self.answer(async move {
                        coordinator.resign(candidacy).await;
                        None
                    });
                }
                Effect::Bury(instance) => self.bury(&instance),
                Effect::Quit(why) => self.quits = Some(why),
                Effect::Call(id, call) => self.call(id, call),
                Effect::Send(stream, message) => self.streams.send(stream, message, &self.node_id),
                Effect::Close(stream, reason) => self.streams.close(stream, reason),
                Effect::Answer(handle, answer) => {
                    if let Some(waiting) = self.waiting.remove(&handle) {
                        // Who has gone away needs no answer.
                        let _ = waiting.send(answer);
                    }
                }
                Effect::Publish(publication) => self.feed.publish(&publication),
                Effect::Alert(alert) => tell(&alert),
            }
        }
    }

    fn coordinator(&self) -> Arc<dyn Coordinator> {
        Arc::clone(&self.coordinator)
    }

    fn bury(&mut self, instance: &str) {
        let Some(leader) = self.leader.clone().filter(|leader| leader.instance == instance) else { return };
        self.buried = Some(leader.clone());
        let coordinator = Arc::clone(&self.coordinator);
        self.answer(async move {
            match coordinator.bury(&leader).await {
                Ok(true) => tracing::warn!(node = %leader.node, "a leader was found dead, and its leadership is ended"),
                Ok(false) => {}
                Err(error) => tracing::info!(%error, "a dead leader's lease is left to end by itself"),
            }
            None
        });
    }

    fn campaign(&self, candidacy: CandidacyId) {
        let coordinator = Arc::clone(&self.coordinator);
        self.answer(async move {
            match coordinator.campaign(candidacy).await {
                Ok(election) => Some(Input::Elected(candidacy, election)),
                Err(error) => {
                    tracing::info!(%error, "a candidacy is over");
                    Some(Input::Unelected(candidacy))
                }
            }
        });
    }

    fn call(&self, id: CallId, call: scheduler_core::txn::Call) {
        let ledger = Arc::clone(&self.ledger);
        self.answer(async move { Some(Input::Called(id, ledger.call(call).await)) });
    }

    /// Runs an effect beside the loop and feeds its answers back, in their order.
    fn answer<A>(&self, effect: impl Future<Output = A> + Send + 'static)
    where
        A: IntoIterator<Item = Input, IntoIter: Send> + Send,
    {
        let answers = self.answers.clone();
        self.effects.spawn(async move {
            for input in effect.await {
                // A loop that has ended needs no answer.
                let _ = answers.send(Message::Input(input)).await;
            }
        });
    }
}

fn tell_if_new<T: PartialEq>(told: &watch::Sender<T>, new: T) {
    told.send_if_modified(|old| {
        let is_new = *old != new;
        if is_new {
            *old = new;
        }
        is_new
    });
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn tell(alert: &Alert) {
    match alert {
        Alert::Deposed(why) => tracing::warn!(%why, "this node leads no more"),
        Alert::Resigned(why) => tracing::warn!(why, "this node gives leadership up"),
        Alert::Suspended => tracing::warn!("this node cannot confirm that it leads; it hands nothing out"),
        Alert::Resumed => tracing::info!("this node has confirmed again that it leads"),
        Alert::DoesNotStand(why) => tracing::warn!(%why, "this node does not stand for election"),
        Alert::Disagreement(why) => tracing::error!(%why, "ledger and engine disagree; loading everything anew"),
        Alert::LedgerFails(why) => tracing::warn!(%why, "the ledger fails; repeating"),
        Alert::UnusableCalendar { calendar, why } => {
            tracing::error!(%calendar, %why, "a calendar cannot be understood");
        }
        Alert::UnusableSchedule { job, why } => tracing::error!(%job, %why, "a schedule cannot be evaluated"),
        Alert::TookOver { epoch, jobs, read, unended_runs } => {
            tracing::info!(%epoch, jobs, read, unended_runs, "leading");
        }
        Alert::MemoryDiffers => {
            tracing::warn!("what this node knew of the jobs is not what the ledger has, which it reads all of now");
        }
        Alert::Unreadable { row, why } => {
            tracing::error!(%row, %why, "a row of the ledger cannot be read; what it is about is left alone");
        }
        Alert::RefusedByLedger { what, why } => {
            tracing::error!(%what, %why, "the ledger refuses data, which is not in it");
        }
        Alert::JobOutOfService { job, why } => {
            tracing::error!(%job, %why, "the ledger refuses the fires of a job, which is paused");
        }
        Alert::ClockJumped(ClockJump::Doubted(by)) => {
            tracing::warn!(?by, "the ledger's clock has jumped ahead; it is obeyed if it stays so for 10 s");
        }
        Alert::ClockJumped(ClockJump::Ahead(by)) => {
            tracing::warn!(?by, "the ledger's clock has jumped ahead, and is obeyed");
        }
        Alert::ClockJumped(ClockJump::Back(by)) => {
            tracing::warn!(?by, "the ledger's clock was put back: nothing fires until it is where it was");
        }
        Alert::MachineClock(MachineClock::Wrong(by)) => {
            tracing::warn!("this machine's clock is {by}, which schedules go by: set it right, with a time service");
        }
        Alert::MachineClock(MachineClock::Right) => tracing::info!("this machine's clock is the ledger's again"),
        Alert::AgentLost { agent, attempts } => tracing::warn!(%agent, attempts, "an agent is lost"),
    }
}
