//! The page at `/`: what it shows of a snapshot, that it escapes every text, and that it says what it leaves out.

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::drops::{Direction, DropCount, DropSource, Protocol};
use common::net::connection::ConnectionType;
use common::tcp::group::{Counter, GroupKey, Role};
use serde_json::Value;
use tcpvitals_config::Config;
use tcpvitals_metrics::encode::page::{About, Collected, policy, render, render_failure};
use tcpvitals_metrics::findings::Whose;
use tcpvitals_metrics::findings::report::{Finding, Report, Seen, Since, State};
use tcpvitals_metrics::rows::cardinality::Cardinality;
use tcpvitals_metrics::snapshot::{DropSite, Group, LastReload, Row, Snapshot};
use tests::readers::browser::web_page::{REST, rows, site, unescape};

use crate::golden::{CASES, Case, families_of, require_golden};
use crate::sample::{QUOTED, coverage, empty};

/// Two hours after the start that the sample knows.
const NOW: Duration = Duration::from_secs(1_700_007_200);

const ABOUT: About<'_> = About {
    host: "host-1",
    release: "6.18.0",
    notice: None,
    telemetry_path: "/metrics",
    config_file: Some("/etc/tcpvitals.yaml"),
    flows: true,
};

/// One element a line, without style and script, which are files, and with a version that never changes.
fn lines(page: &str) -> Result<String> {
    let mut text = page.replace(concat!("Version ", env!("CARGO_PKG_VERSION")), "Version 0.0.0");
    for element in ["style", "script"] {
        let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
        let (before, rest) = text.split_once(&begin).context("an element is missing")?;
        let (_, after) = rest.split_once(&end).context("an element does not end")?;
        text = format!("{before}{begin}{end}{after}");
    }
    Ok(text.replace("><", ">\n<") + "\n")
}

fn of_case(case: &Case) -> Result<String> {
    let snapshot = case.snapshot()?;
    let collected = Collected {
        families: &*case.families()?,
        cost: &case.cost()?,
        findings: None,
        exporter: &snapshot.exporter,
        at: NOW,
    };
    Ok(render(ABOUT, &case.coverage()?, collected))
}

#[test]
fn the_page_is_that_of_the_golden_files() -> Result<()> {
    for case in &CASES {
        let page = of_case(case)?;
        require_golden(&case.file("html"), &lines(&page)?)?;
    }
    Ok(())
}

#[test]
fn no_text_becomes_markup() -> Result<()> {
    const EVIL: &str = "</style></script><img src=x onerror=alert(1)>\"'&amp;";
    let config = Config::from_yaml("{}", "test.yaml")?;
    let mut snapshot = fresh(&config)?;
    let evil = DropSite {
        location: EVIL.to_owned(),
        reason: EVIL.to_owned(),
        subnet: Some(common::net::address::SubnetKey::FALLBACK),
        protocol: Some(Protocol::Tcp),
        direction: Direction::Receive,
        connection: Some(ConnectionType::Wired),
        ..DropSite::default()
    };
    let total = DropCount {
        packets: 7,
        bytes: 70,
        repeated: 0,
    };
    snapshot.drops.push(Row {
        id: 99,
        key: (DropSource::Software, Some(evil)),
        born: Duration::ZERO,
        total,
    });
    let about = About {
        host: EVIL,
        release: EVIL,
        notice: Some(EVIL),
        telemetry_path: "/\"><u>",
        config_file: Some(EVIL),
        flows: true,
    };
    let page = page_of(about, &config, &snapshot);
    let failure = render_failure(about, EVIL);
    for page in [&page, &failure] {
        assert!(!page.contains("<img") && !page.contains("<u>"), "{page}");
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(unescape(page).contains(EVIL));
    }
    // The data of the script survive it.
    let key = site("software", EVIL, EVIL, "error");
    assert_eq!(rows(&page, "drops")?[&key]["packets"], 7);
    Ok(())
}

/// The page of a snapshot, without what it costs.
fn page_of(about: About<'_>, config: &Config, snapshot: &Snapshot) -> String {
    let families = families_of(config, snapshot);
    let collected = Collected {
        families: &families,
        cost: &Cardinality::default(),
        findings: snapshot.findings.as_deref(),
        exporter: &snapshot.exporter,
        at: NOW,
    };
    render(about, &snapshot.coverage, collected)
}

fn fresh(config: &Config) -> Result<Snapshot> {
    Ok(empty(coverage(config, &[])?))
}

