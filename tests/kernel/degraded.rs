//! What a kernel lacks switches off what needs it, visibly, and the rest is as exact as ever.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::{Exporter, Launch, binary, config_file, run, run_command};
use tests::kernel::btf;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Ends, Flow, settle};

use crate::account::{End, require_equal};

const ATTACHED: &str = "tcpvitals_program_attached";

/// A pair, an exporter that takes this kernel for one with other names, and two ends of a connection that has done
/// something since.
fn on_a_kernel_with(names: &[(&str, &str)]) -> Result<(Pair, Exporter<'static>, Ends)> {
    let pair = Pair::new()?;
    let btf = btf::renamed(names)?;
    let path = btf.path().to_str().context("a path that is text")?;
    let exporter = Launch::new(pair.config()).arguments(&["--btf", path]).start()?;
    let flows = [Flow::open(&pair, Family::V4, 443)?];
    flows[0].exchange(300_000, 200_000)?;
    settle(&flows)?;
    let ends = flows[0].finish()?;
    Ok((pair, exporter, ends))
}

/// What the doctor says of such a kernel, by name: programs and metrics that are off, and why.
fn diagnosis(names: &[(&str, &str)]) -> Result<Value> {
    let btf = btf::renamed(names)?;
    let path = btf.path().to_str().context("a path that is text")?;
    let report = run(&["doctor", "--output", "json", "--btf", path])?;
    serde_json::from_str(&report.stdout).with_context(|| format!("{report:?}"))
}

/// The reason that a list of the doctor gives for a name.
fn reason<'a>(report: &'a Value, list: &str, key: &str, name: &str) -> Result<&'a str> {
    let entries = report.get(list).and_then(Value::as_array).context("no such list")?;
    entries
        .iter()
        .find(|entry| entry.get(key).and_then(Value::as_str) == Some(name))
        .and_then(|entry| entry.get("reason")?.as_str())
        .with_context(|| format!("{name} is not among {entries:?}"))
}

/// Requires that a program is off for the same reason wherever that is shown.
pub(crate) fn require_off(exporter: &Exporter<'_>, program: &str, why: &str) -> Result<()> {
    let scrape = exporter.scrape()?;
    let labels = [("program", program)];
    let (series, attached) = scrape
        .matching(ATTACHED, &labels)
        .next()
        .context("an unknown program")?;
    assert_eq!(attached, 0.0);
    let reason = series.labels.get("reason").context("no reason")?;
    assert!(reason.contains(why), "{reason}");
    let ready = exporter.get("/readyz", "*/*")?;
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains(&format!("{program}: off: {reason}")), "{ready:?}");
    Ok(())
}

#[test]
fn without_a_hook_its_metrics_are_off_and_the_rest_is_exact() -> Result<()> {
    const NAMES: &[(&str, &str)] = &[("btf_trace_tcp_cong_state_set", "btf_trace_tcp_gone_state_set")];
    const METRIC: &str = "tcpvitals_tcp_congestion_events_total";
    let _turn = turn::shared()?;
    let (pair, exporter, ends) = on_a_kernel_with(NAMES)?;
    require_off(&exporter, "tcp_cong_state_set", "no tracepoint tcp_cong_state_set")?;
    let scrape = exporter.scrape()?;
    assert!(scrape.sum(METRIC, &[]).is_err(), "a metric without its hook");
    for end in End::BOTH {
        require_equal(&scrape, &pair.subnet()?.name(), end, &[end.of(&ends)])?;
    }
    let report = diagnosis(NAMES)?;
    assert!(reason(&report, "programs", "program", "tcp_cong_state_set")?.contains("tracepoint"));
    assert!(reason(&report, "metrics_off", "name", METRIC)?.contains("tcp_cong_state_set"));
    Ok(())
}

