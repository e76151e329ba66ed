//! TLS to a server: rustls with ring, and the certificates of a file or of the system.
//! It must never accept a certificate that leads to none of those. Reads the files that the settings name; to the clients.

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
};
use tcpvitals_config::{
    ConfigError,
    file::{files, variable},
};

/// Whom a client trusts: the certificates of the file that the setting `key` names, or those of the system; nobody without TLS.
///
/// # Errors
/// [`ConfigError`] when a file cannot be used.
pub fn trusting(
    is_encrypted: bool,
    key: &str,
    file: Option<&Path>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ConfigError> {
    let roots = if is_encrypted {
        roots(key, file)?
    } else {
        RootCertStore::empty()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ConfigError::of_setting(key, error))?;
    Ok(builder.with_root_certificates(roots))
}

fn roots(key: &str, file: Option<&Path>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        for certificate in certificates(key, file)? {
            let added = roots.add(certificate);
            added.map_err(|error| unusable(key, file, &error, CERTIFICATES))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let what = found
            .errors
            .first()
            .map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(ConfigError::of_setting(
            key,
            format!("not set, and the system has no certificates to trust ({what}); name a file"),
        ));
    }
    Ok(roots)
}

/// Where systems have their certificates in one file; `rustls_native_certs` reads the first that is there.
const OF_SYSTEMS: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/cacert.pem",
];

/// Files that change when the certificates of the system do, those too that are not there.
pub(crate) fn of_system() -> impl Iterator<Item = PathBuf> {
    let chosen = variable("SSL_CERT_FILE").map(PathBuf::from);
    chosen.into_iter().chain(OF_SYSTEMS.map(PathBuf::from))
}

const CERTIFICATES: &str = "certificates";

/// The certificates of the file that the setting `key` names; one at least.
pub(crate) fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = read(key, path, CERTIFICATES)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = read.map_err(|error| unusable(key, path, &error, CERTIFICATES))?;
    if found.is_empty() {
        return Err(unusable(key, path, &"it holds none", CERTIFICATES));
    }
    Ok(found)
}

/// The bytes of the file that the setting `key` names, which is to hold what is `wanted`.
pub(crate) fn read(key: &str, path: &Path, wanted: &str) -> Result<Vec<u8>, ConfigError> {
    files::read(path, files::PEM).map_err(|error| unusable(key, path, &error, wanted))
}

/// What is wrong with such a file.
pub(crate) fn unusable(key: &str, path: &Path, what: &dyn Display, wanted: &str) -> ConfigError {
    let path = path.display();
    let what = format!("{path}: {what}; name a PEM file with {wanted} that tcpvitals may read");
    ConfigError::of_setting(key, what)
}
