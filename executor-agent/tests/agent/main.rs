//! The real program against a server that the test plays, over loopback.

mod fake;
mod handlers;
mod isolation;
mod machine;
mod process;
mod secrets;
mod stream;
