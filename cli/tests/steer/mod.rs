//! Commands that look back at what was, and steer what is.

use crate::fake::Server;
use punctual_proto::v1::{Job, run};

fn server() -> Server {
    let server = Server::start();
    let job = Job { namespace: "default".to_owned(), job_id: "beat".to_owned(), ..Job::default() };
    server.with(|state| state.jobs.push(job));
    server
}

#[test]
fn revisions_are_listed_and_one_of_them_is_told_field_by_field() {
    let server = server();
    let said = server.punctual(&["job", "revisions", "beat"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("3         UPDATED") && said.out.contains("priority"), "{said:?}");
    assert!(said.err.contains("--page-token 2"), "{said:?}");
    let said = server.punctual(&["job", "revisions", "beat", "--diff", "2"]);
    assert!(said.out.ends_with("\npriority: none -> 2\n"), "{said:?}");
    let said = server.punctual(&["job", "revisions", "beat", "--diff", "3"]);
    assert!(said.out.ends_with("\npriority: 2 -> 3\n"), "{said:?}");
    let said = server.punctual(&["job", "revisions", "beat", "--diff", "9"]);
    assert_eq!(said.code, 1);
    assert_eq!(said.err, "error: beat has no revision 9. See all: punctual job revisions beat\n");
}

#[test]
fn a_job_comes_back_from_a_revision_and_from_deletion() {
    let server = server();
    let said = server.punctual(&["job", "restore", "beat", "2"]);
    assert!(said.out.starts_with("restored revision 2 as revision 7 of default/beat, now "), "{said:?}");
    let said = server.punctual(&["job", "delete", "beat"]);
    assert_eq!(said.err, "Bring it back within 30 days: punctual job undelete beat\n");
    let said = server.punctual(&["job", "undelete", "beat"]);
    assert_eq!(said.out, "undeleted default/beat, now ACTIVE\n");
}

#[test]
fn a_resume_makes_the_pause_up_if_asked_to() {
    let server = server();
    for flags in [&["--catch-up"][..], &[]] {
        assert_eq!(server.punctual(&[&["job", "resume", "beat"], flags].concat()).code, 0);
    }
    let caught_up = server.with(|state| state.resumed.iter().map(|resume| resume.catch_up).collect::<Vec<_>>());
    assert_eq!(caught_up, [true, false]);
}

#[test]
fn runs_are_cancelled_and_repeated_and_the_next_step_is_told() {
    let server = server();
    let said = server.punctual(&["run", "cancel", "r1"]);
    assert_eq!(said.out, "cancelled r1 of /beat\n");
    let said = server.punctual(&["run", "cancel", "r1", "--note", "enough"]);
    assert_eq!(said.out, "asked worker to end r1, now RUNNING. See what comes of it: punctual run get r1\n");
    let said = server.punctual(&["run", "retry", "r1"]);
    assert_eq!(said.out, "new repeats r1. See what comes of it: punctual run get new\n");
}

#[test]
fn a_purge_goes_on_until_nothing_is_left_and_says_how_far_it_is() {
    let server = server();
    let said = server.punctual(&["run", "purge", "--ended-before", "30d", "--dry-run"]);
    assert_eq!(said.out, "7 runs would be deleted\n");
    let said = server.punctual(&["run", "purge", "--ended-before", "30d"]);
    assert_eq!(said.out, "7 runs deleted; runs of the last hour stay\n");
    assert_eq!(said.err, "3 runs deleted, going on\n6 runs deleted, going on\n");
    assert_eq!(server.punctual(&["run", "purge"]).code, 2, "everything is not what somebody meant");
}

#[test]
fn history_is_filtered_by_what_the_flags_say() {
    let server = server();
    let flags = ["--state", "missed", "--trigger", "schedule", "--since", "2h", "--agent", "w", "--label", "a=b"];
    let said = server.punctual(&[&["job", "history", "beat"], &flags[..]].concat());
    assert_eq!(said.out, "No run is like that. See all of them: punctual run list\n");
    server.punctual(&["run", "list", "--query", "be", "--until", "2026-01-01T00:00:00Z"]);
    server.with(|state| {
        let (history, list) = (&state.listed[0], &state.listed[1]);
        assert_eq!((history.states[0], history.agent_id.as_str()), (run::State::Missed.into(), "w"));
        assert!(history.scheduled_after.is_some() && history.labels["a"] == "b");
        assert_eq!((list.query.as_str(), list.scheduled_before.unwrap().seconds), ("be", 1_767_225_600));
    });
}
