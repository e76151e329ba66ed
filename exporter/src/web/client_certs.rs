//! Certificates of clients, by Go's five policies and the list of names that are let in.
//! It must never let in who does not hold the key of the certificate shown, whatever the policy.
//! From `tls`; to rustls, which asks during the handshake.

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{net::IpAddr, sync::Arc};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::config::ClientAuth;

/// What asks for certificates by this policy; `roots` are the authorities that are trusted.
pub(super) fn verifier(
    policy: ClientAuth,
    roots: RootCertStore,
    allowed_sans: Option<Vec<String>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let hints = roots.subjects();
    let chain = if matches!(policy, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify) {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Some(builder.build()?)
    } else {
        None
    };
    Ok(Arc::new(Verifier {
        chain,
        mandatory: matches!(policy, ClientAuth::RequireAny | ClientAuth::RequireAndVerify),
        allowed_sans,
        hints,
        algorithms: provider.signature_verification_algorithms,
    }))
}

#[derive(Debug)]
struct Verifier {
    /// Who follows the chain to a trusted authority; none where any certificate will do.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    mandatory: bool,
    allowed_sans: Option<Vec<String>>,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed_sans {
            require_one_of(allowed, end_entity)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// None of the names in a certificate is let in; the log shows which it has.
#[derive(Debug, thiserror::Error)]
#[error("client_allowed_sans has none of the names of the certificate: {0:?}")]
struct NotAllowed(Vec<String>);

fn require_one_of(allowed: &[String], certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let names = sans(certificate)?;
    if names.iter().any(|name| allowed.contains(name)) {
        return Ok(());
    }
    let other = OtherError(Arc::new(NotAllowed(names)));
    Err(CertificateError::Other(other).into())
}

/// The subject alternative names that Go compares: of hosts, of mailboxes, addresses, and URIs.
fn sans(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_unsaid| CertificateError::BadEncoding)?;
    let extension = certificate
        .subject_alternative_name()
        .map_err(|_unsaid| CertificateError::BadEncoding)?;
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    Ok(names.filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) = name {
        return Some((*text).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else {
        return None;
    };
    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
    let address = v4
        .or_else(|_longer| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
        .ok()?;
    Some(address.to_canonical().to_string())
}
