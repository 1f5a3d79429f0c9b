//! Process tasks die with their agent, whatever kills it.
//!
//! Each runs under a supervisor: this very program, executed again, that watches one task. The kernel's own means are not
//! enough: a parent-death signal fires when the forking *thread* ends and misses grandchildren, and process groups and
//! sessions can be left. A child subreaper cannot: whatever a task starts stays below its supervisor, or comes to the
//! agent when somebody kills the supervisor, and each kills all it finds below itself.

mod agent_side;
mod launcher;
mod orders;
mod supervise;
mod tree;

use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use self::agent_side::{Control, Supervised, Supervisor, Watched, Words, sweep};
pub(crate) use self::orders::{Command, End, Order, Word};

/// How a supervisor knows that it is one: its zeroth argument. An environment variable would be passed on by mistake.
const NAME: &str = "punctual-supervisor";

/// How a launcher knows that it is one.
const LAUNCHER: &str = "punctual-launcher";

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// Must be the first thing in `main` of a program that embeds the agent: when the program was executed as a supervisor,
/// this is where it becomes one and never returns. Without it process tasks are not offered.
pub fn init() {
    let name = std::env::args_os().next();
    let is_named = |wanted: &str| name.as_ref().is_some_and(|name| name.as_bytes() == wanted.as_bytes());
    if is_named(LAUNCHER) {
        // What is wrong has been told to the supervisor.
        launcher::run();
        std::process::exit(1);
    }
    if !is_named(NAME) {
        INITIALISED.store(true, Ordering::Relaxed);
        return;
    }
    let code = match supervise::run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("the supervisor of this task failed: {error}");
            1
        }
    };
    std::process::exit(code);
}

/// Whether this program can be executed as a supervisor.
pub(crate) fn is_initialised() -> bool {
    INITIALISED.load(Ordering::Relaxed)
}
