//! An authority of a server's own, for `dev --tls`: its certificate and key stay in a folder, so that clients that were
//! told to trust it still do after a restart. The server's certificate is made anew with every start.
//!
//! It is for trying things out on one machine: its key lies beside the data.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use tls::ServerFiles;

use crate::dev_tokens::DevTokens;

const AUTHORITY_KEY: &str = "ca-key.pem";
const OWN_NAMES: [&str; 2] = ["localhost", "punctual.localhost"];

/// The files of such an authority and of the certificate that it has issued.
#[derive(Clone, Debug)]
pub struct SelfMade {
    /// What clients are told to trust.
    pub ca: PathBuf,
    /// Where all of it is.
    pub folder: PathBuf,
    pub files: ServerFiles,
}

impl SelfMade {
    /// Takes the authority that is in the folder, or makes one, and issues a certificate for this machine's own names
    /// and `address`.
    pub fn in_folder(folder: &Path, address: IpAddr) -> Result<Self> {
        let cannot = || format!("no certificate can be made in {}", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
        let issuer = authority(folder).with_context(cannot)?;
        let key = KeyPair::generate().with_context(cannot)?;
        let certificate = of_server(address)?.signed_by(&key, &issuer).with_context(cannot)?;
        let files =
            ServerFiles { cert: folder.join("server.pem"), key: folder.join("server-key.pem"), client_ca: None };
        write(&files.cert, &certificate.pem(), 0o644).with_context(cannot)?;
        write(&files.key, &key.serialize_pem(), 0o600).with_context(cannot)?;
        // Commands with these paths are called from anywhere.
        let folder = folder.canonicalize().with_context(cannot)?;
        Ok(Self { ca: folder.join("ca.pem"), folder, files })
    }

    /// With it, anybody can be this server to who trusts its authority.
    pub fn authority_key(&self) -> PathBuf {
        self.folder.join(AUTHORITY_KEY)
    }

    /// Commands that reach the server, for people.
    pub fn how_to_call(&self, url: &str, tokens: &DevTokens) -> String {
        let (ca, admin, agent) = (self.ca.display(), tokens.admin.display(), tokens.agent.display());
        format!(
            "This server's certificate comes from its own authority, and nobody is let in without a token. To call it:\n\n  \
             punctual --server {url} --tls-ca {ca} --token-file {admin} status\n  \
             curl --cacert {ca} -H \"Authorization: Bearer $(cat {admin})\" {url}/api/v1/scheduler/status\n  \
             executor-agent --server {url} --tls-ca {ca} --token-file {agent} --id worker-1\n"
        )
    }
}

/// Only the key makes an authority; its certificate is the same whenever it is made from it, but for its dates.
fn authority(folder: &Path) -> Result<Issuer<'static, KeyPair>> {
    let (ca, key) = (folder.join("ca.pem"), folder.join(AUTHORITY_KEY));
    let stored = match fs::read_to_string(&key) {
        Ok(pem) => Some(KeyPair::from_pem(&pem).with_context(|| format!("{} is no key", key.display()))?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let params = of_authority();
    match stored {
        Some(stored) if ca.exists() => Ok(Issuer::new(params, stored)),
        _ => {
            let made = KeyPair::generate()?;
            let certificate = params.self_signed(&made)?;
            write(&key, &made.serialize_pem(), 0o600)?;
            write(&ca, &certificate.pem(), 0o644)?;
            Ok(Issuer::new(params, made))
        }
    }
}

fn of_authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Punctual, self-made on this machine");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn of_server(address: IpAddr) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(OWN_NAMES.map(str::to_owned).to_vec())?;
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    if !addresses.contains(&address) {
        addresses.push(address);
    }
    params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
    params.distinguished_name = named("Punctual server");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Never readable by others, not even for a moment: a file that is there is replaced.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_authority_stays_over_restarts_and_its_key_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tls");
        let first = SelfMade::in_folder(&folder, IpAddr::from([127, 0, 0, 1])).unwrap();
        let (trusted, shown) = (fs::read(&first.ca).unwrap(), fs::read(&first.files.cert).unwrap());
        let second = SelfMade::in_folder(&folder, IpAddr::from([127, 0, 0, 1])).unwrap();
        assert_eq!(fs::read(&second.ca).unwrap(), trusted);
        assert_ne!(fs::read(&second.files.cert).unwrap(), shown);
        for secret in ["ca-key.pem", "server-key.pem"] {
            let mode = fs::metadata(folder.join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn a_broken_key_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca-key.pem"), "no key").unwrap();
        let error = SelfMade::in_folder(folder.path(), IpAddr::from([127, 0, 0, 1])).unwrap_err();
        assert!(format!("{error:#}").contains("ca-key.pem"), "{error:#}");
        assert_eq!(fs::read_to_string(folder.path().join("ca-key.pem")).unwrap(), "no key");
    }
}
