//! `WatchRuns`: the state of runs as it changes.
//!
//! It begins with the ledger (the runs not ended, or, for a token that the feed does not remember, those that may have
//! changed since), and goes on with the feed. Every message says where to go on from; what comes before the last one of
//! a read carries the token of before, since the rest of the read would have to come again.

mod token;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt, try_unfold};
use job_spec::enums;
use ledger::{Page, Reader, RunFilter, Since, StoredRun};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::ids::RunId;
use scheduler_core::run::RunState;
use scheduler_core::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::scope::{Merged, Scope};
use super::{Call, Clock, Error, Service, lists, view};
use crate::feed::{After, Feed, Interest, Mark};
use token::Token;

/// How long to wait for a first leader.
const LEADER_WAIT: Duration = Duration::from_secs(10);
const BOOKMARK_EVERY: Duration = Duration::from_secs(15);
/// Runs that are read from the ledger at a time.
const READ: u32 = 250;
/// Clocks of leaders differ by less (rule 17), and so do those of one that is put right.
const MARGIN: Duration = Duration::from_secs(60);
/// Runs of the last hour are not purged (rule 10), so that none that a token missed can be gone.
const OLDEST_TOKEN: Duration = Duration::from_secs(3_600);
/// Runs that are looked through for a token.
const MOST_LOOKED_AT: u32 = 1_000_000;

/// A stream of answers.
pub type Stream<T> = BoxStream<'static, Result<T, Error>>;

impl Service {
    pub async fn watch_runs(
        &self,
        call: &Call,
        request: v1::WatchRunsRequest,
    ) -> Result<Stream<v1::WatchRunsResponse>, Error> {
        let interest = interest(call, &request)?;
        let bound = token::bound(&request);
        let given = Token::read(&request.resume_token, bound)?;
        let moves = self.feed.moves();
        let mark = self.first_mark(moves.clone()).await?;
        let phase = match given {
            None => Phase::Read(Reading { since: None, after: None, mark, resumes_at: Token::anew(mark, bound) }),
            Some(token) if token.is_live() && self.remembers(&token) => Phase::Live,
            Some(token) => self.goes_on(token, mark).await?,
        };
        let watcher = Watcher {
            ledger: Arc::clone(&self.ledger),
            feed: Arc::clone(&self.feed),
            clock: Arc::clone(&self.clock),
            moves,
            interest,
            bound,
            at: given.map_or(mark, |token| token.mark),
            phase,
            ready: VecDeque::new(),
            silence: silence(),
        };
        Ok(try_unfold(watcher, |mut watcher| async move {
            let message = watcher.next().await?;
            Ok(Some((message, watcher)))
        })
        .boxed())
    }

    async fn first_mark(&self, mut moves: watch::Receiver<()>) -> Result<Mark, Error> {
        let first = async {
            loop {
                if let Some(mark) = self.feed.mark() {
                    return Some(mark);
                }
                moves.changed().await.ok()?;
            }
        };
        tokio::time::timeout(LEADER_WAIT, first).await.ok().flatten().ok_or(Error::NoLeader)
    }

    fn remembers(&self, token: &Token) -> bool {
        self.feed.after(token.mark.place, &Interest::default(), 0) != After::Forgotten
    }

    async fn goes_on(&self, token: Token, mark: Mark) -> Result<Phase, Error> {
        check_whole(self.ledger.as_ref(), &token.mark, self.now()).await?;
        Ok(Phase::Read(Reading { since: Some(since(&token.mark)), after: None, mark, resumes_at: token }))
    }
}

fn interest(call: &Call, request: &v1::WatchRunsRequest) -> Result<Interest, Error> {
    let mut violations = Violations::default();
    let violated = &mut violations;
    let interest = Interest {
        namespaces: match Scope::read(call, &request.namespace, violated) {
            Scope::All => None,
            Scope::Of(namespaces) => Some(namespaces),
        },
        job_id: Some(request.job_id.clone()).filter(|job_id| !job_id.is_empty()),
        triggers: lists::states::<v1::run::Trigger, _>("triggers", &request.triggers, enums::trigger, violated),
    };
    violations.or(interest).map_err(Error::Invalid)
}

fn since(mark: &Mark) -> Since {
    let floor = RunId::at(mark.floor.time().saturating_sub(MARGIN), 0);
    Since { floor, ended: mark.time.saturating_sub(MARGIN) }
}

