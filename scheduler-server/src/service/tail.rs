//! `TailRunLogs`: what a run's task writes, as it is committed, until the run has ended.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{StreamExt, try_unfold};
use ledger::Reader;
use punctual_proto::v1;
use scheduler_core::ids::RunId;
use scheduler_core::run::AttemptState;
use scheduler_core::time::Timestamp;
use tokio::time::Sleep;

use super::watch::{Stream, silence};
use super::{Clock, Error, Service, run};
use crate::feed::Following;

/// Chunks that are read at a time; each is at most 64 KiB.
const READ: u32 = 16;
/// The output of an agent that was given up may be as late as this, where its end was not told while the run was followed.
const AFTER_END: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Service {
    pub async fn tail_run_logs(
        &self,
        request: v1::TailRunLogsRequest,
    ) -> Result<Stream<v1::TailRunLogsResponse>, Error> {
        let after = place(&request.resume_token)?;
        let id = self.stored_run(&request.namespace, &request.run_id).await?.run.id;
        let tail = Tail {
            ledger: Arc::clone(&self.ledger),
            clock: Arc::clone(&self.clock),
            following: self.feed.follow(id),
            namespace: request.namespace,
            run: id,
            after,
            ready: VecDeque::new(),
            silence: silence(),
        };
        Ok(try_unfold(tail, |mut tail| async move {
            let message = tail.next().await?;
            Ok(message.map(|message| (message, tail)))
        })
        .boxed())
    }
}

/// `<attempt>.<sequence>`
fn place(token: &str) -> Result<(u32, u64), Error> {
    if token.is_empty() {
        return Ok((0, 0));
    }
    let parsed = token.split_once('.').and_then(|(attempt, sequence)| {
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (are_digits(attempt) && are_digits(sequence)).then(|| attempt.parse().ok().zip(sequence.parse().ok()))?
    });
    parsed.ok_or_else(|| Error::field("resume_token", "is not <attempt>.<sequence>, as those of messages are"))
}

/// How a run ended.
#[derive(Clone, Copy)]
struct End {
    time: Timestamp,
    /// Not as its agent said.
    is_lost: bool,
}

struct Tail {
    ledger: Arc<dyn Reader>,
    clock: Clock,
    following: Following,
    namespace: String,
    run: RunId,
    after: (u32, u64),
    ready: VecDeque<v1::TailRunLogsResponse>,
    silence: Pin<Box<Sleep>>,
}

impl Tail {
    /// `None`: the run has ended, and all that it wrote has been told.
    async fn next(&mut self) -> Result<Option<v1::TailRunLogsResponse>, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.silence = silence();
                return Ok(Some(message));
            }
            // In this order: what is known of the end, then the output, which is whole if the end was. An agent tells the
            // end after its output, and the leader writes it so.
            let seen = self.following.seen();
            let end = self.end().await?;
            self.read().await?;
            if !self.ready.is_empty() {
                continue;
            }
            let is_over = |end: End| {
                let is_whole = (seen.ended || !end.is_lost) && !seen.logs_under_way;
                is_whole || end.time < (self.clock)().saturating_sub(AFTER_END)
            };
            if end.is_some_and(is_over) {
                return Ok(None);
            }
            self.wait(end.is_some()).await;
        }
    }

    async fn end(&self) -> Result<Option<End>, Error> {
        let stored = self.ledger.run(self.run).await?;
        let (namespace, run) = (self.namespace.clone(), self.run);
        let stored = stored.ok_or(Error::RunNotFound { namespace, run })?;
        let is_lost = stored.latest_attempt().is_some_and(|attempt| attempt.state == AttemptState::Lost);
        let time = stored.run.end_time.filter(|_| stored.run.state.is_ended());
        Ok(time.map(|time| End { time, is_lost }))
    }

    async fn read(&mut self) -> Result<(), Error> {
        let found = self.ledger.logs(self.run, Some(self.after), READ).await?;
        for chunk in found.items {
            self.after = (chunk.attempt, chunk.sequence);
            let resume_token = self.token();
            self.ready.push_back(v1::TailRunLogsResponse { chunk: Some(run::chunk(chunk)), resume_token });
        }
        Ok(())
    }

    async fn wait(&mut self, has_ended: bool) {
        tokio::select! {
            biased;
            () = self.following.news() => {}
            () = tokio::time::sleep(LOOK_AGAIN), if has_ended => {}
            () = &mut self.silence => {
                let resume_token = self.token();
                self.ready.push_back(v1::TailRunLogsResponse { chunk: None, resume_token });
            }
        }
    }

    fn token(&self) -> String {
        let (attempt, sequence) = self.after;
        format!("{attempt}.{sequence}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_attempt_and_sequence() {
        assert_eq!(place("").unwrap(), (0, 0));
        assert_eq!(place("2.17").unwrap(), (2, 17));
        for wrong in ["2", "2.", ".1", "-1.2", "+1.2", "1.2.3", "a.b", "99999999999.1"] {
            assert!(matches!(place(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
