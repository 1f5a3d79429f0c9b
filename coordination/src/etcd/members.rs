//! etcd's members, asked one after the other: a member that does not answer costs a part of a call's time, not the call.
//!
//! All calls and watches go to the member that answered last. Whoever finds that it does not answer leaves it, and with it
//! goes everybody else: a watch on a member that has stopped would go on saying nothing.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Error as EtcdError};
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use crate::Error;

/// After all members have been asked in vain.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Members {
    members: Vec<Member>,
    options: ConnectOptions,
    has_user: bool,
    /// The one that is asked.
    preferred: watch::Sender<usize>,
    /// How long one member may take.
    patience: Duration,
}

struct Member {
    endpoint: String,
    client: Mutex<Option<Client>>,
}

/// Why etcd did not do it, or may not have.
#[derive(Debug)]
pub(super) enum Failure {
    /// The lease is not there.
    Gone,
    Refused(String),
    Unreachable(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone => Self::NotLeading("its lease has ended".to_owned()),
            Failure::Refused(why) => Self::Refused(why),
            Failure::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

impl Members {
    pub(super) fn new(endpoints: &[String], options: ConnectOptions, has_user: bool, patience: Duration) -> Self {
        let member = |endpoint: &String| Member { endpoint: endpoint.clone(), client: Mutex::new(None) };
        Self {
            members: endpoints.iter().map(member).collect(),
            options,
            has_user,
            preferred: watch::Sender::new(0),
            patience,
        }
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Which member is asked; changes when it is left.
    pub(super) fn preferred(&self) -> watch::Receiver<usize> {
        self.preferred.subscribe()
    }

    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    pub(super) fn endpoint(&self, member: usize) -> &str {
        &self.members[member].endpoint
    }

    /// Asks member after member until one answers, or the time is up. What is asked may have been done more than once.
    pub(super) async fn ask<T, F>(&self, within: Duration, call: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, EtcdError>>,
    {
        let time_is_up = sleep(within);
        tokio::pin!(time_is_up);
        let mut why = "no answer in time".to_owned();
        loop {
            for _ in 0..self.members.len() {
                let member = *self.preferred.borrow();
                let answer = tokio::select! {
                    biased;
                    answer = timeout(self.patience, self.ask_one(member, &call)) => answer,
                    () = &mut time_is_up => return Err(Failure::Unreachable(why)),
                };
                let endpoint = self.endpoint(member);
                match answer {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => match self.judge(&error) {
                        Verdict::Gone => return Err(Failure::Gone),
                        Verdict::Refused => return Err(Failure::Refused(error.to_string())),
                        Verdict::SignInAgain => {
                            self.members[member].client.lock().await.take();
                            why = format!("{endpoint}: {error}");
                        }
                        Verdict::Elsewhere => why = format!("{endpoint}: {error}"),
                    },
                    Err(_) => why = format!("{endpoint}: no answer within {:?}", self.patience),
                }
                self.leave(member);
            }
            tokio::select! {
                biased;
                () = &mut time_is_up => return Err(Failure::Unreachable(why)),
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn ask_one<T, F>(&self, member: usize, call: impl Fn(Client) -> F) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<T, EtcdError>>,
    {
        call(self.client(member).await?).await
    }

    pub(super) async fn client(&self, member: usize) -> Result<Client, EtcdError> {
        let Member { endpoint, client } = &self.members[member];
        let mut client = client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let fresh = Client::connect([endpoint], Some(self.options.clone())).await?;
        *client = Some(fresh.clone());
        Ok(fresh)
    }

    /// Another member is asked from now on, if there is one.
    pub(super) fn leave(&self, member: usize) {
        self.preferred.send_if_modified(|preferred| {
            let next = (member + 1) % self.members.len();
            let leaves = *preferred == member && next != member;
            if leaves {
                *preferred = next;
            }
            leaves
        });
    }

    fn judge(&self, error: &EtcdError) -> Verdict {
        let EtcdError::GRpcStatus(status) = error else {
            return if matches!(error, EtcdError::LeaseKeepAliveError(_)) { Verdict::Gone } else { Verdict::Elsewhere };
        };
        // tonic's codes by their numbers: this crate does not depend on tonic.
        match status.code() as i32 {
            NOT_FOUND => Verdict::Gone,
            INVALID_ARGUMENT | FAILED_PRECONDITION | PERMISSION_DENIED | UNAUTHENTICATED if self.has_user => {
                Verdict::SignInAgain
            }
            INVALID_ARGUMENT | FAILED_PRECONDITION | PERMISSION_DENIED | UNAUTHENTICATED | OUT_OF_RANGE => {
                Verdict::Refused
            }
            _ => Verdict::Elsewhere,
        }
    }
}

enum Verdict {
    Gone,
    Refused,
    /// The token may be one of before etcd's users were changed.
    SignInAgain,
    Elsewhere,
}

const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;
const UNAUTHENTICATED: i32 = 16;
