//! TLS: who trusts whom.

use anyhow::{Context as _, Result};
use tests::exporter::otlp::{Authority, Identity, Recorder};
use tests::exporter::{config_file, run};
use tests::machine::turn;
use tests::machine::wait::until;

use super::Scene;

/// What the log says of any failure. TLS 1.3 tells a client that its certificate is missing only after the handshake, and
/// then it depends on chance whether it reads that or finds the connection closed.
const TOLD: &str = "the receiver does not take the metrics";

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

fn section(recorder: &Recorder, protocol: &str, ca: &Authority, own: Option<&Identity>) -> String {
    let client = own.map_or_else(String::new, |own| {
        format!(
            ", cert_file: {}, key_file: {}",
            own.certificate.path().display(),
            own.key.path().display()
        )
    });
    format!(
        "otlp: {{endpoint: \"{}\", protocol: {protocol}, interval: 1s, tls: {{ca_file: {}{client}}}}}\n",
        recorder.url(),
        ca.file().display()
    )
}

/// Requires that nothing gets through, that the reason is in the log, and that scrapes do not mind.
fn check_refused(section: &str, recorder: &Recorder, reason: &str) -> Result<()> {
    let scene = Scene::of_connections(section)?;
    until("the failure to be counted", || {
        Ok((scene.exports("failed")? >= 1.0).then_some(()))
    })?;
    until("the reason to be told", || {
        Ok(scene.exporter.stderr().contains(reason).then_some(()))
    })?;
    scene.connections(1)?;
    scene.wait_until_scraped(2.0)?;
    assert!(recorder.requests().is_empty());
    Ok(())
}

#[test]
fn an_authority_of_ones_own_is_trusted_and_no_other() -> Result<()> {
    let _turn = turn::shared()?;
    let (own, other) = (Authority::new()?, Authority::new()?);
    for protocol in PROTOCOLS {
        let recorder = Recorder::encrypted(own.server()?)?;
        let scene = Scene::of_connections(&section(&recorder, protocol, &own, None))?;
        scene.connections(2)?;
        scene.wait_until_told(&recorder, 4.0)?;
        drop(scene);
        let recorder = Recorder::encrypted(own.server()?)?;
        check_refused(&section(&recorder, protocol, &other, None), &recorder, "UnknownIssuer")?;
        // Without a file the system's certificates are trusted, which do not know this one either.
        let system = format!(
            "otlp: {{endpoint: \"{}\", protocol: {protocol}, interval: 1s}}\n",
            recorder.url()
        );
        if rustls_native_roots() {
            check_refused(&system, &recorder, "UnknownIssuer")?;
        }
    }
    Ok(())
}

/// Whether this system has certificates to trust, which a small one has not.
fn rustls_native_roots() -> bool {
    std::path::Path::new("/etc/ssl/certs/ca-certificates.crt").exists()
}

#[test]
fn a_receiver_that_asks_for_a_certificate_gets_ours() -> Result<()> {
    let _turn = turn::shared()?;
    let authority = Authority::new()?;
    let (good, stranger) = (authority.client()?, Authority::new()?.client()?);
    for protocol in PROTOCOLS {
        let recorder = Recorder::encrypted(authority.server_for_its_own()?)?;
        let scene = Scene::of_connections(&section(&recorder, protocol, &authority, Some(&good)))?;
        scene.connections(2)?;
        scene.wait_until_told(&recorder, 4.0)?;
        drop(scene);
        let recorder = Recorder::encrypted(authority.server_for_its_own()?)?;
        check_refused(&section(&recorder, protocol, &authority, None), &recorder, TOLD)?;
        check_refused(
            &section(&recorder, protocol, &authority, Some(&stranger)),
            &recorder,
            TOLD,
        )?;
    }
    Ok(())
}

#[test]
fn a_receiver_without_tls_is_told_nothing_by_tls() -> Result<()> {
    let _turn = turn::shared()?;
    let (authority, recorder) = (Authority::new()?, Recorder::start()?);
    let section = section(&recorder, "grpc", &authority, None).replace("http://", "https://");
    check_refused(&section, &recorder, TOLD)
}

#[test]
fn files_that_cannot_be_used_are_named_before_anything_starts() -> Result<()> {
    let _turn = turn::shared()?;
    let empty = config_file("")?;
    let empty = empty.path().to_str().context("a path that is text")?;
    let authority = Authority::new()?;
    let (one, other) = (authority.client()?, authority.client()?);
    let ca = authority.file().display();
    for (tls, words) in [
        (
            "ca_file: /absent.pem".to_owned(),
            ["otlp.tls.ca_file", "/absent.pem", "PEM"],
        ),
        (format!("ca_file: {empty}"), ["otlp.tls.ca_file", empty, "certificates"]),
        (
            format!(
                "ca_file: {ca}, cert_file: {}, key_file: {empty}",
                one.certificate.path().display()
            ),
            ["otlp.tls.key_file", empty, "private key"],
        ),
        (
            format!(
                "ca_file: {ca}, cert_file: {}, key_file: {}",
                one.certificate.path().display(),
                other.key.path().display()
            ),
            ["otlp.tls", "cert_file", "key_file"],
        ),
    ] {
        let config = config_file(&format!(
            "otlp: {{endpoint: \"https://127.0.0.1:1\", tls: {{{tls}}}}}\n"
        ))?;
        let path = config.path().to_str().context("a path that is text")?;
        let finished = run(&["serve", "--config.file", path, "--web.listen-address=127.0.0.1:0"])?;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        for word in words {
            assert!(finished.stderr.contains(word), "no {word} in {finished:?}");
        }
    }
    Ok(())
}
