//! Verifies the certificate of a server as each `sslmode` requires.
//!
//! Source: Postgres manual, "SSL Support" (libpq).

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Verifies a certificate as the settings require.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) provider: Arc<CryptoProvider>,
    /// `None` accepts any certificate.
    pub(super) chain: Option<Chain>,
    /// The certificate must have the name of the host.
    pub(super) name: bool,
}

/// The authorities that may have issued the certificate.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    /// The root certificates as they were read.
    pub(super) roots: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is verified last, so the certificate is valid otherwise.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name || has_common_name(end_entity, server_name) => {}
            // OpenSSL trusts a certificate that is itself among the roots, even one of an
            // authority.
            Err(error) if is_ca_as_server(&error) && chain.roots.iter().any(|root| root == end_entity) => {
                if self.name && !has_common_name(end_entity, server_name) {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
            }
            other => return other,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_ca_as_server(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Whether the certificate has no alternative names of this kind and its common name matches the
/// host. Certificates made by hand often have no alternative names.
fn has_common_name(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
    let Ok(certificate) = x509_cert::Certificate::from_der(certificate) else { return false };
    let certificate = certificate.tbs_certificate;
    let alternative = match certificate.get::<SubjectAltName>() {
        Ok(names) => names.map(|(_, names)| names.0).unwrap_or_default(),
        Err(_) => return false,
    };
    let (host, address) = match host {
        ServerName::DnsName(name) => (name.as_ref().to_owned(), false),
        ServerName::IpAddress(address) => (IpAddr::from(*address).to_string(), true),
        _ => return false,
    };
    let same_kind = |name: &GeneralName| match name {
        GeneralName::DnsName(_) => true,
        GeneralName::IpAddress(_) => address,
        _ => false,
    };
    if alternative.iter().any(same_kind) {
        return false;
    }
    let attributes = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    attributes.filter(|attribute| attribute.oid == COMMON_NAME).any(|attribute| {
        let text = Utf8StringRef::try_from(&attribute.value).map(|text| text.as_str().to_owned());
        let text = text.or_else(|_| PrintableStringRef::try_from(&attribute.value).map(|text| text.to_string()));
        text.is_ok_and(|pattern| matches_host(&pattern, &host, address))
    })
}

/// Like libpq: `*.` at the beginning stands for one label.
fn matches_host(pattern: &str, host: &str, address: bool) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = pattern.strip_prefix("*.").filter(|_| !address) else { return false };
    host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::matches_host;

    #[test]
    fn a_star_stands_for_one_label() {
        for (pattern, host, matches) in [
            ("db.example.org", "DB.example.org", true),
            ("*.example.org", "db.example.org", true),
            ("*.example.org", "a.db.example.org", false),
            ("*.example.org", "example.org", false),
            ("*", "db", false),
            ("d*.example.org", "db.example.org", false),
        ] {
            assert_eq!(matches_host(pattern, host, false), matches, "{pattern} {host}");
        }
        assert!(matches_host("127.0.0.1", "127.0.0.1", true));
        assert!(!matches_host("*.0.0.1", "127.0.0.1", true));
    }
}
