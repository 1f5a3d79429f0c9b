//! The shell round the session: it does what the session says and tells it what happened. It decides nothing.

mod channel;
mod driver;
mod executor;
mod notices;
mod streams;
mod tasks;

use std::any::Any;
use std::io;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::channel::Channels;
use self::driver::Driver;
use self::executor::Executor;
use self::streams::Streams;
use self::tasks::Tasks;
use crate::handler::Registry;
use crate::session::{Config, Input, Session};
use crate::state_dir::StateDir;
use crate::token::TokenFile;

/// Orders from the program that may wait: two are all there are.
const ORDERS: usize = 4;
/// Messages from servers that may wait to be read.
const INPUTS: usize = 256;
/// What tasks say that may wait to be read; beyond it they wait.
const EVENTS: usize = 1024;

/// An agent that runs.
#[derive(Debug)]
pub struct Running {
    orders: mpsc::Sender<Input>,
    ended: oneshot::Receiver<Result<(), String>>,
}

/// The agent ended in a way that it should not.
#[derive(Debug, thiserror::Error)]
#[error("the agent's session failed: {0}")]
pub struct SessionFailed(String);

impl Running {
    /// Lets the agent take no new work, finish what it has, and leave.
    pub fn drain(&self) {
        self.order(Input::Drain);
    }

    /// Lets the agent kill its tasks, report that, and leave.
    pub fn stop(&self) {
        self.order(Input::Stop);
    }

    /// Waits until the agent has left.
    pub async fn ended(&mut self) -> Result<(), SessionFailed> {
        match (&mut self.ended).await {
            Ok(result) => result.map_err(SessionFailed),
            Err(_) => Err(SessionFailed("its thread is gone".to_owned())),
        }
    }

    fn order(&self, order: Input) {
        // Full means that the same has been ordered before; closed, that the agent has left.
        let _ = self.orders.try_send(order);
    }
}

/// Starts the agent: its session on a thread of its own, where no task can hold up a heartbeat, its tasks on `runtime`.
pub(crate) fn start(
    config: Config,
    channels: Channels,
    token: Option<TokenFile>,
    handlers: Registry,
    state: StateDir,
    runtime: Handle,
) -> io::Result<Running> {
    let (orders, orders_in) = mpsc::channel(ORDERS);
    let (ended, ended_in) = oneshot::channel();
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("punctual-session".to_owned()).spawn(move || {
        let attempts = Tasks::new(runtime);
        let session = async {
            let (inputs, inputs_in) = mpsc::channel(INPUTS);
            let (events, events_in) = mpsc::channel(EVENTS);
            let streams = Streams::new(Tasks::new(Handle::current()), token, inputs, channels);
            let executor = Executor::new(handlers, attempts.clone(), events);
            let driver = Driver::new(Session::new(config), streams, executor, state);
            driver.run(orders_in, inputs_in, events_in).await;
            attempts.ended().await;
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| own.block_on(session)));
        let _ = ended.send(result.map_err(|panic| text(&*panic)));
    })?;
    Ok(Running { orders, ended: ended_in })
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}
