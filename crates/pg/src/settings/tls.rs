//! The TLS options. The files are read at each connection attempt, since certificates are renewed.

use std::path::{Path, PathBuf};

use super::error::SettingsError;
use super::options::Options;
use super::values::SslMode;

/// How a connection is secured.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    /// TLS from the first byte on, without a request to the server first. Postgres 17 and later
    /// accept it.
    pub(crate) direct: bool,
    pub(crate) roots: Roots,
    /// The certificate of the client and its key.
    pub(crate) identity: Option<(NamedFile, NamedFile)>,
    pub(crate) crl: Option<NamedFile>,
    pub(crate) crl_folder: Option<PathBuf>,
    pub(crate) sni: bool,
    /// Whether TLS 1.2 and TLS 1.3 are allowed.
    pub(crate) versions: [bool; 2],
}

/// The certificate authorities that the certificate of the server must come from.
#[derive(Clone, Debug)]
pub(crate) enum Roots {
    /// Those that the operating system trusts.
    System,
    /// Those in a file. The file may be missing if `sslmode` does not verify certificates.
    File(NamedFile),
    /// No authorities: there is no home directory.
    Unknown,
}

/// A file. It may be missing, unless an option named it.
#[derive(Clone, Debug)]
pub(crate) struct NamedFile {
    pub(crate) path: PathBuf,
    pub(crate) named: bool,
}

const VERSIONS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

impl TlsSettings {
    pub(super) fn read(options: &Options) -> Result<Self, SettingsError> {
        let system = options.get("sslrootcert") == Some("system");
        let default = if system { SslMode::VerifyFull } else { SslMode::Prefer };
        let modes = "use disable, allow, prefer, require, verify-ca or verify-full";
        let mode = options.read("sslmode", SslMode::read, modes)?.unwrap_or(default);
        if system && mode != SslMode::VerifyFull {
            let expected = "with sslrootcert=system only verify-full is safe, since every host can have a certificate";
            return Err(options.invalid("sslmode", expected.to_owned()));
        }
        let negotiation = options.read("sslnegotiation", read_negotiation, "use postgres or direct")?;
        if negotiation == Some(true) && !mode.requires_tls() {
            return Err(options.invalid("sslnegotiation", "direct wants sslmode=require or a verifying one".to_owned()));
        }
        let home = options.home.as_deref().map(|home| home.join(".postgresql"));
        Ok(Self {
            mode,
            direct: negotiation == Some(true),
            roots: match file(options, "sslrootcert", home.as_deref(), "root.crt") {
                _ if system => Roots::System,
                Some(file) => Roots::File(file),
                None => Roots::Unknown,
            },
            identity: read_identity(options, home.as_deref())?,
            crl: file(options, "sslcrl", home.as_deref(), "root.crl"),
            crl_folder: options.get("sslcrldir").map(PathBuf::from),
            sni: options.read("sslsni", read_switch, "use 0 or 1")?.unwrap_or(true),
            versions: read_versions(options)?,
        })
    }

    /// The options of a connection string, without defaults.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("sslmode", self.mode.name().to_owned())];
        let mut add = |name, file: Option<&NamedFile>| {
            pairs.extend(file.filter(|file| file.named).map(|file| (name, file.path.display().to_string())));
        };
        if let Roots::File(file) = &self.roots {
            add("sslrootcert", Some(file));
        }
        add("sslcert", self.identity.as_ref().map(|(certificate, _)| certificate));
        add("sslkey", self.identity.as_ref().map(|(_, key)| key));
        add("sslcrl", self.crl.as_ref());
        pairs.extend(self.crl_folder.as_ref().map(|folder| ("sslcrldir", folder.display().to_string())));
        let others = [
            ("sslrootcert", "system", matches!(self.roots, Roots::System)),
            ("sslnegotiation", "direct", self.direct),
            ("sslcertmode", "disable", self.identity.is_none()),
            ("sslsni", "0", !self.sni),
            ("ssl_max_protocol_version", "TLSv1.2", !self.versions[1]),
            ("ssl_min_protocol_version", "TLSv1.3", !self.versions[0]),
        ];
        pairs.extend(
            others.iter().filter(|(.., differs)| *differs).map(|(name, value, _)| (*name, (*value).to_owned())),
        );
        pairs
    }
}

fn file(options: &Options, name: &str, home: Option<&Path>, default: &str) -> Option<NamedFile> {
    match options.get(name) {
        Some(path) => Some(NamedFile { path: path.into(), named: true }),
        None => home.map(|home| NamedFile { path: home.join(default), named: false }),
    }
}

fn read_identity(options: &Options, home: Option<&Path>) -> Result<Option<(NamedFile, NamedFile)>, SettingsError> {
    let mode = |text: &str| match text {
        "allow" => Some(true),
        "disable" => Some(false),
        _ => None,
    };
    let expected = "use allow or disable; that the server asks for a certificate cannot be required";
    let allowed = options.read("sslcertmode", mode, expected)?.unwrap_or(true);
    let files = file(options, "sslcert", home, "postgresql.crt").zip(file(options, "sslkey", home, "postgresql.key"));
    if let (Some(_), None) = (options.get("sslcert"), &files) {
        return Err(options.invalid("sslcert", "name the key, too: sslkey=/path/to/key".to_owned()));
    }
    // Without a home directory and a named certificate there is no client certificate.
    let nowhere = || NamedFile { path: PathBuf::new(), named: false };
    Ok(allowed.then(|| files.unwrap_or_else(|| (nowhere(), nowhere()))))
}

fn read_negotiation(text: &str) -> Option<bool> {
    match text {
        "postgres" => Some(false),
        "direct" => Some(true),
        _ => None,
    }
}

fn read_switch(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn read_versions(options: &Options) -> Result<[bool; 2], SettingsError> {
    let version = |text: &str| match text {
        "" => Some(None),
        _ => VERSIONS.iter().position(|known| known.eq_ignore_ascii_case(text)).map(Some),
    };
    let expected = "use TLSv1.2 or TLSv1.3";
    let min = options.read("ssl_min_protocol_version", version, expected)?.flatten().unwrap_or(0);
    let max = options.read("ssl_max_protocol_version", version, expected)?.flatten().unwrap_or(3);
    if max < 2 || max < min {
        let expected = "it leaves neither TLS 1.2 nor 1.3, which are what can be spoken";
        return Err(options.invalid("ssl_max_protocol_version", expected.to_owned()));
    }
    Ok([min <= 2, max == 3])
}
