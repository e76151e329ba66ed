//! Certificates that are replaced while it runs, well and badly; and files that are wrong from the start.

use std::fs::{remove_file, rename};

use anyhow::{Context as _, Result};
use tests::exporter::run;
use tests::machine::certificates::Authority;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::readers::curl::{curl, refused};

use super::{HOST, TLS, Web, https};

#[test]
fn a_new_certificate_is_served_within_seconds_and_a_bad_one_never() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new(TLS)?;
    let exporter = web.start()?;
    let url = https(&exporter, "/healthz");
    let next = Authority::new("next")?;
    web.write("next-ca.crt", &next.certificate)?;
    let by = |authority: &str| ["--cacert".to_owned(), web.path(authority).unwrap_or_default()];
    let served_by = |authority: &str, not: &str| {
        let (good, bad) = (by(authority), by(not));
        // Files are looked at every other second.
        until("the certificate to be served", || {
            let page = curl(&url, &good.each_ref().map(String::as_str));
            Ok(page.ok().filter(|page| page.status == 200))
        })?;
        let said = refused(&url, &bad.each_ref().map(String::as_str))?;
        assert!(said.contains("certificate"), "{said}");
        Ok::<_, anyhow::Error>(())
    };
    served_by("ca.crt", "next-ca.crt")?;

    // Half of the pair is new: the old pair goes on.
    let pair = next.sign(HOST)?;
    web.write("host.crt", &pair.certificate)?;
    served_by("ca.crt", "next-ca.crt")?;
    let warnings = |stderr: &str| stderr.matches("the one before stays").count();
    let warned = |count| {
        let so = until("the log to say so", || {
            let stderr = exporter.stderr();
            Ok((warnings(&stderr) == count).then_some(stderr))
        });
        so.with_context(|| exporter.stderr())
    };
    let stderr = warned(1)?;
    served_by("ca.crt", "next-ca.crt")?;
    assert!(stderr.contains("web.yml:3: tls_server_config.key_file"), "{stderr}");
    assert!(
        stderr.contains("this key does not belong to the certificate of"),
        "{stderr}"
    );
    web.write("host.key", &pair.key)?;
    served_by("next-ca.crt", "ca.crt")?;

    // No certificate, and none at all.
    web.write("host.crt", "-----BEGIN CERTIFICATE-----\n")?;
    warned(2)?;
    served_by("next-ca.crt", "ca.crt")?;
    remove_file(web.path("host.crt")?)?;
    warned(3)?;
    served_by("next-ca.crt", "ca.crt")?;

    // By renaming, as most tools do it, back to the first authority.
    web.write_pair("new", &web.authority.sign(HOST)?)?;
    rename(web.path("new.key")?, web.path("host.key")?)?;
    rename(web.path("new.crt")?, web.path("host.crt")?)?;
    served_by("ca.crt", "next-ca.crt")?;

    // A configuration that names a file which comes later.
    web.configure("tls_server_config: {cert_file: later.crt, key_file: later.key}\n")?;
    served_by("ca.crt", "next-ca.crt")?;
    web.write_pair("later", &next.sign(HOST)?)?;
    served_by("next-ca.crt", "ca.crt")
}

#[test]
fn wrong_files_end_it_before_anything_is_loaded() -> Result<()> {
    let _turn = turn::shared()?;
    let web = Web::new("")?;
    let file = web.path("web.yml")?;
    let argument = format!("--web.config.file={file}");
    let stranger = Authority::new("other")?.sign(HOST)?;
    web.write_pair("stranger", &stranger)?;
    for (config, place, fault) in [
        ("tls_config: {}", ":1: ", "unknown key \"tls_config\""),
        (
            "tls_server_config:\n  cert_file: host.crt\n",
            ":1: ",
            "key_file is missing",
        ),
        (
            "tls_server_config:\n  cert_file: host.crt\n  key_file: stranger.key\n",
            ":3: tls_server_config.key_file: ",
            "does not belong to the certificate",
        ),
        (
            "tls_server_config:\n  cert_file: host.crt\n  key_file: host.key\n  min_version: TLS11\n",
            ":4: tls_server_config.min_version: ",
            "rustls, the TLS library, has no TLS before 1.2",
        ),
        (
            "basic_auth_users:\n  alice: secret\n",
            ":2: basic_auth_users.alice: ",
            "this is not a bcrypt hash",
        ),
    ] {
        web.configure(config)?;
        for command in [["serve", &argument], ["check-config", &argument]] {
            let finished = run(&command)?;
            assert_eq!(finished.code, Some(2), "{finished:?}");
            let begin = format!("tcpvitals: {file}{place}");
            assert!(finished.stderr.starts_with(&begin), "{finished:?}");
            assert!(
                finished.stderr.contains(fault) && !finished.stderr.contains("secret"),
                "{finished:?}"
            );
            assert_eq!(finished.stdout, "");
        }
    }
    web.configure(TLS)?;
    let finished = run(&["check-config", &argument])?;
    assert_eq!((finished.code, finished.stdout), (Some(0), format!("{file}: ok\n")));
    remove_file(&file)?;
    let finished = run(&["serve", &argument])?;
    assert_eq!(finished.code, Some(2));
    assert!(
        finished.stderr.contains("or serve without --web.config.file"),
        "{finished:?}"
    );
    Ok(())
}
