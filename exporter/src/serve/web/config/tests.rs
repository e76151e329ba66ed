//! What the web configuration promises: the format of the exporter-toolkit, and a sentence for each fault.

use rustls::{CipherSuite, NamedGroup, ProtocolVersion};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ClientAuth, Headers, Pem, RateLimit, Secret, Tls, WebConfig};
use tcpvitals_config::file::ConfigError;

fn read(yaml: &str) -> Result<WebConfig, ConfigError> {
    WebConfig::from_yaml(yaml, Path::new("etc/web.yml"))
}

fn tls(yaml: &str) -> Tls {
    let yaml = format!("tls_server_config: {{cert_file: a.crt, key_file: a.key, {yaml}}}");
    read(&yaml).unwrap().tls.unwrap()
}

/// The text is no web configuration, and the error says exactly this behind the file's name.
fn check(yaml: &str, sentence: &str) {
    let error = read(yaml).expect_err(yaml).to_string();
    let error = error.replace(concat!(" in version ", env!("CARGO_PKG_VERSION")), "");
    assert_eq!(error, format!("etc/web.yml:{sentence}"), "for:\n{yaml}");
}

/// The same for one key of `tls_server_config`, in line 2.
fn check_tls(yaml: &str, sentence: &str) {
    let yaml = format!("tls_server_config:\n  {yaml}\n  cert_file: a.crt\n  key_file: a.key\n");
    check(&yaml, &format!("2: tls_server_config.{sentence}"));
}

const HASH: &str = "$2y$04$QHrQHrQHrQHrQHrQHrQHrOQHrQHrQHrQHrQHrQHrQHrQHrQHrQHr.";

#[test]
fn nothing_means_plain_http_for_everybody() {
    for yaml in [
        "",
        "{}",
        "# nothing",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {cert_file: ''}",
        "rate_limit: {interval: 0, burst: 0}",
    ] {
        assert_eq!(read(yaml).unwrap(), WebConfig::default(), "{yaml}");
    }
    assert!(WebConfig::default().http2 && !WebConfig::default().has_auth());
}

#[test]
fn every_key_is_taken() {
    let config = read(&format!(
        "tls_server_config:
  cert_file: tls/host.crt
  key_file: /keys/host.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [scraper.internal, 10.1.2.3]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384, X25519]
http_server_config:
  http2: false
  headers:
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 1; mode=block
    Strict-Transport-Security: max-age=31536000; includeSubDomains
    Content-Security-Policy: ''
basic_auth_users:
  alice: {HASH}
  bob.of.ops: {HASH}
rate_limit: {{interval: 1m0.5s, burst: 20}}
"
    ))
    .unwrap();
    assert!(config.has_auth());
    let file = |key, path: &str| Pem::File(key, PathBuf::from(path));
    let expected = WebConfig {
        tls: Some(Tls {
            cert: file("tls_server_config.cert_file", "etc/tls/host.crt"),
            key: file("tls_server_config.key_file", "/keys/host.key"),
            client_auth: ClientAuth::RequireAndVerify,
            client_ca: Some(file("tls_server_config.client_ca_file", "etc/ca.crt")),
            client_allowed_sans: Some(vec!["scraper.internal".to_owned(), "10.1.2.3".to_owned()]),
            versions: vec![ProtocolVersion::TLSv1_3],
            cipher_suites: vec![CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384],
            prefer_server_cipher_suites: false,
            curves: vec![NamedGroup::secp384r1, NamedGroup::X25519],
        }),
        http2: false,
        headers: Headers(vec![
            ("X-Frame-Options", "sameorigin".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("X-XSS-Protection", "1; mode=block".to_owned()),
            (
                "Strict-Transport-Security",
                "max-age=31536000; includeSubDomains".to_owned(),
            ),
        ]),
        users: ["alice", "bob.of.ops"]
            .map(|name| (name.to_owned(), Secret::new(HASH)))
            .into(),
        rate_limit: Some(RateLimit {
            interval: Duration::from_millis(60_500),
            burst: 20,
        }),
    };
    assert_eq!(config, expected);
}

