//! What a bench found, as it lies in `target/bench/ITEM.json` and as the page is made of it. Values only.

use serde::{Deserialize, Serialize};

/// Everything that one item found in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Name of the file of results, and what `ITEM=` selects.
    pub(crate) id: String,
    /// Heading on the page.
    pub(crate) title: String,
    /// Of the rows' figures: `ns per round trip`.
    pub(crate) unit: String,
    /// Figures, in the order of the page.
    pub(crate) rows: Vec<Row>,
    /// Those of the design's targets that this item measures.
    pub(crate) targets: Vec<Target>,
    /// What a reader has to know of how it was measured, what was skipped and why; a sentence each.
    pub(crate) notes: Vec<String>,
    /// Drawn under the table.
    pub(crate) plot: Option<Plot>,
    /// Why these figures do not count: nothing differed from nothing. The page then shows none of them.
    pub(crate) void: Option<String>,
    /// Where it was measured.
    pub(crate) machine: Machine,
}

/// One line of an item's table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured: a contestant, a number of flows.
    pub(crate) label: String,
    /// In the item's unit.
    pub(crate) median: f64,
    /// Lower quartile; the least where a note says so.
    pub(crate) low: f64,
    /// Upper quartile; the greatest where a note says so.
    pub(crate) high: f64,
    /// Measurements that these are of.
    pub(crate) samples: usize,
    /// Median of the ratios to nothing, each of neighbouring windows.
    pub(crate) ratio: Option<f64>,
    /// Above empty programs on the same hooks, in the item's unit.
    pub(crate) above_floor: Option<f64>,
}

/// What the design asks for, and what came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// What is measured.
    pub(crate) what: String,
    /// What is asked for, in the words of the design.
    pub(crate) text: String,
    /// What was measured, with its unit.
    pub(crate) figure: String,
    /// The same of empty programs; "" if that means nothing here.
    pub(crate) floor: String,
    /// The same of a peer, with its name; "" without one.
    pub(crate) peer: String,
    /// To nothing, or to what the text says; "" without one.
    pub(crate) ratio: String,
    /// Unknown where the figures do not count.
    pub(crate) met: Option<bool>,
    /// Why it is not met or not known; "" if there is nothing to explain.
    pub(crate) why: String,
}

/// A drawing of figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Plot {
    /// A bar for each row that has a ratio, with its length the ratio's difference to 1 in percent.
    Ratios,
    /// Lines over a common axis.
    Lines {
        /// Below.
        x: Axis,
        /// At the left.
        y: Axis,
        /// Each with its points, in the order of x.
        lines: Vec<Line>,
    },
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Axis {
    /// What it shows, with its unit.
    pub(crate) title: String,
    /// Powers of ten at equal distances.
    pub(crate) logarithmic: bool,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Its name.
    pub(crate) label: String,
    /// x and y.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A machine, and when it was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Model name of the first processor.
    pub(crate) processor: String,
    /// Processors that are online.
    pub(crate) cores: usize,
    /// In MiB.
    pub(crate) memory: u64,
    /// Release and version of the kernel.
    pub(crate) kernel: String,
    /// Current clock source.
    pub(crate) clock_source: String,
    /// Whether the processor says that a hypervisor runs it.
    pub(crate) virtualised: bool,
    /// What the kernel says of each vulnerability that affects the processor.
    pub(crate) mitigations: Vec<String>,
    /// Load average of the minute before the run: what else the machine had to do.
    #[serde(default)]
    pub(crate) load: String,
    /// Day of the run, in UTC: `2026-01-31`.
    pub(crate) date: String,
    /// Of the repository; with `+` if files differed from it.
    pub(crate) commit: String,
}
