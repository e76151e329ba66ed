//! TLS as curl and OpenSSL see it: versions, HTTP/2, and certificates of clients by every policy.

use anyhow::{Context as _, Result};
use tests::machine::certificates::Authority;
use tests::machine::turn;
use tests::readers::curl::{curl, refused};

use super::{TLS, Web, hash, https};

#[test]
fn tls_comes_with_http_2_unless_it_is_switched_off() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let url = https(&exporter, "/metrics");
    for (options, version) in [(&[][..], "2"), (&["--http1.1"], "1.1"), (&["--tls-max", "1.2"], "2")] {
        let answer = curl(&url, &web.trusting(options)?.options())?;
        assert_eq!((answer.status, answer.version.as_str()), (200, version), "{options:?}");
        assert!(answer.body.contains("tcpvitals_build_info"));
    }
    // Nobody is answered without TLS, or who wants an older one.
    refused(&format!("http://{}/metrics", exporter.address()), &[])?;
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    let said = refused(&url, &web.trusting(&old)?.options())?;
    assert!(said.contains("alert"), "{said}");
    // A switch of the file holds for the next connection.
    web.change(&exporter, &format!("{TLS}http_server_config: {{http2: false}}\n"))?;
    assert_eq!(curl(&url, &web.trusting(&[])?.options())?.version, "1.1");
    // Plain connections have none of it.
    web.change(&exporter, "")?;
    assert_eq!(
        curl(&url, &web.trusting(&[])?.options())?.status,
        200,
        "TLS is not switched off"
    );
    Ok(())
}

#[test]
fn the_least_version_and_the_suites_are_kept() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new(&format!("{TLS}  min_version: TLS13\n"))?;
    let exporter = web.start()?;
    let url = https(&exporter, "/healthz");
    let ask = |options: &[&str]| curl(&url, &web.trusting(options)?.options()).map(|answer| answer.status);
    let refuse = |options: &[&str]| refused(&url, &web.trusting(options)?.options());
    assert_eq!(ask(&["--tlsv1.3"])?, 200);
    let said = refuse(&["--tls-max", "1.2"])?;
    assert!(said.contains("protocol version"), "{said}");
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    web.change(
        &exporter,
        &format!("{TLS}  max_version: TLS12\n  cipher_suites: [{suite}]\n  curve_preferences: [CurveP384]\n"),
    )?;
    assert_eq!(ask(&["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"])?, 200);
    // P-256 is the certificate's own.
    assert_eq!(ask(&["--curves", "P-384:P-256"])?, 200);
    for options in [
        ["--tlsv1.3", "--verbose"],
        ["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        ["--curves", "X25519:P-256"],
    ] {
        refuse(&options)?;
    }
    Ok(())
}

/// Certificates of clients, each with its key: `ours` and `other` of the authority `clients.crt`, `stranger` of another
/// authority of the same name.
fn with_clients() -> Result<Web> {
    let web = Web::new(TLS)?;
    let clients = Authority::new("clients")?;
    web.write("clients.crt", &clients.certificate)?;
    web.write_pair("ours", &clients.sign(&["DNS:ours"])?)?;
    let names = ["DNS:other", "IP:10.1.2.3", "email:a@b.c", "URI:spiffe:x"];
    web.write_pair("other", &clients.sign(&names)?)?;
    web.write_pair("stranger", &Authority::new("clients")?.sign(&["DNS:ours"])?)?;
    Ok(web)
}

/// Requires for each step, one after the other, that just these clients get an answer; `nobody` shows no certificate.
fn require_let_in(web: &Web, steps: &[(&str, &str, &[&str])]) -> Result<()> {
    let exporter = web.start()?;
    let url = https(&exporter, "/healthz");
    for (policy, more, let_in) in steps {
        web.change(&exporter, &format!("{TLS}  client_auth_type: {policy}\n{more}"))?;
        for client in ["nobody", "ours", "other", "stranger"] {
            let (certificate, key) = (web.path(&format!("{client}.crt"))?, web.path(&format!("{client}.key"))?);
            // TLS 1.2 tells the client within the handshake, TLS 1.3 behind it.
            for version in ["1.2", "1.3"] {
                let mut options = vec!["--tls-max", version];
                if client != "nobody" {
                    options.extend(["--cert", &certificate, "--key", &key]);
                }
                let trust = web.trusting(&options)?;
                let context = || format!("{policy} {more}: {client}, TLS {version}");
                if let_in.contains(&client) {
                    let answer = curl(&url, &trust.options()).with_context(context)?;
                    assert_eq!(answer.status, 200, "{}", context());
                } else {
                    refused(&url, &trust.options()).with_context(context)?;
                }
            }
        }
    }
    Ok(())
}

