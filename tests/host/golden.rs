//! Golden expositions: one snapshot that has everything, in both text formats, byte for byte, and strictly read.
//!
//! `UPDATE=1 cargo test -p tests --test host` writes what the exporter says now; look at the difference before you keep it.

use std::collections::BTreeSet;
use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tcpvitals_config::numbering::Numbering;
use tcpvitals_config::{Config, Histograms};
use tcpvitals_metrics::coverage::Coverage;
use tcpvitals_metrics::encode::prometheus;
use tcpvitals_metrics::encode::prometheus::encode;
use tcpvitals_metrics::families;
use tcpvitals_metrics::families::{Families, METRICS};
use tcpvitals_metrics::labels::Labelling;
use tcpvitals_metrics::rows::cardinality::Cardinality;
use tcpvitals_metrics::snapshot::Snapshot;
use tests::exporter::exposition;
use tests::exporter::exposition::{Exposition, parse};

use crate::sample::{QUOTED, coverage, full};

/// A golden file's name, the configuration, what the kernel lacks, and the metrics that are therefore left out.
pub(crate) struct Case {
    name: &'static str,
    config: &'static str,
    lacking: &'static [&'static str],
    pub(crate) off: &'static [&'static str],
}

pub(crate) const SUBNETS: &str = "\
subnets:
  - {name: office, cidrs: [10.20.0.0/16]}
  - {name: 'lab \"B\" \\ east', cidrs: [10.30.0.0/16]}
app_protocols: [{name: orders, ports: [7443]}]
";

pub(crate) const CASES: [Case; 2] = [
    Case {
        name: "all-labels",
        config: "devices: {enabled: true}\ntcp: {memory: true}\n",
        lacking: &["tcp_cong_state_set", "TCP_SOCK_REORD_SEEN"],
        off: &[
            "tcpvitals_tcp_congestion_events_total",
            "tcpvitals_tcp_reordering_events_total",
            // On demand.
            "tcpvitals_tcp_spurious_recoveries_total",
            "tcpvitals_tcp_delivery_rate_bytes_per_second",
            "tcpvitals_tcp_path_mtu_min_bytes",
            "tcpvitals_tcp_peer_mss_min_bytes",
            "tcpvitals_tcp_peer_zero_windows",
            "tcpvitals_tcp_own_zero_windows",
            "tcpvitals_tcp_connections_reset_total",
        ],
    },
    // One label set of TCP fits under the cap, besides `other`.
    Case {
        name: "few-labels-and-series",
        config: "labels: {tcp: [role], drops: [reason, class]}\nlimits: {series: 200}\ntcp: {detail: essential}\n\
                 histograms: {native: false, classic: {tcpvitals_tcp_rtt_seconds: all, tcpvitals_tcp_mss_bytes: [1024]}}\n\
                 metrics: {include: [tcpvitals_*, process_*], exclude: [tcpvitals_tcp_rto_min_seconds]}\n",
        lacking: &[],
        off: &[
            "tcpvitals_tcp_duplicate_acks_total",
            "tcpvitals_tcp_sacks_total",
            "tcpvitals_tcp_sack_blocks_total",
            "tcpvitals_tcp_rto_min_seconds",
            "tcpvitals_device_dropped_packets_total",
            "tcpvitals_device_allowance_exceeded_packets_total",
            "tcpvitals_softnet_squeezes_total",
            "tcpvitals_conntrack_entries",
            "tcpvitals_conntrack_entries_limit",
            "tcpvitals_conntrack_failed_inserts_total",
            "tcpvitals_conntrack_full_drops_total",
            "tcpvitals_conntrack_early_drops_total",
            "tcpvitals_tcp_memory_bytes",
            "tcpvitals_tcp_memory_limit_bytes",
            "tcpvitals_tcp_memory_pressure",
            "tcpvitals_tcp_memory_pressures_total",
            "tcpvitals_tcp_collapsed_segments_total",
            "tcpvitals_tcp_prunes_total",
            "tcpvitals_tcp_announced_zero_windows_total",
            "tcpvitals_tcp_window_probes_total",
            "tcpvitals_tcp_orphans",
            "tcpvitals_tcp_orphans_limit",
            "tcpvitals_host_readings_failed_total",
        ],
    },
];

