//! The page at `/`: what it shows of a snapshot, that it escapes every text, and that it says what it leaves out.

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::drops::{Direction, DropCount, DropSource, Protocol};
use common::net::connection::ConnectionType;
use common::tcp::group::{Counter, GroupKey, Role};
use serde_json::Value;
use tcpvitals_config::Config;
use tcpvitals_metrics::encode::page::{About, Collected, policy, render, render_failure};
use tcpvitals_metrics::rows::cardinality::Cardinality;
use tcpvitals_metrics::snapshot::{DropSite, Group, Row, Snapshot};
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
    let collected = Collected {
        families: &*case.families()?,
        cost: &case.cost()?,
        findings: None,
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
        app_protocol: None,
        workload: None,
        marks: 0,
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
        telemetry_path: "/\"><b>",
    };
    let page = page_of(about, &config, &snapshot);
    let failure = render_failure(about, EVIL);
    for page in [&page, &failure] {
        assert!(!page.contains("<img") && !page.contains("<b>"), "{page}");
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
            app_protocol: None,
            workload: None,
            marks: 0,
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
    // Most retransmissions first: the ten fewest are left, 0 to 9.
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

#[test]
fn the_policy_allows_nothing_from_elsewhere() {
    let policy = policy();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    for hole in ["unsafe", "*", "http"] {
        assert!(!policy.contains(hole), "{policy}");
    }
}