#[test]
fn without_a_field_its_metrics_are_off_and_the_rest_is_exact() -> Result<()> {
    const NAMES: &[(&str, &str)] = &[("dsack_dups", "dsack_gone")];
    const METRIC: &str = "tcpvitals_tcp_dsacks_total";
    let _turn = turn::shared()?;
    let (pair, exporter, ends) = on_a_kernel_with(NAMES)?;
    let scrape = exporter.scrape()?;
    assert!(scrape.sum(METRIC, &[]).is_err(), "a metric without its field");
    for (series, attached) in scrape.matching(ATTACHED, &[]) {
        // What this kernel lacks anyway is a hook, never a field.
        let reason = series.labels.get("reason").map_or("", String::as_str);
        assert!(
            attached == 1.0
                || ["this kernel has no", "bpf_rdonly_cast", "workloads.source is none"]
                    .iter()
                    .any(|known| reason.contains(known)),
            "{series:?}"
        );
    }
    let name = pair.subnet()?.name();
    for (end, sent) in [
        (End::Client, ends.client.bytes_sent),
        (End::Server, ends.server.bytes_sent),
    ] {
        let labels = [("subnet", &*name), ("role", end.role()), ("direction", "transmit")];
        assert_eq!(scrape.sum("tcpvitals_tcp_data_bytes_total", &labels)?, sent as f64);
    }
    let ready = exporter.get("/readyz", "*/*")?;
    assert!(
        ready
            .body
            .contains(&format!("{METRIC}: off: the field TCP_SOCK_DSACK_DUPS")),
        "{ready:?}"
    );
    let report = diagnosis(NAMES)?;
    assert!(reason(&report, "metrics_off", "name", METRIC)?.contains("TCP_SOCK_DSACK_DUPS"));
    assert!(reason(&report, "fields_missing", "name", "TCP_SOCK_DSACK_DUPS")?.contains("dsack_dups"));
    Ok(())
}

/// The verifier sees that what the program takes for a packet is the number of a system call.
#[test]
fn a_program_that_the_kernel_refuses_leaves_the_others_at_work() -> Result<()> {
    const NAMES: &[(&str, &str)] = &[
        ("btf_trace_tcp_probe", "btf_trace_sys_enter"),
        ("btf_trace_sys_enter", "btf_trace_tcp_probe"),
    ];
    let _turn = turn::shared()?;
    let (pair, exporter, ends) = on_a_kernel_with(NAMES)?;
    require_off(&exporter, "tcp_probe", "")?;
    assert!(
        exporter.stderr().contains("the kernel refuses a program"),
        "{}",
        exporter.stderr()
    );
    let scrape = exporter.scrape()?;
    assert!(scrape.sum("tcpvitals_tcp_duplicate_acks_total", &[]).is_err());
    let name = pair.subnet()?.name();
    for end in End::BOTH {
        require_equal(&scrape, &name, end, &[end.of(&ends)])?;
        // As with `detail: essential`, the kernel's smoothed value is sampled.
        let labels = [("subnet", &*name), ("role", end.role())];
        assert!(scrape.histogram("tcpvitals_tcp_rtt_seconds", &labels)?.count >= 1.0);
    }
    Ok(())
}

#[test]
fn without_what_every_program_needs_it_says_so_and_ends() -> Result<()> {
    let _turn = turn::shared()?;
    let btf = btf::renamed(&[("skc_family", "skc_gone_y")])?;
    let config = config_file("drops: {enabled: false}\n")?;
    let config = config.path().to_str().context("a path that is text")?;
    let path = btf.path().to_str().context("a path that is text")?;
    for arguments in [
        &[
            "serve",
            "--web.listen-address=127.0.0.1:0",
            "--config.file",
            config,
            "--btf",
            path,
        ][..],
        &["doctor", "--config.file", config, "--btf", path],
    ] {
        let finished = run(arguments)?;
        assert_eq!(finished.code, Some(3), "{finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains("skc_family"), "{said}");
    }
    Ok(())
}

#[test]
fn without_type_information_it_says_what_is_missing_and_ends() -> Result<()> {
    let _turn = turn::shared()?;
    let binary = binary()?;
    for arguments in [&["serve", "--web.listen-address=127.0.0.1:0"][..], &["doctor"]] {
        // An empty folder over the kernel's, for this one process.
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount -t tmpfs none /sys/kernel/btf && exec \"$@\"")
            .arg("sh")
            .arg(&binary)
            .args(arguments);
        let finished = run_command(&mut command)?;
        assert_eq!(finished.code, Some(3), "{finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        for part in ["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF=y", "--btf"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    Ok(())
}