impl Case {
    pub(crate) fn families(&self) -> Result<Arc<Families>> {
        Ok(families_of(&self.config()?, &self.snapshot()?))
    }

    /// What was collected.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        full(&self.config()?, self.lacking)
    }

    /// What it costs.
    pub(crate) fn cost(&self) -> Result<Cardinality> {
        Ok(Cardinality::new(&*self.families()?, &*self.histograms()?))
    }

    /// As text.
    pub(crate) fn text(&self) -> Result<String> {
        render(self, prometheus::Format::Text)
    }

    /// With which buckets it is shown.
    pub(crate) fn histograms(&self) -> Result<Arc<Histograms>> {
        Ok(Arc::new(self.config()?.shown.histograms))
    }

    fn config(&self) -> Result<Config> {
        let text = format!("{SUBNETS}{}", self.config);
        Ok(Config::from_yaml_checked(&text, "golden.yaml", families::check)?)
    }

    pub(crate) fn coverage(&self) -> Result<Coverage> {
        coverage(&self.config()?, self.lacking)
    }

    pub(crate) fn file(&self, extension: &str) -> PathBuf {
        [
            env!("CARGO_MANIFEST_DIR"),
            "golden",
            &format!("{}.{extension}", self.name),
        ]
        .iter()
        .collect()
    }
}

/// What the metrics path shows of a snapshot.
pub(crate) fn families_of(config: &Config, snapshot: &Snapshot) -> Arc<Families> {
    let mut labelling = Labelling::new(config, &Numbering::new(config));
    labelling.post(snapshot);
    let families = families::of_view(&mut labelling, snapshot, &config.shown);
    Arc::new(families.chosen(&config.shown.metrics))
}

/// The text, with a version that does not change from release to release.
fn render(case: &Case, format: prometheus::Format) -> Result<String> {
    let own = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    let families = case.families()?;
    let body = encode(&families, families.started(), format, &case.histograms()?)?;
    Ok(String::from_utf8(body)?.replace(own, "version=\"0.0.0\""))
}

fn read(case: &Case) -> Result<[Exposition; 2]> {
    Ok([
        parse(
            &render(case, prometheus::Format::OpenMetrics)?,
            exposition::Format::OpenMetrics,
        )
        .context("OpenMetrics")?,
        parse(&render(case, prometheus::Format::Text)?, exposition::Format::Prometheus).context("Prometheus text")?,
    ])
}

#[expect(
    clippy::disallowed_methods,
    reason = "who changes the exposition on purpose says so by the environment"
)]
pub(crate) fn wants_update() -> bool {
    std::env::var("UPDATE").is_ok_and(|value| value == "1")
}

/// Requires that a page has this text between two lines, or writes it there.
pub(crate) fn require_section(page: &str, begin: &str, end: &str, text: &str) -> Result<()> {
    let path = format!("{}/../{page}", env!("CARGO_MANIFEST_DIR"));
    let whole = read_to_string(&path)?;
    let (before, rest) = whole.split_once(begin).context("no begin of the section")?;
    let (_, after) = rest.split_once(end).context("no end of the section")?;
    let expected = format!("{before}{begin}\n{text}\n{end}{after}");
    if wants_update() && whole != expected {
        write(&path, &expected)?;
    } else {
        assert!(
            whole == expected,
            "{page} says something else; UPDATE=1 cargo test -p tests --test host"
        );
    }
    Ok(())
}

#[test]
fn the_exposition_is_that_of_the_golden_files() -> Result<()> {
    for case in &CASES {
        for (format, extension) in [
            (prometheus::Format::OpenMetrics, "om"),
            (prometheus::Format::Text, "prom"),
        ] {
            require_golden(&case.file(extension), &render(case, format)?)?;
        }
    }
    Ok(())
}

