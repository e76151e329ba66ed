//! Certificates for a test: an authority of its own, a server's and clients' certificates, as files and as settings.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::NamedTempFile;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An authority that nobody else trusts.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

/// A certificate and its key in files.
#[derive(Debug)]
pub struct Identity {
    /// PEM of the certificate.
    pub certificate: NamedTempFile,
    /// PEM of the key.
    pub key: NamedTempFile,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A client finds the issuer of a certificate by its name.
        let name = format!("tcpvitals tests {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let file = pem(&issuer.pem())?;
        Ok(Self { issuer, file })
    }

    /// Its certificate as a file.
    pub fn file(&self) -> &Path {
        self.file.path()
    }

    /// A server for the loopback address, whose certificate it has signed.
    pub fn server(&self) -> Result<ServerConfig> {
        let (chain, key) = self.sign()?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        Ok(with_protocols(builder.with_single_cert(chain, key)?))
    }

    /// The same, for clients whose certificates it has signed.
    pub fn server_for_its_own(&self) -> Result<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build()?;
        let (chain, key) = self.sign()?;
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(with_protocols(
            builder
                .with_client_cert_verifier(verifier)
                .with_single_cert(chain, key)?,
        ))
    }

    /// A client whose certificate it has signed.
    pub fn client(&self) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["client".to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: pem(&certificate.pem())?,
            key: pem(&key.serialize_pem())?,
        })
    }

    fn sign(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![certificate.der().clone()], key.into()))
    }
}

fn with_protocols(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn pem(text: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::with_suffix(".pem").context("make a PEM file")?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