const CA: &str = "  client_ca_file: clients.crt\n";

#[test]
fn every_policy_lets_in_whom_go_lets_in() -> Result<()> {
    let _turn = turn::shared()?;
    let steps: &[(&str, &str, &[&str])] = &[
        ("NoClientCert", "", &["nobody", "ours", "other", "stranger"]),
        ("RequestClientCert", "", &["nobody", "ours", "other", "stranger"]),
        ("RequireAnyClientCert", "", &["ours", "other", "stranger"]),
        ("VerifyClientCertIfGiven", CA, &["nobody", "ours", "other"]),
        ("RequireAndVerifyClientCert", CA, &["ours", "other"]),
    ];
    require_let_in(&with_clients()?, steps)
}

#[test]
fn a_client_needs_one_of_the_allowed_names() -> Result<()> {
    let _turn = turn::shared()?;
    let sans = |names: &str| format!("{CA}  client_allowed_sans: [{names}]\n");
    let unverified = "  client_allowed_sans: [ours]\n";
    let verified = ["nobody, 10.1.2.3", "a@b.c", "'spiffe:x'", "ours", "Ours"].map(sans);
    let policy = "RequireAndVerifyClientCert";
    let steps: &[(&str, &str, &[&str])] = &[
        ("RequireAnyClientCert", unverified, &["ours", "stranger"]),
        (policy, &verified[0], &["other"]),
        (policy, &verified[1], &["other"]),
        (policy, &verified[2], &["other"]),
        (policy, &verified[3], &["ours"]),
        (policy, &verified[4], &[]),
    ];
    require_let_in(&with_clients()?, steps)
}

#[test]
fn a_certificate_does_not_replace_the_password() -> Result<()> {
    let _turn = turn::shared()?;
    let web = with_clients()?;
    web.configure(&format!(
        "{TLS}{CA}  client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users: {{alice: {}}}\n",
        hash("a")?
    ))?;
    let exporter = web.start()?;
    let url = https(&exporter, "/metrics");
    let (certificate, key) = (web.path("ours.crt")?, web.path("ours.key")?);
    let shown = ["--cert", &certificate, "--key", &key];
    let with = |more: &[&'static str]| -> Vec<&str> { shown.iter().chain(more).copied().collect() };
    assert_eq!(curl(&url, &web.trusting(&with(&[]))?.options())?.status, 401);
    assert_eq!(
        curl(&url, &web.trusting(&with(&["--user", "alice:a"]))?.options())?.status,
        200
    );
    refused(&url, &web.trusting(&["--user", "alice:a"])?.options())?;
    Ok(())
}

#[test]
fn an_authority_that_has_expired_lets_nobody_in_and_keeps_nobody_of_another_out() -> Result<()> {
    let _turn = turn::shared()?;
    let (expired, valid) = (Authority::expired("old")?, Authority::new("new")?);
    let web = Web::new("")?;
    web.write("clients.crt", &(expired.certificate.clone() + &valid.certificate))?;
    web.write_pair("old", &expired.sign(&["DNS:old"])?)?;
    web.write_pair("new", &valid.sign(&["DNS:new"])?)?;
    for (authorities, let_in) in [
        (&expired.certificate, false),
        (&(expired.certificate.clone() + &valid.certificate), true),
    ] {
        web.write("clients.crt", authorities)?;
        web.configure(&format!("{TLS}{CA}  client_auth_type: RequireAndVerifyClientCert\n"))?;
        let exporter = web.start()?;
        let url = https(&exporter, "/healthz");
        for version in ["1.2", "1.3"] {
            let options = |client: &str| {
                let (certificate, key) = (web.path(&format!("{client}.crt"))?, web.path(&format!("{client}.key"))?);
                Ok::<_, anyhow::Error>([
                    "--tls-max".to_owned(),
                    version.to_owned(),
                    "--cert".to_owned(),
                    certificate,
                    "--key".to_owned(),
                    key,
                ])
            };
            let (old, new) = (options("old")?, options("new")?);
            refused(&url, &web.trusting(&old.each_ref().map(String::as_str))?.options())?;
            let new = new.each_ref().map(String::as_str);
            let new = web.trusting(&new)?;
            if let_in {
                assert_eq!(curl(&url, &new.options())?.status, 200, "TLS {version}");
            } else {
                refused(&url, &new.options())?;
            }
        }
    }
    Ok(())
}
