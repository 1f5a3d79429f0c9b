//! TLS to Postgres, by the options of the URL.

use std::path::Path;

use ledger::OpenError;
use ledger::postgres::Postgres;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sqlx::Connection;

use crate::database::Database;

const SPEAKS_TLS: &[&str] = &["fsync=off", "ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"];

/// Its certificate, and what a server on 127.0.0.1 shows.
fn authority(folder: &Path, name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join(name), issuer.pem()).unwrap();
    issuer
}

#[tokio::test]
async fn who_shows_the_right_certificate_is_trusted_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority(folder.path(), "ours.crt");
    authority(folder.path(), "theirs.crt");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let files = [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())];
    let Some(server) = punctual_tests::Postgres::with_files(SPEAKS_TLS, &files) else { return };
    let database = Database { server };

    let url = |options: &str| format!("{}?{options}", database.server.url());
    let trusting = |name: &str| url(&format!("sslmode=verify-full&sslrootcert={}", folder.path().join(name).display()));
    drop(Postgres::open(&trusting("ours.crt"), "a").await.unwrap());
    let refused = Postgres::open(&trusting("theirs.crt"), "a").await;
    assert!(matches!(refused, Err(OpenError::Connect(_))), "{refused:?}");

    let ledger = Postgres::open(&url("sslmode=require"), "secret").await.unwrap();
    ledger::Reader::ping(&ledger).await.unwrap();
    let mut outsider = database.outsider().await;
    let encrypted = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a ON a.pid = s.pid \
         WHERE a.application_name LIKE 'punctual/%/secret'";
    let encrypted: Option<bool> = sqlx::query_scalar(encrypted).fetch_one(&mut outsider).await.unwrap();
    assert_eq!(encrypted, Some(true));
    outsider.close().await.unwrap();
}
