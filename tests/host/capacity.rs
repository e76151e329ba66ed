//! How many series a label set takes, as `docs/capacity.md` says it: computed from the metric table.
//!
//! `UPDATE=1 cargo test -p tests --test host` writes it there.

use anyhow::Result;
use tcpvitals_config::{Config, MetricFilter};
use tcpvitals_metrics::families;
use tcpvitals_metrics::labels::Cost;

use crate::golden::require_section;

#[test]
fn the_page_on_capacity_says_how_many_label_sets_fit() -> Result<()> {
    let Cost { group, drop } = families::cost(&MetricFilter::default());
    let series = Config::built_in().limits.series;
    let of_drops = series / 5;
    let (groups, drops) = ((series - of_drops) / group, of_drops / drop);
    let sentence = format!(
        "A label set of the TCP metrics takes {group} series, one of drops {drop}. The default of `limits.series`, {series}, holds \
         {groups} label sets of\nconnections and {drops} of drops.\n"
    );
    require_section(
        "docs/capacity.md",
        "<!-- Computed from the metric table: tests/host/capacity.rs -->\n",
        "<!-- End -->\n",
        &sentence,
    )
}
