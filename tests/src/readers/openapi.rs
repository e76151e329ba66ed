//! The description of the API, `docs/openapi.yaml`, as something to hold answers against.

use std::fs::read_to_string;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// The whole description.
pub fn document() -> Result<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.yaml");
    let text = read_to_string(path).with_context(|| format!("read {path}"))?;
    serde_yaml::from_str(&text).context("read docs/openapi.yaml")
}

/// Requires that an answer is as one of the schemas says.
pub fn require(answer: &Value, schema: &str) -> Result<()> {
    let document = document()?;
    let named = &document["components"]["schemas"][schema];
    ensure!(named.is_object(), "there is no schema {schema}");
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/components/schemas/{schema}"),
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&root).context("the schemas of docs/openapi.yaml")?;
    let errors: Vec<String> = validator
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    ensure!(errors.is_empty(), "not as the schema {schema} says: {errors:#?}");
    Ok(())
}
