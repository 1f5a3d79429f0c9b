//! `dev --tls` as its users have it: what it prints works, and whoever forgets TLS or trust is told so.

use std::path::Path;

use punctual_tests::{Cli, Port, Process, folder, job, shell, until};
use rustix::process::Signal;
use serde_json::json;

struct Encrypted {
    port: Port,
    process: Process,
}

impl Encrypted {
    fn start(folder: &Path, port: Port) -> Self {
        let listen = format!("127.0.0.1:{}", port.number());
        let args = ["dev", "--tls", "--listen", &listen, "--data-dir", "data"];
        let process = Process::start("server", folder, "scheduler-server", &args);
        Self { port, process }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port.number())
    }

    /// A client that trusts the server's authority.
    fn trusting(&self, folder: &Path) -> Cli {
        self.stranger(folder).with("PUNCTUAL_TOKEN_FILE", "data/tls/admin.token")
    }

    /// A client that trusts the server, and has no token.
    fn stranger(&self, folder: &Path) -> Cli {
        Cli::new(folder, &self.url("https")).with("PUNCTUAL_TLS_CA", "data/tls/ca.pem")
    }

    #[track_caller]
    fn has_agents(&self, folder: &Path, number: u64) {
        until(&format!("{number} agents"), 30, || {
            let said = self.trusting(folder).call(&["status", "--output", "json"]);
            let status: serde_json::Value = serde_json::from_str(&said.out).ok()?;
            (status["agents"]["alive"].as_u64() == Some(number)).then_some(())
        });
    }
}

/// The embedded agent's tasks have the rights of the server itself, and look for what `dev --tls` has made.
#[test]
fn a_task_of_dev_with_tls_reads_no_token() {
    let folder = folder();
    let folder = folder.path();
    let server = Encrypted::start(folder, Port::free());
    server.has_agents(folder, 1);
    let look = "cat data/tls/*.token data/tls/*-key.pem; cat data/tls/ca.pem; echo looked";
    let definition = job("spy", shell(look), json!({})).to_string();
    std::fs::write(folder.join("job.json"), definition).expect("because the folder is the test's");
    let cli = server.trusting(folder);
    cli.ok(&["job", "create", "-f", "job.json"]);
    let said = cli.ok(&["job", "trigger", "spy", "--wait"]);
    assert!(said.contains("looked") && said.contains("BEGIN CERTIFICATE"), "{said}");
    assert!(!said.contains("pct_") && !said.contains("PRIVATE KEY"), "{said}");
}

#[test]
fn a_server_with_a_self_made_authority_is_reached_by_what_it_prints() {
    let folder = folder();
    let folder = folder.path();
    let mut server = Encrypted::start(folder, Port::free());
    // The embedded agent, over TLS.
    server.has_agents(folder, 1);
    let printed = server.process.log();
    let command = |program: &str| {
        let line = printed.lines().map(str::trim).find(|line| line.starts_with(program));
        line.unwrap_or_else(|| panic!("no {program}: {printed}")).split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let curl = format!("{} --fail -sS", command("curl").join(" "));
    let answered = std::process::Command::new("sh").args(["-c", &curl]).output().expect("a shell is there");
    assert!(answered.status.success(), "{}", String::from_utf8_lossy(&answered.stderr));
    let refused = server.stranger(folder).call(&["job", "list"]);
    assert!(refused.code == Some(1) && refused.err.contains("token"), "{refused:?}");
    let punctual = command("punctual");
    let args: Vec<&str> = punctual[1..].iter().map(String::as_str).collect();
    Cli::new(folder, "http://127.0.0.1:1").ok(&args);
    let agent = command("executor-agent");
    let args: Vec<&str> = agent[1..].iter().map(String::as_str).collect();
    let _agent = Process::start("agent", folder, "executor-agent", &args);
    server.has_agents(folder, 2);

    // After a restart clients need not be told anew whom to trust, nor get new tokens.
    let kept =
        || ["ca.pem", "admin.token", "agent.token"].map(|name| std::fs::read(folder.join("data/tls").join(name)));
    let trusted = kept().map(|file| file.expect("it is there"));
    server.process.kill();
    let Encrypted { port, .. } = server;
    let server = Encrypted::start(folder, port);
    server.has_agents(folder, 2);
    assert_eq!(kept().map(|file| file.expect("it is there")), trusted);
}

/// Writes a server's certificate, which clients trust as it is.
fn certificate(folder: &Path) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("because the folder is the test's");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("because the folder is the test's");
}

