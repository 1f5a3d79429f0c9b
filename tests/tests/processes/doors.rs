//! What a page in a browser may be tricked into sending is refused by the server that people run.

use punctual_tests::{Server, folder};

#[test]
fn foreign_origins_rebound_hosts_and_plain_text_are_refused() {
    let folder = folder();
    let server = Server::bare(folder.path(), &[]);
    let job = r#"{"jobId":"planted","task":{"type":"noop"}}"#;
    let json = ("content-type", "application/json");
    let own = server.url();
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, u16); 7] = [
        ("a foreign origin", &[json, ("origin", "http://example.org")], 403),
        ("another port of this machine", &[json, ("origin", "http://127.0.0.1:1")], 403),
        ("an origin that is none", &[json, ("origin", "null")], 403),
        ("a name that was rebound to this address", &[json, ("host", "example.org")], 421),
        ("a body of text", &[("content-type", "text/plain")], 415),
        ("a form", &[("content-type", "application/x-www-form-urlencoded")], 415),
        ("its own page", &[json, ("origin", &own)], 200),
    ];
    for (what, headers, expected) in cases {
        let missing = server.rest.call("GET", "/jobs/planted", None).status;
        assert_eq!(missing, 404, "before {what}: nothing was created");
        let answer = server.rest.try_call("POST", "/api/v1/scheduler/jobs", headers, Some(job)).expect(what);
        assert_eq!(answer.status, expected, "{what}: {}", answer.text);
    }
    let reading = server.rest.try_call("GET", "/api/v1/scheduler/jobs", &[("host", "example.org")], None);
    assert_eq!(reading.expect("an answer").status, 421, "a rebound name does not read either");
}
