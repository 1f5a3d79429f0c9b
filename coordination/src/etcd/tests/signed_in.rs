//! An etcd that asks who is there: by name and password, or by certificates.

use std::fs;

use punctual_tests::{Certificates, Etcd as PrivateEtcd, folder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use scheduler_core::engine::CandidacyId;

use crate::Coordinator;
use crate::etcd::{Etcd, Settings, Tls, User};

use super::cluster::settings;

const FIRST: CandidacyId = CandidacyId(1);

fn user(password: &str) -> Option<User> {
    Some(User { name: "punctual".to_owned(), password: password.to_owned() })
}

/// A user with what a cluster needs, and no more.
fn ask_for_names(etcd: &PrivateEtcd) {
    etcd.ctl(&["user", "add", "root:root"]);
    etcd.ctl(&["user", "add", "punctual:secret"]);
    etcd.ctl(&["role", "add", "punctual"]);
    etcd.ctl(&["role", "grant-permission", "punctual", "--prefix=true", "readwrite", "/punctual/test/"]);
    etcd.ctl(&["user", "grant-role", "punctual", "punctual"]);
    etcd.ctl(&["auth", "enable"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_name_and_password_leads_and_nobody_else() {
    let Some(mut etcd) = PrivateEtcd::start(1) else { return };
    ask_for_names(&etcd);
    let settings = || settings("a", etcd.endpoints());
    for wrong in [None, user("guessed")] {
        let stranger = Etcd::new(Settings { user: wrong, ..settings() }).unwrap();
        tokio::select! {
            elected = stranger.campaign(FIRST) => panic!("a stranger: {elected:?}"),
            _ = stranger.keep_alive(FIRST) => {}
        }
    }
    let known = Etcd::new(Settings { user: user("secret"), ..settings() }).unwrap();
    known.campaign(FIRST).await.unwrap();
    known.prove(FIRST, &[]).await.unwrap();
    // Its token is one of before the change, and then of before the restart.
    etcd.ctl(&["--user=root:root", "role", "add", "another"]);
    known.prove(FIRST, &[]).await.unwrap();
    known.keep_alive(FIRST).await.unwrap();
    etcd.restart(0);
    while known.prove(FIRST, &[]).await.is_err() {}
    known.keep_alive(FIRST).await.unwrap();
}

struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { folder: folder(), issuer }
    }

    /// A certificate for loopback, and its key.
    fn identity(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn certificates(&self) -> Certificates {
        let write = |name: &str, text: String| {
            let path = self.folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (certificate, key) = self.identity();
        Certificates {
            authority: write("ca.pem", self.issuer.pem()),
            certificate: write("cert.pem", certificate),
            key: write("key.pem", key),
        }
    }

    fn tls(&self, of: &Self) -> Option<Tls> {
        let (certificate, key) = of.identity();
        let identity = Some((certificate.into_bytes(), key.into_bytes()));
        Some(Tls { ca: self.issuer.pem().into_bytes(), identity, server_name: None })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_both_ends_must_have_certificates_of_the_authority() {
    let (authority, another) = (Authority::new(), Authority::new());
    let Some(etcd) = PrivateEtcd::start_with_tls(authority.certificates()) else { return };
    let settings = || settings("a", etcd.endpoints());
    let known = Etcd::new(Settings { tls: authority.tls(&authority), ..settings() }).unwrap();
    known.campaign(FIRST).await.unwrap();
    known.prove(FIRST, &[]).await.unwrap();
    let no_certificate = Some(Tls { ca: authority.issuer.pem().into_bytes(), identity: None, server_name: None });
    for wrong in [no_certificate, authority.tls(&another), another.tls(&authority)] {
        let stranger = Etcd::new(Settings { tls: wrong, ..settings() }).unwrap();
        tokio::select! {
            elected = stranger.campaign(FIRST) => panic!("a stranger: {elected:?}"),
            _ = stranger.keep_alive(FIRST) => {}
        }
    }
}
