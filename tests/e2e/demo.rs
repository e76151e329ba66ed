//! The demonstration: a recording that an ordinary user serves on a host that shows nothing of its kernel.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::exporter::otlp::Recorder;
use tests::exporter::program::{brought, feed};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch, OPEN_METRICS, PROMETHEUS_TEXT, PROTOBUF};
use tests::machine::wait::until;
use tests::readers::openapi;

/// A user without any right, and a folder /sys that nobody may look into.
const NOBODY: [&str; 6] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs -o mode=000 none /sys && exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \"$@\"",
    "sh",
];

/// What goes wrong in it: finding and subnet.
const INCIDENT: [(&str, &str); 5] = [
    ("network_loss", "dc-west"),
    ("own_queue", "branch-7"),
    ("peer_reads_slowly", "warehouse"),
    ("refused", "billing"),
    ("unanswered", "partner-api"),
];

fn json(exporter: &Exporter<'_>, path: &str, schema: &str) -> Result<Value> {
    let page = exporter.get(path, "application/json")?;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    let answer = serde_json::from_str(&page.body)?;
    openapi::require(&answer, schema)?;
    Ok(answer)
}

#[test]
fn an_ordinary_user_sees_the_incident_in_all_formats() -> Result<()> {
    let exporter = Launch::demonstration().wrapped_in(&NOBODY).start()?;
    let text = exporter.get("/metrics", PROMETHEUS_TEXT)?.body;
    assert_eq!(feed(&brought("debian/promtool")?, &["check", "metrics"], &text)?, "");
    for accept in [PROMETHEUS_TEXT, OPEN_METRICS, PROTOBUF] {
        let scrape = exporter.scrape_as(accept)?;
        for (finding, _) in INCIDENT {
            let found = scrape.sum("tcpvitals_findings", &[("finding", finding)])?;
            assert!(found >= 1.0, "{accept}: {finding}");
        }
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        assert_eq!(scrape.value("tcpvitals_build_info", &version)?, 1.0);
        assert!(scrape.sum("tcpvitals_dropped_packets_total", &[("subnet", "branch-7")])? > 0.0);
    }

    let report = json(&exporter, "/api/v1/findings", "Findings")?;
    let found = report["findings"].as_array().into_iter().flatten();
    let found: Vec<(&str, &str)> = found
        .filter_map(|finding| Some((finding["finding"].as_str()?, finding["subnet"].as_str()?)))
        .collect();
    for expected in INCIDENT {
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
    let flows = json(&exporter, "/api/v1/flows?subnet=dc-west", "Flows")?;
    assert!(flows["total"].as_u64() > Some(0), "{flows}");
    let drops = json(&exporter, "/api/v1/drops?subnet=branch-7", "Drops")?;
    assert!(drops["total"].as_u64() > Some(0), "{drops}");

    // Nobody takes it for a host.
    let status = json(&exporter, "/api/v1/status", "Status")?;
    let notice = status["demonstration"].as_str().context("no notice")?;
    assert!(notice.starts_with("Demonstration: recorded on 20"), "{notice}");
    let page = exporter.get("/", "text/html")?.body;
    assert!(page.contains(notice) && page.contains("branch-7"), "{page}");
    let (status, said) = exporter.stop(Signal::SIGTERM)?;
    assert!(status.success() && said.contains(notice), "{status}: {said}");
    assert!(said.contains("stopping") && !said.contains("programs"), "{said}");
    Ok(())
}

#[test]
fn counters_rise_as_the_recording_goes_on() -> Result<()> {
    let exporter = Launch::demonstration()
        .arguments(&["--at", "0s", "--speed", "60"])
        .wrapped_in(&NOBODY)
        .start()?;
    let opened = |scrape: &Scrape| scrape.sum("tcpvitals_tcp_connections_opened_total", &[]);
    let first = exporter.scrape()?;
    let mut last = first.clone();
    until("the recording to go on", || {
        let scrape = exporter.scrape()?;
        scrape.require_no_fall_since(&last)?;
        last = scrape;
        Ok((opened(&last)? > opened(&first)? + 50.0).then_some(()))
    })
}

#[test]
fn a_recording_is_pushed() -> Result<()> {
    let recorder = Recorder::start()?;
    let exporter = Launch::demonstration()
        .variables(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &recorder.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ])
        .wrapped_in(&NOBODY)
        .start()?;
    let received = recorder.wait_for_another()?;
    let of_subnet = [("tcpvitals.subnet", "dc-west")];
    let opened = received.sum("tcpvitals.tcp.connections_opened", &of_subnet);
    assert!(opened > 0.0, "{opened}");
    drop(exporter);
    Ok(())
}

#[test]
fn what_is_missing_or_wrong_is_named_with_a_remedy() -> Result<()> {
    for (arguments, code, remedy) in [
        (
            ["demo", "--file", "/nowhere/demo.rec"],
            1,
            "there is no such file. Name one with --file",
        ),
        (["demo", "--file", "/etc/passwd"], 1, "no recording of tcpvitals"),
        (["demo", "--at", "100h"], 2, "Choose a time before its end"),
        (["demo", "--speed", "0"], 2, "write a whole number from 1 to 60"),
    ] {
        let finished = tests::exporter::run(&arguments)?;
        assert_eq!(finished.code, Some(code), "{arguments:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(remedy), "{arguments:?}: {}", finished.stderr);
    }
    Ok(())
}
