//! The web page at `/` against `/metrics` of the same collection, and how it is sent.

use std::fs::write;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Launch, start};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family::V4;
use tests::net::traffic::{Flow, send_datagrams, settle};
use tests::readers::browser::web_page::{rows, site};
use tests::readers::curl::curl;

#[test]
fn its_numbers_are_those_of_the_metrics() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let subnet = pair.subnet()?.name();
    nft::drop_matching(&pair.server, "input", "tcp dport 443 numgen inc mod 40 == 39")?;
    let exporter = start(pair.config().replace("max_age: 1ms", "max_age: 2s"))?;
    let flow = Flow::open(&pair, V4, 443)?;
    flow.exchange(400_000, 100_000)?;
    settle(&[flow])?;
    send_datagrams(&pair.client, pair.to(V4, 9)?, 12, 100)?;
    // Of a collection that began when all was done, and that both pages show.
    let collections = |scrape: &Scrape| scrape.sum("tcpvitals_collections_total", &[]);
    let old = collections(&exporter.scrape()?)?;
    let (scrape, page) = until("a collection that both pages show", || {
        let before = exporter.scrape()?;
        let page = exporter.get("/", "text/html")?;
        let (earlier, later) = (collections(&before)?, collections(&exporter.scrape()?)?);
        Ok((old < earlier && earlier == later).then_some((before, page)))
    })?;
    assert_eq!((page.status, &*page.content_type), (200, "text/html; charset=utf-8"));
    let shown = rows(&page.body, "subnets")?;
    let own = shown
        .get(&subnet)
        .with_context(|| format!("no {subnet} in {shown:?}"))?;
    let labels = [("subnet", subnet.as_str())];
    let sent = [("subnet", subnet.as_str()), ("direction", "transmit")];
    for (name, metric, labels) in [
        ("sent", "tcpvitals_tcp_data_segments_total", &sent[..]),
        ("again", "tcpvitals_tcp_retransmitted_segments_total", &labels),
        ("dropped", "tcpvitals_tcp_locally_dropped_segments_total", &labels),
    ] {
        assert_eq!(own[name].as_f64(), Some(scrape.sum(metric, labels)?), "{name}");
    }
    // Off where the kernel has no typed pointers for programs; then the page has no number either.
    let after_drop = scrape.sum("tcpvitals_tcp_retransmitted_segments_after_local_drop_total", &labels);
    assert_eq!(own["repaired"].as_f64(), after_drop.as_ref().ok().copied());
    assert!(after_drop.is_err() || own["repaired"].as_u64() > Some(0), "{own:#}");
    assert!(own["again"].as_u64() > Some(0) && own["sent"].as_u64() > own["again"].as_u64());
    let buckets = own["rtt"]["buckets"].as_object().context("no round-trip times")?;
    let count: u64 = buckets.values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(
        count as f64,
        scrape.histogram("tcpvitals_tcp_rtt_seconds", &labels)?.count
    );
    let all = &shown[""];
    let total = scrape.sum("tcpvitals_tcp_data_segments_total", &[("direction", "transmit")])?;
    assert_eq!(all["sent"].as_f64(), Some(total));

    let drops = rows(&page.body, "drops")?;
    let at = |name: &str| scrape.sum(name, &[("location", "nft_do_chain"), ("reason", "NETFILTER_DROP")]);
    let own = &drops[&site("software", "nft_do_chain", "NETFILTER_DROP", "policy")];
    assert_eq!(own["packets"].as_f64(), Some(at("tcpvitals_dropped_packets_total")?));
    assert_eq!(own["bytes"].as_f64(), Some(at("tcpvitals_dropped_bytes_total")?));
    assert!(own["packets"].as_u64() >= Some(nft::dropped(&pair.server)?.packets));
    let total = scrape.sum("tcpvitals_dropped_packets_total", &[])?;
    assert_eq!(drops[""]["packets"].as_f64(), Some(total));

    // What it says of itself in words.
    let host = nix::sys::utsname::uname()?;
    for text in [
        format!("on {}</small>", host.nodename().to_string_lossy()),
        format!("Linux {} ", host.release().to_string_lossy()),
        format!("Version {} ", env!("CARGO_PKG_VERSION")),
        "href=\"./metrics\"".to_owned(),
        "Ready: this collection took".to_owned(),
    ] {
        assert!(page.body.contains(&text), "no {text:?} in {}", page.body);
    }
    let attached = scrape.sum("tcpvitals_program_attached", &[])?;
    assert!(page.body.contains(&format!("{attached} of ")), "{attached} attached");
    Ok(())
}

#[test]
fn it_is_sent_with_its_own_policy_and_never_kept() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let file = folder.path().join("web.yml");
    let configured =
        "{Content-Security-Policy: \"default-src 'self'\", X-Content-Type-Options: nosniff, X-Frame-Options: deny}";
    write(&file, format!("http_server_config: {{headers: {configured}}}\n"))?;
    let file = format!("--web.config.file={}", file.display());
    let arguments = [file.as_str(), "--web.telemetry-path=/vital/signs"];
    let exporter = Launch::new("{}").arguments(&arguments).start()?;
    let url = format!("http://{}", exporter.address());
    let page = curl(&format!("{url}/"), &[])?;
    let head = curl(&format!("{url}/"), &["--head"])?;
    for answer in [&page, &head] {
        assert_eq!(answer.status, 200);
        let policy = answer.header("content-security-policy").context("no policy")?;
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("deny"));
    }
    assert!(page.body.contains("href=\"./vital/signs\""), "{}", page.body);
    assert_eq!(head.body, "");
    // Where an answer has no policy of its own, that of the configuration holds.
    let metrics = curl(&format!("{url}/vital/signs"), &[])?;
    assert_eq!(metrics.header("content-security-policy"), Some("default-src 'self'"));
    exporter.stop(Signal::SIGTERM)?;
    Ok(())
}
