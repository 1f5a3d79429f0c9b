//! Punctual's executor agent, as a library: it connects to the scheduler servers, takes the attempts that the leader
//! assigns, runs their tasks and reports what became of them.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First: this program may have been executed as the supervisor of a task.
//!     executor_agent::init();
//!     let agent = executor_agent::Agent::builder("worker-1").servers(["http://127.0.0.1:7117"]).build()?;
//!     tokio::runtime::Runtime::new()?.block_on(async { Ok(agent.start()?.ended().await?) })
//! }
//! ```
//!
//! What decides is in [`session`]; what runs processes so that they die with their agent, in the module `supervisor`; the rest is
//! the shell round them.

mod agent;
mod clock;
mod handler;
mod runtime;
pub mod session;
pub mod settings;
mod state_dir;
mod supervisor;
pub mod time;
mod token;

pub use self::agent::{Agent, BUILT_IN, BuildError, Builder};
pub use self::handler::{Context, Handler, LogStream, Noop};
pub use self::runtime::{Running, SessionFailed};
pub use self::session::{Completion, Failure, Task};
pub use self::state_dir::StateDirError;
pub use self::supervisor::init;
