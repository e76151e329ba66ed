//! The reference pages, and the schema of the configuration: they are what the tables and comments of the source say.

use std::fs::read_to_string;

use anyhow::{Context as _, Result};
use tcpvitals_config as config;
use tcpvitals_metrics::{families, findings};

/// The file in `docs/` is this text.
fn require(file: &str, text: &str) -> Result<()> {
    let path = format!("{}/../docs/{file}", env!("CARGO_MANIFEST_DIR"));
    let page = read_to_string(&path).with_context(|| format!("read {path}: run `make docs`"))?;
    let differs = page.lines().zip(text.lines()).find(|(is, should)| is != should);
    assert!(
        page == text,
        "docs/{file} is not what the source says: run `make docs`; the first difference is {differs:#?}"
    );
    Ok(())
}

#[test]
fn the_reference_page_is_made_from_the_metric_table() -> Result<()> {
    require("metrics.md", &families::reference::markdown())
}

#[test]
fn the_page_of_findings_is_made_from_their_tables() -> Result<()> {
    require("findings.md", &findings::reference::markdown())
}

#[test]
fn the_page_of_the_configuration_is_made_from_its_mappings() -> Result<()> {
    require("configuration.md", &config::docs::reference::markdown())
}

#[test]
fn the_schema_of_the_configuration_is_made_from_its_mappings() -> Result<()> {
    require("config.schema.json", &config::docs::schema::json()?)
}
