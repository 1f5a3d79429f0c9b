//! Punctual's executor agent, as a library: it connects to the scheduler servers, takes the attempts that the leader
//! assigns, runs their tasks and reports what became of them.
//!
//! A program that embeds it registers a function for each task type of its own. The payload is a type: serde reads it, and
//! its JSON Schema goes to the servers, which refuse a job whose payload does not fit and name the wrong field.
//!
//! ```no_run
//! use executor_agent::{Agent, BlockingContext, Context, Failure, schemars};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet {
//!     name: String,
//!     #[serde(default)]
//!     times: u32,
//! }
//!
//! #[derive(Serialize)]
//! struct Greeted {
//!     letters: usize,
//! }
//!
//! async fn greet(context: Context, payload: Greet) -> Result<Greeted, Failure> {
//!     for time in 0..payload.times {
//!         if context.is_cancelled() {
//!             return Err(Failure::new("CANCELLED", "ended early"));
//!         }
//!         context.log_line(format!("hello, {}", payload.name)).await;
//!         context.progress(f64::from(time + 1) / f64::from(payload.times) * 100.0, "greeting").await;
//!     }
//!     Ok(Greeted { letters: payload.name.len() })
//! }
//!
//! fn hash(context: &BlockingContext, payload: Greet) -> Result<u64, Failure> {
//!     context.log_line(format!("attempt {} of run {}", context.attempt(), context.run_id()));
//!     payload.name.bytes().map(u64::from).max().ok_or_else(|| Failure::permanent("EMPTY", "there is no name to hash"))
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First, and only needed for `process` tasks: this program may have been executed as the supervisor of one.
//!     executor_agent::init();
//!     let agent = Agent::builder("worker-1")
//!         .servers(["http://127.0.0.1:7117"])
//!         .async_handler("greet", greet)
//!         .blocking_handler("hash", hash)
//!         .build()?;
//!     // Until SIGTERM has drained it.
//!     tokio::runtime::Runtime::new()?.block_on(agent.run())?;
//!     Ok(())
//! }
//! ```
//!
//! Handlers can be closures too, which own what they need. `docs/writing-a-handler.md` tells the rest:
//! errors and retries, deadlines, fencing tokens, and what becomes of a handler that does not return.
//!
//! What decides is in [`session`]; what runs processes so that they die with their agent, in the module `supervisor`; the rest is
//! the shell round them.

mod agent;
mod clock;
mod handler;
mod isolation;
mod runtime;
pub mod session;
pub mod settings;
mod signals;
mod state_dir;
mod supervisor;
pub mod time;
mod token;

pub use self::agent::{Agent, BUILT_IN, BuildError, Builder};
pub use self::handler::{BlockingContext, Context, Handler, LogStream, Noop};
pub use self::isolation::{Isolation, IsolationError, TaskLimits, UserError};
pub use self::runtime::{Running, SessionFailed};
pub use self::session::{Completion, Failure, Task};
pub use self::signals::RunError;
pub use self::state_dir::StateDirError;
pub use self::supervisor::init;
/// Payloads derive its `JsonSchema`; a program that names this one has the version that fits.
pub use schemars;
pub use tls::ClientFiles;
