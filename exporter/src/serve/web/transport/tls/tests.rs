//! Files become a server that rustls takes, and faults of theirs name file, key and remedy.

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{CipherSuite, NamedGroup};
use std::{fs, path::Path};
use tempfile::TempDir;

use super::{load, provider};
use crate::serve::web::{Web, config::WebConfig};
use tcpvitals_config::file::ConfigError;

/// A folder with a certificate, its key, and another key.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("host.crt", cert.pem());
    write("host.key", signing_key.serialize_pem());
    write("other.key", KeyPair::generate().unwrap().serialize_pem());
    write("empty", String::new());
    folder
}

/// Line 2 is the certificate's, line 3 the key's.
fn web(folder: &Path, cert: &str, key: &str, more: &str) -> Result<Web, ConfigError> {
    let file = folder.join("web.yml");
    let text = format!("tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n{more}");
    assert!(fs::write(&file, text).is_ok(), "{}", file.display());
    Web::read(Some(&file))
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_file() {
    let folder = folder();
    assert!(web(folder.path(), "host.crt", "host.key", "").unwrap().has_tls());
}

#[test]
fn faults_of_files_name_line_key_file_and_remedy() {
    let folder = folder();
    let (crt, key, other, empty, none) = ("host.crt", "host.key", "other.key", "empty", "none");
    let no_certificate = "this is no certificate in PEM; it begins with -----BEGIN CERTIFICATE-----";
    let no_key = "this is no private key in PEM without a passphrase; it begins with -----BEGIN PRIVATE KEY-----, or EC or RSA \
                  before PRIVATE";
    let absent = "there is no such file; check the path, or name another file; a \
                  relative path begins at the folder of this file";
    let ca = |name: &str| format!("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {name}\n");
    for (cert, key, more, line, name, at, fault) in [
        (none, key, String::new(), 2, "cert_file", none, absent),
        (crt, none, String::new(), 3, "key_file", none, absent),
        (empty, key, String::new(), 2, "cert_file", empty, no_certificate),
        (key, key, String::new(), 2, "cert_file", key, no_certificate),
        (crt, crt, String::new(), 3, "key_file", crt, no_key),
        (crt, key, ca(empty), 5, "client_ca_file", empty, no_certificate),
        (crt, key, ca(none), 5, "client_ca_file", none, absent),
    ] {
        let error = web(folder.path(), cert, key, &more).unwrap_err().to_string();
        let path = folder.path().display();
        let expected = format!("{path}/web.yml:{line}: tls_server_config.{name}: {path}/{at}: {fault}");
        assert_eq!(error, expected);
    }
    let error = web(folder.path(), crt, other, "").unwrap_err().to_string();
    let path = folder.path().display();
    assert_eq!(
        error,
        format!(
            "{path}/web.yml:3: tls_server_config.key_file: {path}/other.key: this key does not belong to the certificate of \
             {path}/host.crt; name the two that were made together"
        )
    );
}

#[test]
fn a_key_is_never_quoted() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let indent = |text: String| text.replace('\n', "\n    ");
    let key = signing_key.serialize_pem();
    let middle = key.lines().nth(1).unwrap();
    let half = key.replace(middle, &middle[..20]);
    let text = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
        indent(cert.pem()),
        indent(half)
    );
    let config = WebConfig::from_yaml(&text, Path::new("web.yml")).unwrap();
    let shown = format!("{config:?} {:?}", load(config.tls.as_ref().unwrap(), true).unwrap_err());
    assert!(shown.contains("<secret>") && !shown.contains(&middle[..20]), "{shown}");
}

#[test]
fn algorithms_are_narrowed_in_the_order_of_the_file() {
    let text = "tls_server_config: {cert_file: a, key_file: b, curve_preferences: [CurveP384, CurveP256], cipher_suites: \
                [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]}";
    let config = WebConfig::from_yaml(text, Path::new("web.yml")).unwrap();
    let provider = provider(&config.tls.unwrap());
    let groups: Vec<NamedGroup> = provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::secp256r1]);
    let old = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none());
    let old: Vec<CipherSuite> = old.map(|suite| suite.suite()).collect();
    assert_eq!(
        old,
        [
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        ]
    );
    assert_eq!(provider.cipher_suites.len(), 5);
}