#[test]
fn certificate_and_key_may_stand_in_the_file_itself() {
    let config = read(
        "tls_server_config:\n  cert: |\n    certificate\n  key: |\n    key\n  client_ca: ca\n  client_auth_type: VerifyClientCertIfGiven\n",
    );
    let tls = config.unwrap().tls.unwrap();
    let inline = |key, text| Pem::Inline(key, Secret::new(text));
    assert_eq!(tls.cert, inline("tls_server_config.cert", "certificate\n"));
    assert_eq!(tls.key, inline("tls_server_config.key", "key\n"));
    assert_eq!(tls.client_ca, Some(inline("tls_server_config.client_ca", "ca")));
}

#[test]
fn defaults_are_those_of_the_toolkit() {
    let tls = tls("");
    assert_eq!(tls.versions, [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3]);
    assert_eq!(tls.client_auth, ClientAuth::None);
    assert!(tls.prefer_server_cipher_suites && tls.cipher_suites.is_empty() && tls.curves.is_empty());
}

#[test]
fn all_of_gos_policies_are_known() {
    for (word, policy) in [
        ("NoClientCert", ClientAuth::None),
        ("''", ClientAuth::None),
        ("RequestClientCert", ClientAuth::Request),
        ("RequireAnyClientCert", ClientAuth::RequireAny),
        ("RequireClientCert", ClientAuth::RequireAny),
    ] {
        assert_eq!(tls(&format!("client_auth_type: {word}")).client_auth, policy);
    }
    for (word, policy) in [
        ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
        ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
    ] {
        let tls = tls(&format!("client_auth_type: {word}, client_ca_file: ca"));
        assert_eq!(tls.client_auth, policy);
        check_tls(
            &format!("client_auth_type: {word}"),
            &format!(
                "client_auth_type: {word} needs to know which authority signs the certificates; add client_ca_file"
            ),
        );
    }
}

#[test]
fn only_a_proof_counts_as_authentication() {
    let has_auth = |yaml: &str| read(yaml).unwrap().has_auth();
    let tls = |policy| {
        format!("tls_server_config: {{cert_file: a, key_file: b, client_ca_file: c, client_auth_type: {policy}}}")
    };
    assert!(has_auth(&tls("RequireAndVerifyClientCert")));
    for policy in ["RequestClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven"] {
        assert!(!has_auth(&tls(policy)), "{policy}");
    }
    assert!(!has_auth("tls_server_config: {cert_file: a, key_file: b}"));
    assert!(has_auth(&format!("basic_auth_users: {{a: {HASH}}}")));
}

#[test]
fn a_protection_that_is_given_up_is_named() {
    let strict = read(&format!(
        "tls_server_config: {{cert_file: a, key_file: b, client_ca_file: c, client_auth_type: RequireAndVerifyClientCert, \
         client_allowed_sans: [a]}}\nbasic_auth_users: {{a: {HASH}}}"
    ))
    .unwrap();
    let without = |change: fn(&mut WebConfig)| {
        let mut config = strict.clone();
        change(&mut config);
        assert_eq!(strict.gives_up(&config), None);
        config.gives_up(&strict)
    };
    assert_eq!(without(|_| {}), None);
    assert_eq!(without(|config| config.users.clear()), Some("basic_auth_users"));
    assert_eq!(without(|config| config.tls = None), Some("tls_server_config"));
    assert_eq!(
        without(|config| config.tls.as_mut().unwrap().client_auth = ClientAuth::VerifyIfGiven),
        Some("tls_server_config.client_auth_type")
    );
    assert_eq!(
        without(|config| config.tls.as_mut().unwrap().client_allowed_sans = None),
        Some("tls_server_config.client_allowed_sans")
    );
}

#[test]
fn keys_and_shapes_are_checked_and_values_are_not_quoted() {
    check(
        "tls_config: {}",
        "1: unknown key \"tls_config\"; use one of tls_server_config, http_server_config, basic_auth_users, rate_limit",
    );
    check(
        "http_server_config:\n  http2: true\n  http3: true",
        "3: http_server_config: unknown key \"http3\"; use one of http2, headers",
    );
    check(
        "http_server_config: {http2: yes}",
        "1: http_server_config.http2: found a single value; write true or false",
    );
    check(
        "basic_auth_users: alice:secret",
        "1: basic_auth_users: found a single value; write a mapping of names to single values",
    );
    check(
        "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n",
        "1: found a single value; write a mapping of settings",
    );
    check(
        &format!("basic_auth_users:\n  alice: {HASH}\n  alice: {HASH}\n"),
        "3: basic_auth_users: the key \"alice\" is given twice; keep one of the two",
    );
}