/// The text is that of the file, or becomes it if that is wanted.
pub(crate) fn require_golden(file: &Path, text: &str) -> Result<()> {
    if wants_update() {
        write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    let golden = read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    require_same(&golden, text).with_context(|| {
        format!(
            "{} differs; if that is intended: UPDATE=1 cargo test -p tests --test host",
            file.display()
        )
    })
}

/// Names the first line that differs, since the whole texts are long.
pub(crate) fn require_same(golden: &str, text: &str) -> Result<()> {
    let lines = || golden.lines().zip(text.lines()).zip(1..);
    if let Some(((was, is), number)) = lines().find(|((was, is), _)| was != is) {
        anyhow::bail!("line {number} was\n  {was}\nand is\n  {is}");
    }
    ensure!(
        golden == text,
        "the one is the beginning of the other: {} and {} bytes",
        golden.len(),
        text.len()
    );
    Ok(())
}

#[test]
fn a_text_that_differs_in_one_byte_is_told_by_its_line() {
    let told = |golden, text| require_same(golden, text).map_err(|error| error.to_string());
    assert!(told("a\nb\n", "a\nb\n").is_ok());
    assert!(told("a\nb\n", "a\nc\n").unwrap_err().contains("line 2"));
    assert!(told("a\nb\n", "a\nb\nc\n").is_err());
    assert!(told("a\nb\n", "a\nb").is_err());
}

#[test]
fn both_formats_are_strictly_correct_and_say_the_same() -> Result<()> {
    for case in &CASES {
        let [open_metrics, text] = read(case)?;
        assert_eq!(open_metrics.samples, text.samples, "{}", case.name);
        for (name, family) in &open_metrics.families {
            let same = [name.clone(), format!("{name}_total")]
                .iter()
                .find_map(|name| text.families.get(name))
                .with_context(|| format!("no family {name} in the older format"))?;
            assert_eq!((family.kind, &family.help), (same.kind, &same.help), "{name}");
            assert_eq!(
                family.unit.is_empty(),
                !["_seconds", "_bytes", "_segments", "_per_second", "_ratio"]
                    .iter()
                    .any(|unit| name.ends_with(unit))
                    || COUNTED_BY_NAME.contains(&name.as_str()),
                "the unit of {name}"
            );
        }
        assert_eq!(open_metrics.families.len(), text.families.len(), "{}", case.name);
    }
    Ok(())
}

/// Counters of segments have no unit: what is counted is part of their name.
const COUNTED_BY_NAME: [&str; 7] = [
    "tcpvitals_tcp_segments",
    "tcpvitals_tcp_data_segments",
    "tcpvitals_tcp_retransmitted_segments",
    "tcpvitals_tcp_locally_dropped_segments",
    "tcpvitals_tcp_out_of_order_segments",
    "tcpvitals_tcp_ecn_marked_segments",
    "tcpvitals_tcp_collapsed_segments",
];

#[test]
fn every_metric_that_is_on_has_a_value_and_no_other_is_named() -> Result<()> {
    for case in &CASES {
        let [_, text] = read(case)?;
        let named: BTreeSet<String> = text.families.keys().cloned().collect();
        let on: BTreeSet<String> = METRICS
            .iter()
            .map(|metric| metric.full_name())
            .filter(|name| !case.off.contains(&name.as_str()))
            .collect();
        assert_eq!(
            on.len() + case.off.len(),
            METRICS.len(),
            "{}: a name that no metric has",
            case.name
        );
        assert_eq!(named, on, "{}", case.name);
        for name in named {
            let is_of = |series: &str| {
                series == name || series.strip_suffix("_count").is_some_and(|histogram| histogram == name)
            };
            assert!(
                text.samples.keys().any(|series| is_of(&series.name)),
                "{}: {name} has no value",
                case.name
            );
        }
    }
    Ok(())
}

#[test]
fn labels_stand_in_the_order_of_the_documentation_and_are_escaped() -> Result<()> {
    let case = &CASES[0];
    let lines = [
        r#"tcpvitals_tcp_segments_total{subnet="lab \"B\" \\ east",connection_type="wifi",app_protocol="orders",role="server",direction="receive"} 2004"#,
        r#"tcpvitals_dropped_packets_total{location="nf_hook_slow",reason="NETFILTER_DROP",class="policy",protocol="tcp",direction="transmit",subnet="office",connection_type="wired",source="software"} 11"#,
    ];
    for format in [prometheus::Format::OpenMetrics, prometheus::Format::Text] {
        let text = render(case, format)?;
        for line in lines {
            assert!(text.lines().any(|own| own == line), "{format:?} has no line {line}");
        }
    }
    for exposition in read(case)? {
        let subnets: BTreeSet<&str> = exposition
            .samples
            .keys()
            .filter_map(|series| series.labels.get("subnet").map(String::as_str))
            .collect();
        assert_eq!(subnets, ["internet", "none", "office", "other", QUOTED].into());
    }
    Ok(())
}