#[test]
fn a_server_takes_a_renewed_certificate_by_itself_and_on_a_signal() {
    let folder = folder();
    let folder = folder.path();
    certificate(folder);
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let flags = ["--database-url", "sqlite://l.db", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let args = [&["serve", "--listen", &listen], &flags[..]].concat();
    let mut server = Process::start("server", folder, "scheduler-server", &args);
    let trusting = Cli::new(folder, &format!("https://{listen}")).with("PUNCTUAL_TLS_CA", "cert.pem");
    let answers = || trusting.call(&["status"]).code.filter(|code| *code == 0);
    until("the server", 30, answers);

    certificate(folder);
    until("the new certificate", 20, answers);

    std::fs::write(folder.join("key.pem"), "no key").expect("because the folder is the test's");
    server.signal(Signal::HUP);
    until("the complaint", 20, || server.log().contains("no good").then_some(()));
    assert_eq!(answers(), Some(0), "the old pair stays");

    certificate(folder);
    server.signal(Signal::HUP);
    until("the next certificate", 20, answers);
    assert!(server.status().is_none());
}

#[test]
fn who_forgets_tls_or_trust_is_told_what_to_do() {
    let folder = folder();
    let folder = folder.path();
    let server = Encrypted::start(folder, Port::free());
    server.has_agents(folder, 1);

    let said = Cli::new(folder, &server.url("http")).call(&["status"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(3), 1), "{said:?}");
    assert!(said.err.contains("write https://"), "{said:?}");
    let said = Cli::new(folder, &server.url("https")).call(&["status"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(3), 1), "{said:?}");
    assert!(said.err.contains("UnknownIssuer"), "{said:?}");
    let said = server.trusting(folder).call(&["status", "--server", &server.url("http")]);
    assert_eq!(said.code, Some(2), "flags that would protect nothing: {said:?}");
    let said = server.trusting(folder).call(&["status", "--tls-ca", "missing.pem"]);
    assert!(said.code == Some(2) && said.err.contains("missing.pem"), "{said:?}");
    let said = server.trusting(folder).call(&["status", "--tls-server-name", "other.example"]);
    assert!(said.code == Some(3) && said.err.contains("other.example"), "{said:?}");

    let agent = Process::start("plain", folder, "executor-agent", &["--id", "plain", "--server", &server.url("http")]);
    until("the agent to say what to do", 20, || agent.log().contains("write https://").then_some(()));
}

#[test]
fn a_token_of_a_role_that_needs_a_certificate_is_good_for_nothing_without_one() {
    let folder = folder();
    let folder = folder.path();
    certificate(folder);
    let ledger = "--database-url=sqlite://l.db";
    let args = ["token", "bootstrap", ledger, "--out", "admin.token"];
    assert!(Process::start("bootstrap", folder, "scheduler-server", &args).exit(30).success());
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let tls = ["--tls-cert=cert.pem", "--tls-key=key.pem", "--tls-client-ca=cert.pem", "--client-cert-for=admin"];
    let args = [&["serve", "--sign-in", "--listen", &listen, ledger], &tls[..]].concat();
    let _server = Process::start("server", folder, "scheduler-server", &args);
    let client = || {
        let cli = Cli::new(folder, &format!("https://{listen}")).with("PUNCTUAL_TLS_CA", "cert.pem");
        cli.with("PUNCTUAL_TOKEN_FILE", "admin.token")
    };
    let certified = client().with("PUNCTUAL_TLS_CERT", "cert.pem").with("PUNCTUAL_TLS_KEY", "key.pem");
    until("the server", 30, || certified.call(&["job", "list"]).code.filter(|code| *code == 0));
    let said = client().call(&["job", "list"]);
    assert!(said.code == Some(1) && said.err.contains("--tls-cert"), "{said:?}");
}