/// Whether the ledger still has all that happened after `mark`, and can find it.
async fn check_whole(ledger: &dyn Reader, mark: &Mark, now: Timestamp) -> Result<(), Error> {
    let is_old = mark.time < now.saturating_sub(OLDEST_TOKEN);
    if is_old || ledger.count_runs_from(since(mark).floor, MOST_LOOKED_AT).await? >= u64::from(MOST_LOOKED_AT) {
        return Err(Error::ResumeTokenExpired);
    }
    Ok(())
}

/// Runs out when nothing is sent for as long as readers may have to wait for a bookmark.
pub(super) fn silence() -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(BOOKMARK_EVERY))
}

enum Phase {
    Read(Reading),
    Live,
}

/// What is read from the ledger before the feed is followed.
struct Reading {
    /// `None`: the runs that have not ended.
    since: Option<Since>,
    after: Option<RunId>,
    /// Where the feed was before the first read.
    mark: Mark,
    /// While it lasts, a client that is cut off begins it again.
    resumes_at: Token,
}

struct Watcher {
    ledger: Arc<dyn Reader>,
    feed: Arc<Feed>,
    clock: Clock,
    moves: watch::Receiver<()>,
    interest: Interest,
    bound: [u8; 8],
    /// Everything up to here has been told.
    at: Mark,
    phase: Phase,
    ready: VecDeque<v1::WatchRunsResponse>,
    silence: Pin<Box<Sleep>>,
}

impl Watcher {
    async fn next(&mut self) -> Result<v1::WatchRunsResponse, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.silence = silence();
                return Ok(message);
            }
            match &mut self.phase {
                Phase::Read(_) => self.read().await?,
                Phase::Live => self.follow().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let Phase::Read(reading) = &mut self.phase else { return Ok(()) };
        let filter = RunFilter {
            job_id: self.interest.job_id.clone(),
            triggers: self.interest.triggers.clone(),
            states: if reading.since.is_none() { vec![RunState::Pending, RunState::Running] } else { Vec::new() },
            changed_since: reading.since,
            ..RunFilter::default()
        };
        let mut merged = Merged::default();
        for namespace in self.interest.each_namespace() {
            let filter = RunFilter { namespace, ..filter.clone() };
            merged.add(self.ledger.runs(&filter, &Page { size: READ, after: reading.after }).await?);
        }
        let found = merged.page(READ, |stored| Reverse(stored.run.id));
        reading.after = found.items.last().map(|stored| stored.run.id);
        let token = reading.resumes_at.write();
        self.ready.extend(found.items.iter().map(|stored| message(stored, &token)));
        if !found.more {
            self.at = reading.mark;
            self.phase = Phase::Live;
            self.ready.push_back(self.bookmark());
        }
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), Error> {
        self.moves.mark_unchanged();
        match self.feed.after(self.at.place, &self.interest, READ as usize) {
            After::Forgotten => {
                check_whole(self.ledger.as_ref(), &self.at, (self.clock)()).await?;
                let mark = self.feed.mark().ok_or(Error::NoLeader)?;
                let resumes_at = Token::live(self.at, self.bound);
                self.phase = Phase::Read(Reading { since: Some(since(&self.at)), after: None, mark, resumes_at });
            }
            After::Changed(changed, mark) if changed.is_empty() && mark == self.at => self.wait().await,
            After::Changed(changed, mark) => {
                let before = Token::live(self.at, self.bound).write();
                let mut runs = Vec::new();
                for ids in changed.chunks(READ as usize) {
                    runs.extend(self.ledger.runs_by_id(ids).await?);
                }
                self.at = mark;
                runs.retain(|stored| self.interest.covers(&stored.run));
                self.ready.extend(runs.iter().map(|stored| message(stored, &before)));
                if let Some(last) = self.ready.back_mut() {
                    last.resume_token = Token::live(mark, self.bound).write();
                }
            }
        }
        Ok(())
    }

    async fn wait(&mut self) {
        tokio::select! {
            biased;
            // It fails only when the feed is gone, and we keep it.
            _ = self.moves.changed() => {}
            () = &mut self.silence => {
                let bookmark = self.bookmark();
                self.ready.push_back(bookmark);
            }
        }
    }

    fn bookmark(&self) -> v1::WatchRunsResponse {
        v1::WatchRunsResponse { run: None, resume_token: Token::live(self.at, self.bound).write() }
    }
}

fn message(stored: &StoredRun, token: &str) -> v1::WatchRunsResponse {
    v1::WatchRunsResponse { run: Some(view::listed_run(stored)), resume_token: token.to_owned() }
}
