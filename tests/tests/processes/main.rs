//! Punctual as its users have it: real processes, killed and started again, judged by what they leave behind.

mod actions;
mod agent_killed;
mod agents;
mod answers;
mod away;
mod backups;
mod clients;
mod clock;
mod command_line;
mod command_line_files;
mod command_line_live;
mod doors;
mod ends;
mod fires;
mod history;
mod kills;
mod load;
mod outgoing;
mod output;
mod pages;
mod refusals;
mod secrets;
mod server_killed;
mod stopping;
mod tokens;
mod watching;
