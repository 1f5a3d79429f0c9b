//! The real program against a server that the test plays, over loopback.

mod fake;
mod handlers;
mod machine;
mod process;
mod stream;
