//! The binary on a terminal: tables that fit it, and colours, which are nowhere else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

#[allow(dead_code, reason = "others of its users need the rest")]
mod fake;

use std::process::Command;

use fake::{Said, Server, run};
use punctual_proto::v1::Job;

/// Runs a program on a terminal of so many columns, and prints what that shows. Python has terminals with it.
const TERMINAL: &str = "
import fcntl, os, pty, struct, sys, termios
child, screen = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
while True:
    try:
        shown = os.read(screen, 65536)
    except OSError:
        break
    if not shown:
        break
    sys.stdout.buffer.write(shown.replace(b'\\r\\n', b'\\n'))
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

fn server() -> Server {
    let server = Server::start();
    let job = Job { namespace: "default".to_owned(), job_id: "a-job-with-a-name".to_owned(), ..Job::default() };
    server.with(|state| state.runs = vec![run(&job, 1), run(&job, 2)]);
    server
}

fn shown(server: &Server, columns: usize, more: &[(&str, &str)]) -> String {
    let punctual = server.command();
    let mut terminal = Command::new("python3");
    let columns = columns.to_string();
    terminal.args(["-c", TERMINAL, columns.as_str()]).arg(punctual.get_program()).args(["run", "list"]);
    terminal.envs(punctual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Each of these has a say in whether there are colours.
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        terminal.env_remove(name);
    }
    terminal.env("TERM", "xterm").envs(more.iter().copied());
    let said = Said::new(terminal.output().expect("because the tests need Python 3"));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    said.out
}

#[test]
fn a_table_fits_the_terminal_and_keeps_the_ids() {
    let server = server();
    let plain = |columns| shown(&server, columns, &[("NO_COLOR", "1")]);
    for columns in [60, 80, 100, 140] {
        let table = plain(columns);
        assert!(table.lines().all(|line| line.chars().count() <= columns), "{columns}: {table}");
        let ids = server.with(|state| state.runs.iter().map(|run| run.run_id.clone()).collect::<Vec<_>>());
        assert!(ids.iter().all(|id| table.contains(id.as_str())), "{columns}: {table}");
    }
    let (narrow, wide) = (plain(60), plain(140));
    assert!(!narrow.contains("REASON") && wide.contains("REASON"), "{narrow}{wide}");
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    let server = server();
    let (colours, wide) = ("\u{1b}[", 140);
    assert!(shown(&server, wide, &[]).contains(colours));
    assert!(!shown(&server, wide, &[("NO_COLOR", "1")]).contains(colours));
    assert!(!shown(&server, wide, &[("TERM", "dumb")]).contains(colours));
    assert!(!server.punctual(&["run", "list"]).out.contains(colours));
}
