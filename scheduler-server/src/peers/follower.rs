//! Follows whoever leads, as long as another node does: to find it dead before its lease ends, to know when it is silent, and to
//! hear which changes are in the ledger (PROTOCOL.md, rules 12, 14 and 22). What is found is handed to the engine, which judges it.

use std::time::Duration;

use coordination::Peer;
use http_body_util::BodyExt as _;
use scheduler_core::engine::Input;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::leaders::{Leaders, Lines};
use super::presence::{EVERY, Line};
use super::vigil::{Sight, Vigil};
use crate::leader::Message;

/// A leader that has said nothing for so long may be frozen: agents are not sent to it meanwhile.
const SILENCE: Duration = EVERY.saturating_mul(3);
/// Before the leader's address is looked at again: at first, and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// A line is far shorter.
const LONGEST_LINE: usize = 4_096;

/// Goes on until it is asked to stop; tells `engine` what it finds.
pub(crate) async fn follow(
    mut leader: watch::Receiver<Option<Peer>>,
    leaders: Leaders,
    engine: mpsc::Sender<Message>,
    stop: CancellationToken,
) {
    loop {
        let peer = leader.borrow_and_update().clone();
        let watched = async {
            match &peer {
                Some(peer) => watch_over(peer, &leaders, &engine).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = leader.changed() => if changed.is_err() {
                return;
            },
            () = watched => {}
        }
    }
}

async fn watch_over(peer: &Peer, leaders: &Leaders, engine: &mpsc::Sender<Message>) {
    let mut watch = Watch { peer, vigil: Vigil::over(&peer.instance), engine, heard: false };
    let mut pause = FIRST_PAUSE;
    loop {
        match leaders.follow(&peer.address).await {
            Ok(lines) => {
                if watch.read(Stream { lines, read: Vec::new() }).await {
                    pause = FIRST_PAUSE;
                }
            }
            Err(sight) => watch.take(&sight).await,
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Over one leader.
struct Watch<'a> {
    peer: &'a Peer,
    vigil: Vigil,
    engine: &'a mpsc::Sender<Message>,
    /// It has told of itself. One that never did may be of an earlier version, and is not doubted.
    heard: bool,
}

impl Watch<'_> {
    /// Reads a stream to its end; whether it said anything.
    async fn read(&mut self, mut stream: Stream) -> bool {
        let mut said = false;
        loop {
            match timeout(SILENCE, stream.next()).await {
                Ok(sight) => {
                    let goes_on = matches!(sight, Sight::Says { .. });
                    self.take(&sight).await;
                    if !goes_on {
                        return said;
                    }
                    said = true;
                }
                Err(_) => self.doubt(true).await,
            }
        }
    }

    async fn take(&mut self, sight: &Sight) {
        tracing::debug!(leader = %self.peer.node, ?sight, "looked at the leader");
        let instance = &self.peer.instance;
        if let Some(epoch) = self.vigil.sees(sight) {
            tracing::warn!(leader = %self.peer.node, %epoch, ?sight, "the leader is dead");
            let died = Input::LeaderDied { epoch, instance: instance.clone() };
            self.tell(Message::Input(died)).await;
        }
        let lives = matches!(sight, Sight::Says { instance: said, .. } if said == instance);
        if let Sight::Says { changes: Some(changes), .. } = sight
            && lives
        {
            self.tell(Message::Input(Input::ChangesTold(*changes))).await;
        }
        self.heard |= lives;
        self.doubt(!lives).await;
    }

    async fn doubt(&self, doubts: bool) {
        let doubted = (doubts && self.heard).then(|| self.peer.instance.clone());
        self.tell(Message::Doubted(doubted)).await;
    }

    async fn tell(&self, message: Message) {
        // A loop that has ended needs to hear nothing.
        let _ = self.engine.send(message).await;
    }
}

/// The lines of one stream.
struct Stream {
    lines: Lines,
    read: Vec<u8>,
}

impl Stream {
    async fn next(&mut self) -> Sight {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return match serde_json::from_slice::<Line>(&line) {
                    Ok(Line { instance, epoch, changes, .. }) => Sight::Says { instance, epoch, changes },
                    Err(_) => Sight::Nothing,
                };
            }
            if self.read.len() > LONGEST_LINE {
                return Sight::Nothing;
            }
            match self.lines.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) => return Sight::Breaks,
                None => return Sight::Leaves,
            }
        }
    }
}

#[cfg(test)]
mod tests;
