//! Certificates of clients, by Go's five policies and the list of names that are let in.
//! It must never let in who does not hold the key of the certificate shown, whatever the policy.
//! From `tls`; to rustls, which asks during the handshake.

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, Validity, X509Certificate};

use crate::serve::web::config::ClientAuth;

/// What asks for certificates by this policy; `authorities` are those that are trusted.
pub(crate) fn verifier(
    policy: ClientAuth,
    authorities: Vec<CertificateDer<'static>>,
    allowed_sans: Option<Vec<String>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots.add(authority.clone())?;
    }
    let hints = roots.subjects();
    let chain = matches!(policy, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify)
        .then(|| Chain::new(authorities, provider))
        .transpose()?;
    Ok(Arc::new(Verifier {
        chain,
        mandatory: matches!(policy, ClientAuth::RequireAny | ClientAuth::RequireAndVerify),
        allowed_sans,
        hints,
        algorithms: provider.signature_verification_algorithms,
    }))
}

/// Follows a chain to an authority that is trusted and, as in Go, valid at that moment: rustls looks at the dates of all
/// certificates but those.
#[derive(Debug)]
struct Chain {
    authorities: Vec<(CertificateDer<'static>, Validity)>,
    provider: Arc<CryptoProvider>,
    /// What was valid last.
    last: Mutex<Last>,
}

/// Which of the authorities were valid, and who asks those.
type Last = (Vec<bool>, Option<Arc<dyn ClientCertVerifier>>);

impl Chain {
    fn new(authorities: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let with_validity = |authority: CertificateDer<'static>| {
            let parsed = X509Certificate::from_der(&authority).map_err(|_unsaid| CertificateError::BadEncoding)?;
            let validity = parsed.1.validity().clone();
            Ok((authority, validity))
        };
        let authorities: Result<Vec<_>, Error> = authorities.into_iter().map(with_validity).collect();
        Ok(Self {
            authorities: authorities?,
            provider: Arc::clone(provider),
            last: Mutex::default(),
        })
    }

    /// Who asks the authorities that are valid now; none where none is.
    fn at(&self, now: UnixTime) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
        let now = i64::try_from(now.as_secs())
            .ok()
            .and_then(|now| ASN1Time::from_timestamp(now).ok());
        let is_valid = |validity: &Validity| now.is_some_and(|now| validity.is_valid_at(now));
        let valid: Vec<bool> = self
            .authorities
            .iter()
            .map(|(_, validity)| is_valid(validity))
            .collect();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != valid {
            let mut roots = RootCertStore::empty();
            for ((authority, _), _) in self.authorities.iter().zip(&valid).filter(|(_, valid)| **valid) {
                roots.add(authority.clone())?;
            }
            let build = |roots| {
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build()
            };
            let verifier = (!roots.is_empty()).then(|| build(roots)).transpose();
            *last = (valid, verifier.map_err(|error| Error::General(error.to_string()))?);
        }
        Ok(last.1.clone())
    }
}

#[derive(Debug)]
struct Verifier {
    /// None where any certificate will do.
    chain: Option<Chain>,
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
            let chain = chain.at(now)?.ok_or(CertificateError::Expired)?;
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
