//! One number of the exporter laid beside what it should be.

use anyhow::Result;
use serde::Serialize;
use tests::exporter::scrape::Scrape;
use tests::kernel::account::same;

use super::stage::names;
use super::unseen::Unseen;

/// What a number should be, and who says so.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) metric: String,
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    /// Where it happened: all subnets of the cable are added up.
    pub(crate) cable: &'static str,
    pub(crate) value: f64,
    pub(crate) source: String,
    /// Hooks, and how much less it is at most for each event that they do not see.
    pub(crate) hooks: Vec<(&'static str, f64)>,
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Equal,
    /// Less than expected by no more than the events that the kernel did not show to the programs, and said so.
    NotShown,
    Differs,
}

/// A check and its outcome.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Checked {
    pub(crate) metric: String,
    pub(crate) labels: String,
    pub(crate) expected: f64,
    pub(crate) got: f64,
    pub(crate) source: String,
    pub(crate) verdict: Verdict,
}

impl Expected {
    /// Lays it beside a scrape.
    pub(crate) fn check(&self, scrape: &Scrape, unseen: &Unseen) -> Result<Checked> {
        let got = sum(scrape, self.cable, &self.metric, &self.labels)?;
        let labels = self.labels.iter().map(|(label, value)| format!("{label}={value}"));
        let labels: Vec<String> = labels.chain([format!("of {}", self.cable)]).collect();
        Ok(Checked {
            metric: self.metric.clone(),
            labels: labels.join(" "),
            expected: self.value,
            got,
            source: self.source.clone(),
            verdict: self.verdict(got, unseen),
        })
    }

    fn verdict(&self, got: f64, unseen: &Unseen) -> Verdict {
        let of = |(hook, each): &(&str, f64)| unseen.of(self.cable, hook) * each;
        let most: f64 = self.hooks.iter().map(of).sum();
        let missing = self.value - got;
        if same(got, self.value) {
            Verdict::Equal
        } else if missing > 0.0 && missing <= most {
            Verdict::NotShown
        } else {
            Verdict::Differs
        }
    }
}

/// The sum over all subnets of a cable. By these, since another run on this host has the same ports.
pub(crate) fn sum(scrape: &Scrape, cable: &str, metric: &str, labels: &[(&str, &str)]) -> Result<f64> {
    let of = |name: &String| {
        let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("subnet", name.as_str())]).collect();
        scrape.sum(metric, &labels)
    };
    names(cable).iter().map(of).sum()
}

/// A fact that must hold beside the exporter's numbers.
pub(crate) fn fact(what: &str, expected: f64, got: f64, source: &str) -> Checked {
    Checked {
        metric: what.to_owned(),
        labels: String::new(),
        expected,
        got,
        source: source.to_owned(),
        verdict: if same(expected, got) {
            Verdict::Equal
        } else {
            Verdict::Differs
        },
    }
}

/// A fact that is a yes or a no.
pub(crate) fn holds(what: &str, is_so: bool, source: &str) -> Checked {
    fact(what, 1.0, f64::from(u8::from(is_so)), source)
}
