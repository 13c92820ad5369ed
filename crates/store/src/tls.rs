//! TLS to a server: what each `sslmode` means, as libpq has it.
//!
//! Source: Postgres manual, "SSL Support" (libpq), table of the modes.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::settings::SettingsError;

/// How a connection is secured.
#[derive(Clone, Debug)]
pub(crate) enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server can, whoever it is.
    Prefer,
    /// Encrypted, whoever the server is.
    Require,
    /// Encrypted, and the server proves its name by a certificate under these roots.
    VerifyFull(Arc<RootCertStore>),
}

impl TlsMode {
    /// Reads `sslmode` and its companions; without `sslrootcert` the roots are in `home/.postgresql/root.crt`.
    pub(crate) fn from_options(options: &BTreeMap<String, String>, home: Option<&str>) -> Result<Self, SettingsError> {
        if let Some(file) = options.get("sslcert") {
            return Err(SettingsError::Unsupported {
                option: format!("sslcert={file}"),
                instead: "use a password, or a connection through a local proxy",
            });
        }
        match options.get("sslmode").map_or("prefer", String::as_str) {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" if options.contains_key("sslrootcert") => Err(SettingsError::Unsupported {
                option: "sslmode=require with sslrootcert".into(),
                instead: "say verify-full to have the certificate checked, or leave sslrootcert out",
            }),
            "require" => Ok(Self::Require),
            "verify-full" => {
                root_store(options.get("sslrootcert"), home).map(|roots| Self::VerifyFull(Arc::new(roots)))
            }
            other => Err(SettingsError::Unsupported {
                option: format!("sslmode={other}"),
                instead: "use disable, prefer, require or verify-full",
            }),
        }
    }

    /// As `sslmode` has it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyFull(_) => "verify-full",
        }
    }

    pub(crate) fn driver_mode(&self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyFull(_) => SslMode::Require,
        }
    }

    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let config = match self {
            Self::VerifyFull(roots) => builder.with_root_certificates(Arc::clone(roots)),
            Self::Disable | Self::Prefer | Self::Require => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            }
        };
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

fn root_store(file: Option<&String>, home: Option<&str>) -> Result<RootCertStore, SettingsError> {
    let path = file.cloned().unwrap_or_else(|| format!("{}/.postgresql/root.crt", home.unwrap_or("~")));
    let fail = |problem: String| SettingsError::RootCertificates { path: path.clone(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| fail(error.to_string()))? {
        let certificate = certificate.map_err(|error| fail(error.to_string()))?;
        roots.add(certificate).map_err(|error| fail(error.to_string()))?;
    }
    if roots.is_empty() { Err(fail("it holds none".into())) } else { Ok(roots) }
}

/// Accepts any certificate: below `verify-ca` libpq encrypts without asking who the server is.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
