//! Two hundred scrapers at a time, over TLS and with a password.

use std::collections::BTreeSet;
use std::env;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::crypto::ring;
use tests::exporter::FEWEST_PROGRAMS;
use tests::machine::turn;
use tests::machine::wait::{Deadline, timed};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{TLS, Web, hash, https};

const SCRAPERS: usize = 200;

/// Default of `TCPVITALS_SCRAPE_SECONDS`.
const SECONDS: u64 = 3;

#[expect(clippy::disallowed_methods, reason = "the long run is asked for by the environment")]
fn duration() -> Result<Duration> {
    let seconds = match env::var("TCPVITALS_SCRAPE_SECONDS") {
        Ok(text) => text
            .parse()
            .with_context(|| format!("TCPVITALS_SCRAPE_SECONDS={text}"))?,
        Err(_unset) => SECONDS,
    };
    Ok(Duration::from_secs(seconds))
}

/// A client that keeps its connection, or makes one for each request.
fn client(web: &Web, keeps: bool) -> Result<Agent> {
    let authority = Certificate::from_pem(web.authority.certificate.as_bytes())?;
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    Ok(Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(Duration::from_secs(30)))
        .max_idle_connections(usize::from(keeps))
        .build()
        .new_agent())
}

/// The number of collections that one scrape shows.
fn collections(agent: &Agent, url: &str) -> Result<u64> {
    // alice:open
    let request = agent.get(url).header("authorization", "Basic YWxpY2U6b3Blbg==");
    let body = request
        .call()?
        .body_mut()
        .with_config()
        .limit(1 << 28)
        .read_to_string()?;
    let line = body
        .lines()
        .find(|line| line.starts_with("tcpvitals_collections_total"));
    let value = line.and_then(|line| line.split_whitespace().next_back());
    let value: f64 = value.context("no collections_total")?.parse()?;
    ensure!(value >= 1.0 && value.fract() == 0.0, "{value} collections");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(value as u64)
}

#[test]
fn two_hundred_scrapers_share_collections_and_see_no_error() -> Result<()> {
    let _turn = turn::alone()?;
    let web = Web::new(&format!("{TLS}basic_auth_users: {{alice: {}}}\n", hash("open")?))?;
    let exporter = web.start_with(&format!("{FEWEST_PROGRAMS}collect: {{max_age: 1s}}\n"), &[])?;
    let url = https(&exporter, "/metrics");
    let before = collections(&client(&web, false)?, &url)?;
    let duration = duration()?;
    let (took, seen) = timed(|| {
        thread::scope(|scope| {
            let scrapers: Vec<_> = (0..SCRAPERS)
                .map(|number| {
                    client(&web, number % 2 == 0).map(|agent| {
                        let url = &url;
                        scope.spawn(move || {
                            let deadline = Deadline::after(duration);
                            let mut seen = Vec::new();
                            while !deadline.passed() {
                                seen.push(collections(&agent, url)?);
                            }
                            Ok::<_, anyhow::Error>(seen)
                        })
                    })
                })
                .collect::<Result<_>>()?;
            let mut all = Vec::new();
            for scraper in scrapers {
                let seen = scraper
                    .join()
                    .map_err(|_panic| anyhow::anyhow!("a scraper panicked"))??;
                ensure!(seen.is_sorted(), "an older snapshot came after a newer one: {seen:?}");
                all.push(seen);
            }
            Ok(all)
        })
    });
    let seen: Vec<Vec<u64>> = seen?;
    let scrapes: usize = seen.iter().map(Vec::len).sum();
    let distinct: BTreeSet<u64> = seen.iter().flatten().copied().collect();
    let last = *distinct.last().context("no scrape at all")?;
    report(&format!(
        "{SCRAPERS} scrapers, {took:?}: {scrapes} scrapes, {} collections",
        last - before
    ));
    // The next collection begins at least max_age after the end of the last.
    assert!(last - before <= took.as_secs() + 1, "{before} to {last} in {took:?}");
    assert!(last > before, "nobody collected");
    // No collection was without a scraper that saw it: the counter counts nothing else.
    let whole: BTreeSet<u64> = (*distinct.first().context("no scrape")?..=last).collect();
    assert_eq!(distinct, whole);
    Ok(())
}

/// The test runner shows this with `--nocapture`.
#[expect(clippy::print_stderr, reason = "figures for whoever asks for a long run")]
fn report(text: &str) {
    eprintln!("{text}");
}
