//! TLS as the operator wants it: where certificate and key are, whom to ask for a certificate, versions and algorithms.
//! It must never promise what the TLS library does not have.
//! From `tls_server_config`; to `web::tls`, which reads the files.

use std::path::{Path, PathBuf};

use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

use tcpvitals_config::file::{Problem, choose};

use super::Secret;
use super::raw::RawTls;

/// What `tls_server_config` decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) cert: Pem,
    pub(crate) key: Pem,
    pub(crate) client_auth: ClientAuth,
    pub(crate) client_ca: Option<Pem>,
    pub(crate) client_allowed_sans: Option<Vec<String>>,
    /// From the lowest to the highest.
    pub(crate) versions: Vec<ProtocolVersion>,
    /// Of TLS 1.2; none where all will do.
    pub(crate) cipher_suites: Vec<CipherSuite>,
    pub(crate) prefer_server_cipher_suites: bool,
    /// None where all will do.
    pub(crate) curves: Vec<NamedGroup>,
}

/// Where something in PEM comes from, with the key that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pem {
    File(&'static str, PathBuf),
    Inline(&'static str, Secret),
}

/// Go's policies for certificates of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// Not asked for.
    None,
    /// Asked for; none and any will do.
    Request,
    /// Required; any will do.
    RequireAny,
    /// Verified if there is one.
    VerifyIfGiven,
    /// Required and verified.
    RequireAndVerify,
}

/// The word `RequireClientCert` is an older one for `RequireAnyClientCert`.
const CLIENT_AUTH: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
    ("RequireClientCert", ClientAuth::RequireAny),
];

const VERSIONS: [(&str, Option<ProtocolVersion>); 4] = [
    ("TLS10", None),
    ("TLS11", None),
    ("TLS12", Some(ProtocolVersion::TLSv1_2)),
    ("TLS13", Some(ProtocolVersion::TLSv1_3)),
];

/// Those of Go's secure list; the ones of TLS 1.3 are always on, as in Go.
const CIPHER_SUITES: [(&str, Option<CipherSuite>); 13] = [
    ("TLS_AES_128_GCM_SHA256", Some(CipherSuite::TLS13_AES_128_GCM_SHA256)),
    ("TLS_AES_256_GCM_SHA384", Some(CipherSuite::TLS13_AES_256_GCM_SHA384)),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
];

const CURVES: [(&str, Option<NamedGroup>); 4] = [
    ("CurveP256", Some(NamedGroup::secp256r1)),
    ("CurveP384", Some(NamedGroup::secp384r1)),
    ("CurveP521", None),
    ("X25519", Some(NamedGroup::X25519)),
];

impl Tls {
    /// None where the section says nothing.
    pub(super) fn parse(raw: RawTls, folder: &Path) -> Result<Option<Self>, Problem> {
        if raw.says_nothing() {
            return Ok(None);
        }
        let RawTls {
            cert,
            key,
            client_ca,
            cert_file,
            key_file,
            client_auth_type,
            client_ca_file,
            client_allowed_sans,
            min_version,
            max_version,
            cipher_suites,
            prefer_server_cipher_suites,
            curve_preferences,
        } = raw;
        let cert = pem(folder, CERT, cert_file, cert.map(Secret::new))?.ok_or_else(|| missing(CERT))?;
        let key = pem(folder, KEY, key_file, key)?.ok_or_else(|| missing(KEY))?;
        let client_ca = pem(folder, CLIENT_CA, client_ca_file, client_ca.map(Secret::new))?;
        let client_auth = client_auth(client_auth_type.as_deref().unwrap_or_default(), client_ca.as_ref())?;
        check_sans(client_allowed_sans.as_deref(), client_auth)?;
        let versions = versions(min_version.as_deref(), max_version.as_deref())?;
        let cipher_suites = chosen(
            "cipher_suites",
            "a cipher suite",
            &CIPHER_SUITES,
            cipher_suites.as_deref(),
        )?;
        let tls12 = |suite: &&CipherSuite| !suite.as_str().is_some_and(|name| name.starts_with("TLS13_"));
        let narrowed = !cipher_suites.is_empty();
        let cipher_suites: Vec<CipherSuite> = cipher_suites.iter().filter(tls12).copied().collect();
        if narrowed && cipher_suites.is_empty() && versions == [ProtocolVersion::TLSv1_2] {
            let what = "none of these suites is one of TLS 1.2; add one, or allow TLS13 by max_version";
            return Err(Problem::new("tls_server_config.cipher_suites", what));
        }
        Ok(Some(Self {
            cert,
            key,
            client_auth,
            client_ca,
            client_allowed_sans,
            // Only suites of TLS 1.3 leave nothing to speak TLS 1.2 with.
            versions: if narrowed && cipher_suites.is_empty() {
                vec![ProtocolVersion::TLSv1_3]
            } else {
                versions
            },
            cipher_suites,
            prefer_server_cipher_suites: prefer_server_cipher_suites.unwrap_or(true),
            curves: chosen("curve_preferences", "a curve", &CURVES, curve_preferences.as_deref())?,
        }))
    }
}

