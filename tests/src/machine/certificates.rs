//! Certificates for TLS, made for one test: an authority, and what it signs.

use anyhow::{Context as _, Result};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};

/// An authority that signs certificates.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, in PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// A new one; two of the same name have different keys.
    pub fn new(name: &str) -> Result<Self> {
        Self::with(name, CertificateParams::default())
    }

    /// One whose own certificate is not valid any more; what it signs is.
    pub fn expired(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        Self::with(name, params)
    }

    fn with(name: &str, mut params: CertificateParams) -> Result<Self> {
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { certificate, issuer })
    }

    /// A certificate for a server or a client with these names: `DNS:a`, `IP:1.2.3.4`, `email:a@b`, `URI:a:b`.
    pub fn sign(&self, names: &[&str]) -> Result<Signed> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, names.join(" "));
        params.subject_alt_names = names.iter().map(|name| san(name)).collect::<Result<_>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        Ok(Signed {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn san(name: &str) -> Result<SanType> {
    let (kind, name) = name.split_once(':').with_context(|| format!("{name} has no kind"))?;
    let text = || Ia5String::try_from(name).with_context(|| name.to_owned());
    Ok(match kind {
        "DNS" => SanType::DnsName(text()?),
        "email" => SanType::Rfc822Name(text()?),
        "IP" => SanType::IpAddress(name.parse()?),
        "URI" => SanType::URI(text()?),
        _ => anyhow::bail!("{kind} is no kind of name"),
    })
}
