//! Runs of kernel programs that the kernel skipped. Where it can take the processor from a task within a tracepoint (since
//! Linux 7.0; ARCHITECTURE.md), a load of many short connections misses some that no second program takes over; the exporter counts
//! each, and a test may miss no more than that. Everywhere else a test requires equality.

use std::fmt::Debug;

use anyhow::Result;

use crate::exporter::scrape::Scrape;
use crate::kernel::kernel_facts::note;

/// The hook that sees connections open and close.
const HOOK: &str = "inet_sock_set_state";
/// A program that the exporter has only where tracepoints can be preempted.
const OF_PREEMPTIBLE: &str = "delete_storage_again";

const ATTACHED: &str = "tcpvitals_program_attached";

/// What may be missing in one scrape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skipped {
    /// Runs of these programs; zero where the kernel is not such, whatever it skipped.
    runs: f64,
}

impl Skipped {
    /// Reads what the exporter says of the hook that sees connections open and close.
    pub fn of(scrape: &Scrape) -> Result<Self> {
        Self::with(scrape, &[])
    }

    /// The same of those and of `more`.
    pub fn with(scrape: &Scrape, more: &[&str]) -> Result<Self> {
        let mut attached = scrape.exposition().samples.keys();
        let is_preemptible = attached.any(|series| {
            series.name == ATTACHED && series.labels.get("program").is_some_and(|name| name == OF_PREEMPTIBLE)
        });
        let lost = scrape.by("tcpvitals_events_lost_total", "program", &[])?;
        let runs = [HOOK].iter().chain(more).filter_map(|program| lost.get(*program)).sum();
        let runs = if is_preemptible { runs } else { 0.0 };
        Ok(Self { runs })
    }

    /// How many runs may be missing.
    pub fn runs(self) -> f64 {
        self.runs
    }

    /// Requires that all that was made was counted, or all but what a skipped run would have counted, at most `each`.
    #[track_caller]
    pub fn require(self, counted: f64, made: f64, each: f64, what: impl Debug) {
        let most = self.runs * each;
        if most == 0.0 {
            assert_eq!(counted, made, "{what:?}");
            return;
        }
        let missing = made - counted;
        assert!(
            (0.0..=most).contains(&missing),
            "{what:?}: {counted} of {made}, and the kernel skipped {} runs of programs",
            self.runs
        );
        if missing > 0.0 {
            note(&format!(
                "{what:?}: {missing} of {made} missing, and the kernel skipped {} runs of programs",
                self.runs
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::exposition::{Format, parse};

    fn skipped(program: &str, runs: u32) -> Skipped {
        let text = format!(
            "# HELP tcpvitals_program_attached A.\n# TYPE tcpvitals_program_attached gauge\n\
             tcpvitals_program_attached{{program=\"{program}\"}} 1\n\
             # HELP tcpvitals_events_lost L.\n# TYPE tcpvitals_events_lost counter\n\
             tcpvitals_events_lost_total{{program=\"inet_sock_set_state\"}} {runs}\n\
             tcpvitals_events_lost_total{{program=\"kfree_skb\"}} 70\n# EOF\n"
        );
        let scrape = Scrape::new(parse(&text, Format::OpenMetrics).unwrap());
        let (skipped, more) = (
            Skipped::of(&scrape).unwrap(),
            Skipped::with(&scrape, &["kfree_skb"]).unwrap(),
        );
        assert_eq!(
            more.runs() - skipped.runs(),
            if program == OF_PREEMPTIBLE { 70.0 } else { 0.0 }
        );
        skipped
    }

    #[test]
    fn only_preemptible_kernels_may_miss_and_no_more_than_they_skipped() {
        let preemptible = skipped(OF_PREEMPTIBLE, 3);
        preemptible.require(97.0, 100.0, 1.0, "as many");
        preemptible.require(100.0, 100.0, 1.0, "all");
        let fails = |skipped: Skipped, counted: f64| {
            std::panic::catch_unwind(|| skipped.require(counted, 100.0, 1.0, "count")).is_err()
        };
        assert!(fails(preemptible, 96.0) && fails(preemptible, 101.0));
        assert!(fails(skipped(HOOK, 3), 99.0) && fails(skipped(OF_PREEMPTIBLE, 0), 99.0));
    }
}