#[test]
fn certificate_and_key_belong_together() {
    let missing = |key| {
        format!(
            "1: tls_server_config: TLS needs a certificate and its key, and {key} is missing; add it, or remove tls_server_config"
        )
    };
    check("tls_server_config: {cert_file: a}", &missing("key_file"));
    check("tls_server_config: {key_file: a}", &missing("cert_file"));
    // Go's toolkit would serve without TLS here.
    check("tls_server_config: {min_version: TLS13}", &missing("cert_file"));
    check(
        "tls_server_config: {cert_file: a, key_file: b, cert: c}",
        "1: tls_server_config.cert_file: tls_server_config.cert is given too; keep one of the two",
    );
}

#[test]
fn what_rustls_does_not_have_is_said_so() {
    let old = |key: &str, word: &str| {
        check_tls(
            &format!("{key}: {word}"),
            &format!(
                "{key}: {word} is not available: rustls, the TLS library, has no TLS before 1.2; write TLS12 or TLS13"
            ),
        );
    };
    old("min_version", "TLS10");
    old("min_version", "TLS11");
    old("max_version", "TLS11");
    check_tls(
        "min_version: TLS1.3",
        "min_version: \"TLS1.3\" is not a version of TLS; use one of TLS10, TLS11, TLS12, TLS13",
    );
    check(
        "tls_server_config:\n  cert_file: a\n  key_file: b\n  max_version: TLS12\n  min_version: TLS13\n",
        "5: tls_server_config.min_version: min_version is higher than max_version; swap them or remove one",
    );
    check_tls(
        "curve_preferences: [X25519, CurveP521]",
        "curve_preferences[1]: CurveP521 is not available: rustls, the TLS library, does not have it; use CurveP256, CurveP384, \
         X25519",
    );
    let suites = "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, \
                  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
                  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, \
                  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    check_tls(
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
        &format!(
            "cipher_suites[0]: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is not available: rustls, the TLS library, does not have it; \
             use {suites}"
        ),
    );
    let error = read("tls_server_config: {cert_file: a, key_file: b, cipher_suites: [RC4]}").unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(":1: tls_server_config.cipher_suites[0]: \"RC4\" is not a cipher suite; use one of TLS_"),
        "{error}"
    );
}

#[test]
fn suites_of_tls_1_3_alone_leave_no_tls_1_2() {
    let suites = "cipher_suites: [TLS_AES_256_GCM_SHA384]";
    assert_eq!(tls(suites).versions, [ProtocolVersion::TLSv1_3]);
    check(
        &format!("tls_server_config: {{cert_file: a, key_file: b, max_version: TLS12, {suites}}}"),
        "1: tls_server_config.cipher_suites: none of these suites is one of TLS 1.2; add one, or allow TLS13 by max_version",
    );
}

#[test]
fn policies_for_clients_make_sense() {
    check_tls(
        "client_ca_file: ca",
        "client_ca_file: no certificate is asked for, so the authority has no use; set client_auth_type, for example to \
         RequireAndVerifyClientCert",
    );
    check_tls(
        "client_auth_type: Required",
        "client_auth_type: \"Required\" is not a policy for certificates of clients; use one of NoClientCert, \
         RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert, RequireClientCert",
    );
    check_tls(
        "client_allowed_sans: [a]",
        "client_allowed_sans: a client may come without a certificate, so there may be no name to compare; set \
         client_auth_type to RequireAndVerifyClientCert",
    );
    check(
        "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: []",
        "5: tls_server_config.client_allowed_sans: the list is empty, so every client would be refused; name at least one, or \
         remove the key",
    );
}