#[test]
fn a_host_on_which_nothing_happened_has_a_page() -> Result<()> {
    let config = Config::from_yaml("{devices: {enabled: true}, tcp: {memory: true}}", "test.yaml")?;
    let snapshot = fresh(&config)?;
    let page = page_of(ABOUT, &config, &snapshot);
    for sentence in [
        "No connection has been seen yet.",
        "No packet has been dropped yet.",
        "Nothing: every counter of it is 0.",
        "No metric is off.",
        "since the exporter started",
    ] {
        assert!(page.contains(sentence), "no {sentence:?} in {page}");
    }
    let subnets = rows(&page, "subnets")?;
    assert_eq!(subnets.keys().collect::<Vec<_>>(), [""]);
    Ok(())
}

#[test]
fn what_is_off_is_said_with_its_reason() -> Result<()> {
    for (yaml, sentence, reason) in [
        ("tcp: {detail: off}", "TCP metrics are off", "tcp.detail is off"),
        (
            "drops: {enabled: false}",
            "Drop metrics are off",
            "drops.enabled is false",
        ),
    ] {
        let config = Config::from_yaml(yaml, "test.yaml")?;
        let snapshot = fresh(&config)?;
        let page = page_of(ABOUT, &config, &snapshot);
        assert!(page.contains(sentence) && page.contains(reason), "{yaml}: {page}");
    }
    Ok(())
}

#[test]
fn what_is_beyond_the_rows_is_added_up() -> Result<()> {
    const ROWS: u32 = 60;
    let list: String = (0..ROWS)
        .map(|number| format!("  - {{name: net-{number}, cidrs: [10.{number}.0.0/16]}}\n"))
        .collect();
    let config = Config::from_yaml(&format!("subnets:\n{list}"), "test.yaml")?;
    let mut snapshot = fresh(&config)?;
    for number in 0..ROWS {
        let subnet = common::net::address::SubnetKey::named(number);
        let mut group = Group::default();
        let counters = &mut group.counters;
        counters.counters[Counter::DataSegmentsTransmitted as usize] = 1000;
        counters.counters[Counter::RetransmittedSegmentsOther as usize] = number.into();
        counters.rtt.buckets[number as usize] = 1;
        let key = GroupKey {
            subnet,
            protocol: 0,
            connection: ConnectionType::Wired as u8,
            role: Role::Client as u8,
            ..GroupKey::default()
        };
        snapshot.groups.push(Row {
            id: u64::from(number) + 1,
            key: Some(key),
            born: Duration::ZERO,
            total: group,
        });
        let site = DropSite {
            location: format!("function_{number}"),
            reason: "NO_SOCKET".to_owned(),
            subnet: Some(subnet),
            protocol: Some(Protocol::Udp),
            direction: Direction::Receive,
            connection: Some(ConnectionType::Wired),
            ..DropSite::default()
        };
        snapshot.drops.push(Row {
            id: u64::from(number) + 1,
            key: (DropSource::Software, Some(site)),
            born: Duration::ZERO,
            total: DropCount {
                packets: u64::from(number) + 1,
                bytes: 10,
                repeated: 0,
            },
        });
    }
    let page = page_of(ABOUT, &config, &snapshot);
    assert!(
        page.contains("10 more subnets") && page.contains("10 more sites"),
        "{page}"
    );
    for (table, names) in [
        ("subnets", ["sent", "again", "dropped"].as_slice()),
        ("drops", &["packets", "bytes"]),
    ] {
        let rows = rows(&page, table)?;
        assert_eq!(rows.len(), 52, "{table}: 50 rows, the others, all");
        for name in names {
            let value = |row: &Value| row[*name].as_u64().context("a count is missing");
            let sum: u64 = rows
                .iter()
                .filter(|(key, _)| !key.is_empty())
                .map(|(_, row)| value(row))
                .sum::<Result<u64>>()?;
            assert_eq!(sum, value(&rows[""])?, "{table}: {name}");
        }
    }
    let subnets = rows(&page, "subnets")?;
    // The worst first: those with the fewest retransmissions are left, 0 to 9.
    assert_eq!(subnets[REST]["again"], (0..10).sum::<u64>());
    assert!(subnets.contains_key("net-59") && !subnets.contains_key("net-9"));
    let buckets = |row: &Value| row["rtt"]["buckets"].as_object().map(serde_json::Map::len);
    assert_eq!((buckets(&subnets[""]), buckets(&subnets[REST])), (Some(60), Some(10)));
    Ok(())
}

#[test]
fn labels_that_are_off_leave_one_row() -> Result<()> {
    let page = of_case(&CASES[1])?;
    let subnets = rows(&page, "subnets")?;
    assert_eq!(subnets.keys().collect::<Vec<_>>(), ["", "all"]);
    assert_eq!(subnets[""], subnets["all"]);
    assert!(!page.contains(QUOTED));
    Ok(())
}

