//! An authority of one test, which issues certificates for loopback.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};

use crate::Certificates;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    /// Its certificate is `<name>.pem` in the folder.
    #[track_caller]
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("because the system has randomness");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("because the parameters are right");
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, issuer.pem()).expect("because the folder is the test's");
        Self { issuer, file }
    }

    /// What clients are told to trust.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A certificate for 127.0.0.1 and its key, as `<name>-cert.pem` and `<name>-key.pem` in the folder.
    #[track_caller]
    pub fn issue(&self, folder: &Path, name: &str) -> Certificates {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("because it is an address");
        let key = KeyPair::generate().expect("because the system has randomness");
        let issued = params.signed_by(&key, &self.issuer).expect("because the parameters are right");
        let write = |kind: &str, text: String| {
            let path = folder.join(format!("{name}-{kind}.pem"));
            fs::write(&path, text).expect("because the folder is the test's");
            path
        };
        Certificates {
            authority: self.file.clone(),
            certificate: write("cert", issued.pem()),
            key: write("key", key.serialize_pem()),
        }
    }
}