#[test]
fn headers_are_those_of_the_toolkit_with_its_values() {
    let header = |header: &str, sentence: &str| {
        check(
            &format!("http_server_config:\n  headers:\n    {header}\n"),
            &format!("3: http_server_config.headers.{sentence}"),
        );
    };
    header(
        "Server: mine",
        "Server: \"Server\" is not a header that can be set; use one of Content-Security-Policy, \
         Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection",
    );
    header(
        "X-Frame-Options: allow",
        "X-Frame-Options: \"allow\" is not a value of this header; use one of deny, sameorigin",
    );
    header(
        "X-Content-Type-Options: sniff",
        "X-Content-Type-Options: \"sniff\" is not a value of this header; use one of nosniff",
    );
    header(
        "Content-Security-Policy: \"a\\nSet-Cookie: b\"",
        "Content-Security-Policy: HTTP cannot carry this value; write printable ASCII characters on one line",
    );
}

#[test]
fn hashes_are_those_of_bcrypt() {
    let hash = |name: &str, hash: &str, sentence: &str| {
        check(
            &format!("basic_auth_users:\n  ok: {HASH}\n  {name}: {hash}\n"),
            &format!("3: basic_auth_users{sentence}"),
        );
    };
    let remedy = "write what `htpasswd -nBC 10 bob` prints behind the colon";
    for wrong in [
        "open",
        "''",
        "$apr1$x$y",
        "$2y$04$short",
        "$2z$04$QHrQHrQHrQHrQHrQHrQHrOQHrQHrQHrQHrQHrQHrQHrQHrQHrQHr.",
        "$2y$xx$QHrQHrQHrQHrQHrQHrQHrOQHrQHrQHrQHrQHrQHrQHrQHrQHrQHr.",
        "$2y$04$QHrQHrQHrQHrQHrQHrQHr!QHrQHrQHrQHrQHrQHrQHrQHrQHrQHr.",
    ] {
        hash("bob", wrong, &format!(".bob: this is not a bcrypt hash; {remedy}"));
    }
    for cost in ["03", "32"] {
        let wrong = HASH.replacen("04", cost, 1);
        hash(
            "bob",
            &wrong,
            &format!(".bob: bcrypt has no such cost, but 04 to 31; {remedy}"),
        );
    }
    for (cost, seconds) in [("15", 2), ("31", 131_072)] {
        let wrong = HASH.replacen("04", cost, 1);
        let fault = format!(
            ".bob: with a cost of {cost} every comparison takes about {seconds} s, in which nobody else can log in; 14 is the most; {remedy}"
        );
        hash("bob", &wrong, &fault);
    }
    assert!(read(&format!("basic_auth_users: {{bob: {}}}", HASH.replacen("04", "14", 1))).is_ok());
    hash(
        "b.o b",
        "open",
        "[\"b.o b\"]: this is not a bcrypt hash; write what `htpasswd -nBC 10 b.o b` prints behind the colon",
    );
    hash(
        "\"b:b\"",
        HASH,
        "[\"b:b\"]: HTTP basic authentication has no names with a colon; choose another name",
    );
}

#[test]
fn a_rate_limit_lets_somebody_in() {
    for (interval, expected) in [
        ("1s", 1_000),
        ("100ms", 100),
        ("1m30s", 90_000),
        ("1.5h", 5_400_000),
        ("30s1m", 90_000),
        ("1d", 86_400_000),
        ("2000us", 2),
    ] {
        let config = read(&format!("rate_limit: {{interval: {interval}, burst: 1}}")).unwrap();
        assert_eq!(
            config.rate_limit.unwrap().interval,
            Duration::from_millis(expected),
            "{interval}"
        );
    }
    let duration = "is not a duration; write numbers with d, h, m, s or ms, for example 500ms, 2s or 1m30s";
    for (wrong, fault) in [
        ("1", "has no unit; write 1s"),
        ("s", duration),
        ("-1s", duration),
        ("1s2", duration),
        ("1..2s", duration),
        ("''", duration),
        ("1e400h", duration),
        ("25h", "is out of range; allowed are 0 to 1d"),
    ] {
        let unquoted = wrong.trim_matches('\'');
        check(
            &format!("rate_limit:\n  interval: {wrong}\n  burst: 1"),
            &format!("2: rate_limit.interval: \"{unquoted}\" {fault}"),
        );
    }
    check(
        "rate_limit:\n  interval: 1s\n  burst: many",
        "3: rate_limit.burst: \"many\" is not a number of requests; write digits only, for example 20",
    );
    check(
        "rate_limit: {interval: 1s}",
        "1: rate_limit: without a burst of at least 1 every request would be refused; set rate_limit.burst, for example to 20",
    );
}
