//! The reference page of all metrics.

use std::fs::read_to_string;

use anyhow::{Context as _, Result};
use tcpvitals::families::reference::markdown;

#[test]
fn the_reference_page_is_made_from_the_metric_table() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = read_to_string(path).with_context(|| format!("read {path}: run `make docs`"))?;
    let table = markdown();
    let differs = page.lines().zip(table.lines()).find(|(is, should)| is != should);
    assert!(
        page == table,
        "docs/metrics.md is not what the metric table says: run `make docs`; the first difference is {differs:#?}"
    );
    Ok(())
}
