//! TLS of one connection: its configuration from files, and the handshake.

use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::socket::Socket;
use super::verify::{Chain, Verifier};
use crate::filter::Filter;
use crate::settings::{NamedFile, Roots, SslMode, TlsSettings};

/// The stream of plaintext messages below which TLS is used.
pub(super) type TlsStream = Filter<<MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A change of the certificates that the operating system trusts takes effect after this time.
const SYSTEM_ROOTS_KEPT: Duration = Duration::from_secs(300);

/// Does the handshake for the driver, and keeps its result, which the driver does not pass on.
pub(super) struct Handshake {
    /// `None` without TLS.
    pub(super) connector: Option<(MakeRustlsConnect, String)>,
    pub(super) result: Arc<OnceLock<Result<(), String>>>,
}

impl TlsConnect<Filter<Socket>> for Handshake {
    type Stream = TlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream>> + Send>>;

    fn connect(self, stream: Filter<Socket>) -> Self::Future {
        Box::pin(async move {
            let Some((mut maker, name)) = self.connector else { return Err(io::Error::other("TLS is off")) };
            let Ok(connect) = MakeTlsConnect::<Socket>::make_tls_connect(&mut maker, &name);
            let control = Arc::clone(stream.control());
            let made = connect.connect(stream.into_inner()).await;
            let result = made.as_ref().map(|_| ()).map_err(|error| error.to_string());
            // A handshake is not repeated, so the cell is empty here.
            let _ = self.result.set(result);
            made.map(|stream| Filter::new(stream, control, false))
        })
    }
}

/// Reads the files, and builds the TLS configuration of the settings.
pub(super) fn connector(settings: &TlsSettings) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let [tls12, tls13] = settings.versions;
    let versions: Vec<_> = [(tls12, &TLS12), (tls13, &TLS13)].iter().filter(|(may, _)| *may).map(|(_, v)| *v).collect();
    let verifier = Verifier {
        chain: chain(settings, &provider)?,
        name: settings.mode == SslMode::VerifyFull,
        provider: Arc::clone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity(settings)? {
        Some((certificates, key)) => builder
            .with_client_auth_cert(certificates, key)
            .map_err(|error| format!("the client certificate and its key cannot be used: {error}"))?,
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = settings.sni;
    if settings.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// The root certificates; `None` when certificates are not verified. Like libpq, verifies
/// certificates in every mode if root certificates exist.
fn chain(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Option<Chain>, String> {
    let roots = match &settings.roots {
        Roots::System => system_roots()?,
        Roots::File(file) if is_there(file, "root certificate file")? => certificates(&file.path)?,
        Roots::File(file) if settings.mode.verifies() => {
            let path = file.path.display();
            return Err(format!(
                "the root certificate file {path} does not exist: name another with sslrootcert, or use \
                 sslrootcert=system for the authorities that the operating system trusts"
            ));
        }
        Roots::Unknown if settings.mode.verifies() => {
            return Err("there is no home with root certificates: name a file with sslrootcert".to_owned());
        }
        Roots::File(_) | Roots::Unknown => return Ok(None),
    };
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(roots.iter().cloned());
    if taken == 0 {
        return Err("none of the root certificates can be used".to_owned());
    }
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .with_crls(revocation_lists(settings)?)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| format!("the revocation lists cannot be used: {error}"))?;
    Ok(Some(Chain { webpki, roots }))
}

/// The certificates that the operating system trusts. They are cached, because reading them for
/// each connection would take milliseconds of CPU time.
fn system_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    static KEPT: Mutex<Option<(Instant, Vec<CertificateDer<'static>>)>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, roots)) = kept.as_ref().filter(|(read, _)| read.elapsed() < SYSTEM_ROOTS_KEPT) {
        return Ok(roots.clone());
    }
    let roots = read_system_roots()?;
    *kept = Some((Instant::now(), roots.clone()));
    Ok(roots)
}

fn read_system_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("the operating system has no root certificates ({})", why.join("; ")));
    }
    Ok(found.certs)
}

fn revocation_lists(settings: &TlsSettings) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let mut lists = Vec::new();
    let mut read = |path: &Path| {
        let fail = |error: rustls::pki_types::pem::Error| format!("the revocation list {}: {error}", path.display());
        for list in CertificateRevocationListDer::pem_file_iter(path).map_err(fail)? {
            lists.push(list.map_err(fail)?);
        }
        Ok::<(), String>(())
    };
    if let Some(file) = &settings.crl
        && is_there(file, "revocation list")?
    {
        read(&file.path)?;
    }
    if let Some(folder) = &settings.crl_folder {
        let fail = |error: io::Error| format!("the folder of revocation lists {}: {error}", folder.display());
        for entry in fs::read_dir(folder).map_err(fail)? {
            read(&entry.map_err(fail)?.path())?;
        }
    }
    Ok(lists)
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate of the client and its key. Like libpq, refuses a key that other users can read.
fn identity(settings: &TlsSettings) -> Result<Option<ClientCertificate>, String> {
    let Some((certificate, key)) = &settings.identity else { return Ok(None) };
    if !is_there(certificate, "client certificate")? {
        return Ok(None);
    }
    let shown = key.path.display();
    let metadata = fs::metadata(&key.path)
        .map_err(|error| format!("there is a client certificate, but its key {shown} cannot be read: {error}"))?;
    // A key owned by root may be readable for a group.
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if !metadata.is_file() || metadata.permissions().mode() & others != 0 {
        return Err(format!("the private key {shown} must be a plain file that only its owner can read: chmod 0600"));
    }
    let read = PrivateKeyDer::from_pem_file(&key.path).or_else(|problem| {
        let bytes = fs::read(&key.path).map_err(|error| error.to_string())?;
        PrivateKeyDer::try_from(bytes).map_err(|_| problem.to_string())
    });
    let read = read.map_err(|problem| {
        format!("the private key {shown} cannot be used ({problem}): it has to be unencrypted, in PEM or DER")
    })?;
    Ok(Some((certificates(&certificate.path)?, read)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |error: rustls::pki_types::pem::Error| format!("the certificates in {}: {error}", path.display());
    let read: Vec<_> = CertificateDer::pem_file_iter(path).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)?;
    if read.is_empty() { Err(format!("there is no certificate in {}", path.display())) } else { Ok(read) }
}

/// Whether a file exists. A named file that does not exist is an error.
fn is_there(file: &NamedFile, what: &str) -> Result<bool, String> {
    match fs::metadata(&file.path) {
        Ok(_) => Ok(true),
        Err(error) if !file.named && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(format!("the {what} {} cannot be read: {error}", file.path.display())),
    }
}
