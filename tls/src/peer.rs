//! The certificate that the other end has proved to hold.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a client's certificate says of it. The handshake has checked that a trusted authority signed it, that it is
/// valid today, and that the client has its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The whole subject, for people: not to be compared, since a name in it may contain commas.
    pub subject: String,
    /// The common name of the subject, where there is one and no more.
    pub common_name: Option<String>,
    /// Its alternative names: of hosts, URIs and mail addresses.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
}

impl PeerCertificate {
    /// What the first certificate of a chain says; `None` where there is none, or where it cannot be understood.
    pub fn of_chain(chain: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        let der = chain?.first()?;
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut common_names = certificate.subject().iter_common_name().map(|name| name.as_str());
        let common_name = match (common_names.next(), common_names.next()) {
            (Some(Ok(name)), None) => Some(name.to_owned()),
            _ => None,
        };
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names).filter_map(name);
        Some(Self {
            subject: certificate.subject().to_string(),
            common_name,
            names: names.collect(),
            fingerprint: hexadecimal(&Sha256::digest(der)),
        })
    }
}

/// The last second of a certificate, since 1970.
pub(crate) fn valid_until(der: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("because a String takes everything");
        text
    })
}