/// A sample that has a finding with a drop site.
fn found() -> Report {
    let since = |seconds| Duration::from_secs(NOW.as_secs() - seconds);
    Report {
        at: NOW,
        state: State::Judged,
        window_seconds: 60.0,
        findings: vec![Finding {
            finding: "own_queue".into(),
            whose: Whose::Ours,
            subnet: QUOTED.to_owned(),
            severity: 40.0,
            rate: 35.0,
            share: 0.047,
            says: "this host drops 4.7 % of its own segments: a queue is full".to_owned(),
            services: vec!["https".to_owned()],
            workloads: Vec::new(),
            sites: vec![Seen {
                location: "__dev_queue_xmit".to_owned(),
                reason: "QDISC_DROP".to_owned(),
                class: "capacity".to_owned(),
                direction: "transmit".to_owned(),
                protocol: "tcp".to_owned(),
                packets_per_second: 27.0,
            }],
            flows: None,
            next: "tc -s qdisc show".into(),
            runbook: "TcpvitalsOwnDrops".into(),
            since: Since {
                at: since(154),
                or_before: false,
            },
        }],
        muted: 1,
        fine: vec!["office".to_owned()],
        ..Report::default()
    }
}

#[test]
fn a_finding_leads_to_its_row_its_runbook_and_its_commands() -> Result<()> {
    let case = &CASES[0];
    let snapshot = case.snapshot()?;
    let page = |report: &Report| -> Result<String> {
        let collected = Collected {
            families: &*case.families()?,
            cost: &Cardinality::default(),
            findings: Some(report),
            exporter: &snapshot.exporter,
            at: NOW,
        };
        Ok(unescape(&render(ABOUT, &snapshot.coverage, collected)))
    };
    let shown = page(&found())?;
    for text in [
        "<title>(1) host-1",
        "▲ OURS",
        "since 00:10:46 UTC",
        "a queueing discipline dropped it",
        "href=\"./docs/runbooks/TcpvitalsOwnDrops\"",
        "href=\"#subnet=lab%20%22B%22%20%5C%20east\"",
        r#"id="subnet=lab "B" \ east""#,
        r#"tcpvitals capture -w drops.pcapng --subnet 'lab "B" \ east' --reason QDISC_DROP --config.file /etc/tcpvitals.yaml"#,
        r#"tcpvitals top --subnet 'lab "B" \ east'"#,
        r#"rate(tcpvitals_tcp_locally_dropped_segments_total{subnet="lab \"B\" \\ east"}[5m])"#,
        "1 muted by the configuration. Fine: office.",
    ] {
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }
    let clean = page(&Report {
        findings: Vec::new(),
        ..found()
    })?;
    assert!(
        clean.contains("Nothing to report in the last 60 s: 7 connections, 3 subnets."),
        "{clean}"
    );
    Ok(())
}

#[test]
fn a_failed_reload_is_said_above_everything_with_its_reason() -> Result<()> {
    const WHY: &str = "tcpvitals.yaml:2: subnets[0].cidrs[0]: \"10.1.2.3/8\" has address bits behind its prefix";
    let config = Config::from_yaml("{}", "test.yaml")?;
    let mut snapshot = fresh(&config)?;
    snapshot.exporter.last_reload = LastReload::at_start(NOW);
    let page = unescape(&page_of(ABOUT, &config, &snapshot));
    assert!(page.contains("Ready") && !page.contains("old configuration"), "{page}");
    snapshot.exporter.last_reload.record(Err(WHY.to_owned()), NOW);
    let page = unescape(&page_of(ABOUT, &config, &snapshot));
    assert!(!page.contains("Ready"), "{page}");
    assert_eq!(page.matches("Running on the old configuration").count(), 2);
    assert_eq!(page.matches(WHY).count(), 2);
    Ok(())
}

#[test]
fn flows_are_offered_where_they_may_be_seen() -> Result<()> {
    let case = &CASES[0];
    let snapshot = case.snapshot()?;
    let page = |flows| page_of(About { flows, ..ABOUT }, &Config::built_in(), &snapshot);
    assert!(page(true).contains("data-flows=\"./api/v1/flows?subnet="));
    assert!(!page(false).contains("data-flows=\""));
    Ok(())
}

#[test]
fn the_policy_allows_nothing_from_elsewhere() {
    let policy = policy();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for hole in ["unsafe", "*", "http"] {
        assert!(!policy.contains(hole), "{policy}");
    }
}
