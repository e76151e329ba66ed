//! The TLS side of the server: certificate, key and authorities are read, and become what rustls serves with.
//! It must never take half of a pair: a key that does not fit its certificate is an error.
//! From `Tls` of the configuration; to the listener.

use rustls::{
    Error as TlsError, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, danger::ClientCertVerifier},
};
use std::{borrow::Cow, sync::Arc};

use super::client_certs;
use crate::serve::web::config::{ClientAuth, Pem, Tls};
use tcpvitals_config::file::{Problem, files, unreadable};

/// What connections are accepted with.
pub(crate) fn load(config: &Tls, http2: bool) -> Result<Arc<ServerConfig>, Problem> {
    let provider = Arc::new(provider(config));
    let versions: Vec<&SupportedProtocolVersion> = rustls::ALL_VERSIONS
        .iter()
        .filter(|version| config.versions.contains(&version.version))
        .copied()
        .collect();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| {
            let what = format!("{error}; choose other versions, cipher suites or curves");
            Problem::new("tls_server_config", what)
        })?;
    let builder = match client_verifier(config, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let chain = certificates(&config.cert)?;
    let mut server = builder
        .with_single_cert(chain, private_key(&config.key)?)
        .map_err(|error| unusable(config, &error))?;
    let http2 = http2.then(|| b"h2".to_vec());
    server.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
    server.ignore_client_order = config.prefer_server_cipher_suites;
    // A resumed session would skip the certificate of the client; scrapers keep their connections anyway.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

fn provider(config: &Tls) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !config.cipher_suites.is_empty() {
        let all = provider.cipher_suites;
        let chosen = |wanted| all.iter().copied().find(|suite| suite.suite() == wanted);
        // Those of TLS 1.3 are not for choice, as in Go.
        provider.cipher_suites = all
            .iter()
            .copied()
            .filter(|suite| suite.tls13().is_some())
            .chain(config.cipher_suites.iter().copied().filter_map(chosen))
            .collect();
    }
    if !config.curves.is_empty() {
        let all = provider.kx_groups;
        let chosen = |wanted| all.iter().copied().find(|group| group.name() == wanted);
        provider.kx_groups = config.curves.iter().copied().filter_map(chosen).collect();
    }
    provider
}

fn client_verifier(
    config: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Problem> {
    let authorities = match &config.client_ca {
        Some(pem) => authorities(pem)?,
        None => Vec::new(),
    };
    if config.client_auth == ClientAuth::None {
        return Ok(None);
    }
    client_certs::verifier(
        config.client_auth,
        authorities,
        config.client_allowed_sans.clone(),
        provider,
    )
    .map(Some)
    .map_err(|error| {
        Problem::new(
            "tls_server_config.client_auth_type",
            format!("{error}; name other authorities"),
        )
    })
}

/// Certificates, each of which can be an authority.
fn authorities(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let certificates = certificates(pem)?;
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| {
            let what = format!("{}: {error}; name certificates of authorities", place(pem));
            Problem::new(key(pem), what)
        })?;
    }
    Ok(certificates)
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let bytes = bytes(pem)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => {
            let what = format!(
                "{}: this is no certificate in PEM; it begins with -----BEGIN CERTIFICATE-----",
                place(pem)
            );
            Err(Problem::new(key(pem), what))
        }
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Problem> {
    // What is wrong with a key is not quoted.
    PrivateKeyDer::from_pem_slice(&bytes(pem)?).map_err(|_unsaid| {
        let what = format!(
            "{}: this is no private key in PEM without a passphrase; it begins with -----BEGIN PRIVATE KEY-----, or EC or \
             RSA before PRIVATE",
            place(pem)
        );
        Problem::new(key(pem), what)
    })
}

fn unusable(config: &Tls, error: &TlsError) -> Problem {
    let what = if let TlsError::InconsistentKeys(_) = error {
        format!(
            "{}: this key does not belong to the certificate of {}; name the two that were made together",
            place(&config.key),
            place(&config.cert)
        )
    } else {
        format!(
            "{}: key or certificate cannot be used: {error}; use an ECDSA (P-256, P-384), Ed25519 or RSA (2048 bits or more) \
             key and an X.509 v3 certificate",
            place(&config.key)
        )
    };
    Problem::new(key(&config.key), what)
}

fn bytes(pem: &Pem) -> Result<Cow<'_, [u8]>, Problem> {
    match pem {
        Pem::Inline(_, text) => Ok(text.reveal().as_bytes().into()),
        Pem::File(key, path) => files::read(path, files::PEM).map(Cow::Owned).map_err(|error| {
            let what = unreadable(
                &error,
                "name another file; a relative path begins at the folder of this file",
            );
            Problem::new(*key, format!("{}: {what}", path.display()))
        }),
    }
}

fn key(pem: &Pem) -> &'static str {
    match pem {
        Pem::File(key, _) | Pem::Inline(key, _) => key,
    }
}

fn place(pem: &Pem) -> String {
    match pem {
        Pem::File(_, path) => path.display().to_string(),
        Pem::Inline(key, _) => (*key).to_owned(),
    }
}

#[cfg(test)]
mod tests;
