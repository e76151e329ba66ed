//! What Prometheus alerts, by the rules of the repository with shorter times: an hour's wait takes a minute and less.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::Exporter;
use tests::readers::prometheus::{Job, Prometheus};
use tests::readers::rules::{rule_files, text};

/// Alerts, and what each is of: a subnet, an application protocol or a drop reason.
pub(super) type Alerts = BTreeSet<(String, String)>;

/// What is shorter in every file, and in those without budgets. Budgets wait for half an hour of their own, which no run here has.
const SHORTER: [(&str, &str); 8] = [
    ("[5m]", "[10s]"),
    ("[15m]", "[20s]"),
    ("interval: 1m", "interval: 1s"),
    ("interval: 2m", "interval: 2s"),
    ("for: 5m", "for: 4s"),
    ("for: 10m", "for: 8s"),
    ("for: 15m", "for: 12s"),
    ("for: 30m", "for: 25s"),
];
const SHORTER_WITHOUT_BUDGETS: [(&str, &str); 2] =
    [("[1d] offset 1h", "[30s] offset 25s"), ("offset 6h", "offset 30s")];

/// A Prometheus that scrapes one exporter.
pub(super) struct Watch(Prometheus);

impl Watch {
    pub(super) fn start(exporter: &Exporter<'_>) -> Result<Self> {
        let mut rules = Vec::new();
        for file in rule_files()? {
            let name = file
                .file_name()
                .context("a file without a name")?
                .to_string_lossy()
                .into_owned();
            let shorter = SHORTER.iter().chain(if name == "slo.yaml" {
                &[][..]
            } else {
                &SHORTER_WITHOUT_BUDGETS
            });
            rules.push(shorter.fold(text(&file)?, |text, (from, to)| text.replace(from, to)));
        }
        let job = Job::new("tcpvitals", exporter.address());
        Ok(Self(Prometheus::with_rules(&[job], &[], &rules)?))
    }

    /// All that have fired since the beginning.
    pub(super) fn fired(&self) -> Result<Alerts> {
        let unwell = self.0.unwell_rules()?;
        ensure!(unwell.is_empty(), "{unwell:?}");
        let fired = self.0.query("last_over_time(ALERTS{alertstate=\"firing\"}[1h])")?;
        let each = fired.into_iter().map(|(mut labels, _)| {
            let alert = labels.remove("alertname").unwrap_or_default();
            let of = ["subnet", "app_protocol", "reason"]
                .iter()
                .find_map(|label| labels.remove(*label));
            (alert, of.unwrap_or_default())
        });
        // Others on this machine talk to other subnets.
        let is_ours = |of: &str| !["internet", "link-local"].contains(&of) && !of.starts_with("private");
        Ok(each.filter(|(_, of)| is_ours(of)).collect())
    }
}
