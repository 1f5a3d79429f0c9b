//! Nodes of a cluster, etcd and callers who do not take each other's word: certificates, passwords, and a secret of the nodes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use punctual_tests::{
    Authority, Certificates, Etcd, Port, Postgres, Process, Said, folder, job, noop, now, program, until,
};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Of loopback, and not the address that nodes call each other from.
const CALLER: &str = "127.0.0.2";

struct Node {
    port: Port,
    process: Process,
}

/// A caller of one node, who shows a certificate or none.
struct Caller<'c> {
    url: String,
    certificates: &'c Certificates,
    token: &'c str,
    shows_certificate: bool,
}

struct Answer {
    status: u16,
    body: Value,
}

impl Caller<'_> {
    #[track_caller]
    fn call(&self, method: &str, path: &str, headers: &[&str], body: Option<&Value>) -> Answer {
        let Certificates { authority, certificate, key } = self.certificates;
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--interface", CALLER, "-X", method, "-w", "\n%{http_code}", "--cacert"]).arg(authority);
        if self.shows_certificate {
            curl.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        curl.args(["-H", &format!("Authorization: Bearer {}", self.token)]);
        curl.args(headers.iter().flat_map(|header| ["-H", header]));
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        let said = Said::of(curl.arg(format!("{}/api/v1/scheduler{path}", self.url)));
        let (body, status) = said.out.trim_end().rsplit_once('\n').unwrap_or(("", said.out.trim()));
        let status = status.parse().unwrap_or_else(|_| panic!("{method} {path}: {said:?}"));
        Answer { status, body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    #[track_caller]
    fn creates(&self, job_id: &str, headers: &[&str]) -> u16 {
        self.call("POST", "/jobs", headers, Some(&job(job_id, noop(), json!({})))).status
    }
}

/// Everything that speaks TLS here has its certificate from one authority.
struct Cluster {
    nodes: Vec<Node>,
    certificates: Certificates,
    flags: Vec<String>,
    folder: PathBuf,
    token: String,
    _etcd: Etcd,
    _postgres: Postgres,
}

impl Cluster {
    /// `None` where etcd or Postgres is not on the machine.
    #[track_caller]
    fn start(folder: &Path) -> Option<Self> {
        let authority = Authority::new(folder, "authority");
        let certificates = authority.issue(folder, "node");
        let (etcd, postgres) = (Etcd::start_with_tls(certificates.clone())?, Postgres::start()?);
        etcd.ctl(&["user", "add", "root:root"]);
        etcd.ctl(&["user", "add", "punctual:password of etcd"]);
        etcd.ctl(&["role", "add", "punctual"]);
        etcd.ctl(&["role", "grant-permission", "punctual", "--prefix=true", "readwrite", "/punctual/default/"]);
        etcd.ctl(&["user", "grant-role", "punctual", "punctual"]);
        etcd.ctl(&["auth", "enable"]);
        let url = postgres.url();
        let mut bootstrap = Command::new(program("scheduler-server"));
        bootstrap.args(["token", "bootstrap", "--database-url", &url]).current_dir(folder);
        let token = Said::of(&mut bootstrap).ok().trim().to_owned();
        for (file, text) in [("peers", SECRET), ("password", "password of etcd\n")] {
            std::fs::write(folder.join(file), text).expect("because the folder is the test's");
        }
        let path = |path: &Path| path.display().to_string();
        let (ca, cert, key) = (path(authority.file()), path(&certificates.certificate), path(&certificates.key));
        let flags = [
            ("database-url", url.as_str()),
            ("etcd", &etcd.endpoints().join(",")),
            ("etcd-ca", &ca),
            ("etcd-cert", &cert),
            ("etcd-key", &key),
            ("etcd-user", "punctual"),
            ("etcd-password-file", &path(&folder.join("password"))),
            ("tls-cert", &cert),
            ("tls-key", &key),
            ("tls-client-ca", &ca),
            ("client-cert-for", "admin"),
            ("sign-in", "true"),
        ];
        let flags = flags.iter().map(|(name, value)| format!("--{name}={value}")).collect();
        let folder = folder.to_owned();
        let mut cluster =
            Self { nodes: Vec::new(), certificates, flags, folder, token, _etcd: etcd, _postgres: postgres };
        let secret = format!("--peer-secret-file={}", cluster.folder.join("peers").display());
        for name in ["a", "b"] {
            cluster.join(name, &[&format!("--peer-ca={ca}"), &secret]);
        }
        Some(cluster)
    }

    /// Starts another node, and waits until it knows who leads.
    #[track_caller]
    fn join(&mut self, name: &str, flags: &[&str]) {
        let own = self.folder.join(name);
        std::fs::create_dir(&own).expect("because the folder is the test's");
        let port = Port::free();
        let listen = format!("--listen=127.0.0.1:{}", port.number());
        let id = format!("--node-id={name}");
        let mut args = vec!["serve", &listen, &id];
        args.extend(self.flags.iter().map(String::as_str).chain(flags.iter().copied()));
        let process = Process::start("server", &own, "scheduler-server", &args);
        self.nodes.push(Node { port, process });
        let (node, ready) = (self.nodes.len() - 1, format!("{}/readyz", self.url(self.nodes.len() - 1)));
        let authority = self.certificates.authority.clone();
        until("a node that is ready", 60, || {
            assert!(self.nodes[node].process.status().is_none(), "the node has ended instead of getting ready");
            let asked = Command::new("curl").args(["-sf", "--cacert"]).arg(&authority).arg(&ready).output();
            asked.expect("curl is there").status.success().then_some(())
        });
    }

    fn url(&self, node: usize) -> String {
        format!("https://127.0.0.1:{}", self.nodes[node].port.number())
    }

    fn caller(&self, node: usize) -> Caller<'_> {
        Caller { url: self.url(node), certificates: &self.certificates, token: &self.token, shows_certificate: true }
    }

    #[track_caller]
    fn leader(&self) -> usize {
        let id = until("a leader", 30, || {
            self.caller(0).call("GET", "/status", &[], None).body["leader"]["nodeId"].as_str().map(str::to_owned)
        });
        usize::from(id == "b")
    }

    /// From where the audit says that a job was created.
    #[track_caller]
    fn creator(&self, job_id: &str) -> String {
        let path = format!("/audit-events?query=jobs/{job_id}");
        let told = self.caller(0).call("GET", &path, &[], None).body;
        told["events"][0]["address"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
    }
}

#[test]
fn nodes_believe_each_other_who_calls_and_nobody_else() {
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path()) else { return };
    let leader = cluster.leader();
    let standby = 1 - leader;

    // The certificate and the address of a caller go along to the leader.
    assert_eq!(Caller { shows_certificate: false, ..cluster.caller(standby) }.creates("bare", &[]), 401);
    assert_eq!(cluster.caller(leader).creates("at-leader", &[]), 200);
    assert_eq!(cluster.caller(standby).creates("at-standby", &[]), 200);
    for job_id in ["at-leader", "at-standby"] {
        assert_eq!(cluster.creator(job_id), CALLER, "{job_id}");
    }

    // Who is no node cannot say from where a call comes, nor that it has a certificate.
    let lies = ["punctual-forwarded-by: b", "punctual-forwarded-for: 10.9.9.9; certificate"];
    let proof = format!("punctual-forwarded-proof: {}", "0".repeat(64));
    let lies = [lies[0], lies[1], &proof];
    assert_eq!(cluster.caller(leader).creates("lied", &lies), 200);
    assert_eq!(cluster.creator("lied"), CALLER);
    assert_eq!(Caller { shows_certificate: false, ..cluster.caller(leader) }.creates("lied-again", &lies), 401);

    // One without the secret is no node to the others, and is let in as who calls.
    cluster.join("c", &[&format!("--peer-ca={}", cluster.certificates.authority.display())]);
    assert_eq!(cluster.caller(2).creates("without-secret", &[]), 401, "nobody says that there was a certificate");

    // And a node trusts no leader whose certificate is not of the authority that it was told.
    let other = Authority::new(folder.path(), "another");
    cluster.join("d", &[&format!("--peer-ca={}", other.file().display())]);
    let refused = cluster.caller(3).call("POST", "/jobs", &[], Some(&job("to-a-stranger", noop(), json!({}))));
    assert_eq!((refused.status, &refused.body["error"]["status"]), (503, &json!("UNAVAILABLE")), "{}", refused.body);
}

#[test]
fn a_revoked_token_is_refused_by_every_node_within_a_second() {
    let folder = folder();
    let Some(cluster) = Cluster::start(folder.path()) else { return };
    for (revoked_at, called) in [(0, 1), (1, 0)] {
        let made = cluster.caller(revoked_at).call("POST", "/tokens", &[], Some(&json!({"role": "VIEWER"})));
        let secret = made.body["secret"].as_str().unwrap_or_else(|| panic!("{}", made.body)).to_owned();
        let id = made.body["tokenId"].as_str().expect("it has an id").to_owned();
        let answered = |node: usize| {
            Caller { token: &secret, ..cluster.caller(node) }.call("GET", "/namespaces", &[], None).status
        };
        for node in 0..2 {
            assert_eq!(answered(node), 200, "at {node}: any node knows it at once");
        }
        let revoked = cluster.caller(revoked_at).call("POST", &format!("/tokens/{id}/revoke"), &[], Some(&json!({})));
        assert_eq!(revoked.status, 200, "{}", revoked.body);
        let since = now();
        assert_eq!(answered(revoked_at), 401, "where it was revoked it is refused at once");
        until("the other node to refuse it", 20, || {
            let begun = now();
            let status = answered(called);
            let late = (begun - since).to_std().unwrap_or_default() > Duration::from_secs(1);
            assert!(status == 401 || !late, "{status} to a call of {begun}, after a revocation at {since}");
            (status == 401).then_some(())
        });
    }
}
