//! Events that the programs of the exporter did not see, by the kernel's own account: how much a total may be short of.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use anyhow::Result;
use serde::Serialize;
use tests::exporter::scrape::Scrape;

/// Cable and hook. The cable is empty where an event does not tell.
type Place = (String, String);

/// How many there were.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Unseen {
    /// Withheld from all programs.
    #[serde(serialize_with = "as_list")]
    withheld: BTreeMap<Place, f64>,
    /// Skipped, since the program was already running on the processor; by program.
    skipped: BTreeMap<String, f64>,
}

impl Unseen {
    pub(crate) fn withhold(&mut self, cable: &str, hook: &str) {
        *self.withheld.entry((cable.to_owned(), hook.to_owned())).or_default() += 1.0;
    }

    /// With what the exporter says that it missed itself.
    pub(crate) fn with_skipped(mut self, scrape: &Scrape) -> Result<Self> {
        let skipped = scrape.by("tcpvitals_events_lost_total", "program", &[])?;
        self.skipped = skipped;
        Ok(self)
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (place, count) in &mut since.withheld {
            *count -= before.withheld.get(place).copied().unwrap_or(0.0);
        }
        since.withheld.retain(|_, count| *count > 0.0);
        since
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.withheld.is_empty() && self.skipped.is_empty()
    }

    /// Those of a hook that may have been of a cable.
    pub(crate) fn of(&self, cable: &str, hook: &str) -> f64 {
        let withheld = self
            .withheld
            .iter()
            .filter(|((of, own), _)| own == hook && (of.is_empty() || of == cable));
        // A hook may have more programs than one.
        let skipped = self.skipped.iter().filter(|(program, _)| program.starts_with(hook));
        withheld.map(|(_, count)| count).sum::<f64>() + skipped.map(|(_, count)| count).sum::<f64>()
    }
}

fn as_list<S: serde::Serializer>(withheld: &BTreeMap<Place, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(withheld.iter().map(|((cable, hook), count)| (cable, hook, count)))
}

impl Display for Unseen {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for ((cable, hook), count) in &self.withheld {
            let cable = if cable.is_empty() { "anywhere" } else { cable };
            write!(formatter, "{count} of {hook} on {cable}; ")?;
        }
        for (program, count) in &self.skipped {
            write!(formatter, "{count} skipped by {program}; ")?;
        }
        Ok(())
    }
}