impl RawTls {
    fn says_nothing(&self) -> bool {
        let Self {
            cert,
            key,
            client_ca,
            cert_file,
            key_file,
            client_auth_type,
            client_ca_file,
            client_allowed_sans,
            min_version,
            max_version,
            cipher_suites,
            prefer_server_cipher_suites,
            curve_preferences,
        } = self;
        let texts = [
            cert,
            client_ca,
            cert_file,
            key_file,
            client_auth_type,
            client_ca_file,
            min_version,
            max_version,
        ];
        let lists = [client_allowed_sans, cipher_suites, curve_preferences];
        texts.iter().all(|text| text.as_deref().is_none_or(str::is_empty))
            && lists.iter().all(|list| list.is_none())
            && key.is_none()
            && prefer_server_cipher_suites.is_none()
    }
}

/// The key of a file, and that of the same within the configuration.
type Keys = (&'static str, &'static str);

const CERT: Keys = ("tls_server_config.cert_file", "tls_server_config.cert");
const KEY: Keys = ("tls_server_config.key_file", "tls_server_config.key");
const CLIENT_CA: Keys = ("tls_server_config.client_ca_file", "tls_server_config.client_ca");

fn pem(
    folder: &Path,
    (file_key, inline_key): Keys,
    file: Option<String>,
    inline: Option<Secret>,
) -> Result<Option<Pem>, Problem> {
    let file = file.filter(|file| !file.is_empty());
    let inline = inline.filter(|inline| !inline.reveal().is_empty());
    match (file, inline) {
        (Some(_), Some(_)) => {
            let what = format!("{inline_key} is given too; keep one of the two");
            Err(Problem::new(file_key, what))
        }
        // An absolute path stays as it is.
        (Some(file), None) => Ok(Some(Pem::File(file_key, folder.join(file)))),
        (None, Some(inline)) => Ok(Some(Pem::Inline(inline_key, inline))),
        (None, None) => Ok(None),
    }
}

fn missing((file_key, _): Keys) -> Problem {
    let name = file_key.rsplit('.').next().unwrap_or(file_key);
    let what =
        format!("TLS needs a certificate and its key, and {name} is missing; add it, or remove tls_server_config");
    Problem::new("tls_server_config", what)
}

fn client_auth(text: &str, client_ca: Option<&Pem>) -> Result<ClientAuth, Problem> {
    const KEY: &str = "tls_server_config.client_auth_type";
    let word = |(word, _): (&'static str, ClientAuth)| word;
    let (_, client_auth) = match text {
        "" => CLIENT_AUTH[0],
        text => choose(KEY, text, "a policy for certificates of clients", &CLIENT_AUTH, word)?,
    };
    match (client_auth, client_ca) {
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            let what = format!("{text} needs to know which authority signs the certificates; add client_ca_file");
            Err(Problem::new(KEY, what))
        }
        (ClientAuth::None, Some(Pem::File(key, _) | Pem::Inline(key, _))) => {
            let what = "no certificate is asked for, so the authority has no use; set client_auth_type, for example to \
                        RequireAndVerifyClientCert";
            Err(Problem::new(*key, what))
        }
        _ => Ok(client_auth),
    }
}

fn check_sans(sans: Option<&[String]>, client_auth: ClientAuth) -> Result<(), Problem> {
    let Some(sans) = sans else { return Ok(()) };
    let required = matches!(client_auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify);
    let what = if sans.is_empty() {
        "the list is empty, so every client would be refused; name at least one, or remove the key"
    } else if !required {
        "a client may come without a certificate, so there may be no name to compare; set client_auth_type to \
         RequireAndVerifyClientCert"
    } else {
        return Ok(());
    };
    Err(Problem::new("tls_server_config.client_allowed_sans", what))
}

fn versions(min: Option<&str>, max: Option<&str>) -> Result<Vec<ProtocolVersion>, Problem> {
    let (min, max) = (
        version("min_version", min, "TLS12")?,
        version("max_version", max, "TLS13")?,
    );
    let versions: Vec<ProtocolVersion> = VERSIONS[min..]
        .iter()
        .take(max.saturating_add(1).saturating_sub(min))
        .filter_map(|(_, version)| *version)
        .collect();
    if versions.is_empty() {
        let what = "min_version is higher than max_version; swap them or remove one";
        return Err(Problem::new("tls_server_config.min_version", what));
    }
    Ok(versions)
}

/// The place in [`VERSIONS`].
fn version(key: &str, text: Option<&str>, default: &str) -> Result<usize, Problem> {
    let key = format!("tls_server_config.{key}");
    let text = text.filter(|text| !text.is_empty()).unwrap_or(default);
    let places: Vec<usize> = (0..VERSIONS.len()).collect();
    let place = choose(&key, text, "a version of TLS", &places, |place| VERSIONS[place].0)?;
    if VERSIONS[place].1.is_none() {
        let what =
            format!("{text} is not available: rustls, the TLS library, has no TLS before 1.2; write TLS12 or TLS13");
        return Err(Problem::new(key, what));
    }
    Ok(place)
}

/// What the words of a list mean, each once.
fn chosen<T: Copy + PartialEq>(
    key: &str,
    noun: &str,
    all: &[(&'static str, Option<T>)],
    texts: Option<&[String]>,
) -> Result<Vec<T>, Problem> {
    let mut values = Vec::new();
    for (index, text) in texts.unwrap_or_default().iter().enumerate() {
        let key = format!("tls_server_config.{key}[{index}]");
        let (_, value) = choose(&key, text, noun, all, |(word, _)| word)?;
        let value = value.ok_or_else(|| {
            let available: Vec<&str> = all.iter().filter_map(|(word, value)| value.map(|_| *word)).collect();
            let available = available.join(", ");
            let what = format!("{text} is not available: rustls, the TLS library, does not have it; use {available}");
            Problem::new(key, what)
        })?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(values)
}
