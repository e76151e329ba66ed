//! What the configuration promises: values, error sentences, and properties of any input.

mod files;
mod name_errors;
mod otlp;
mod properties;
mod shape_errors;
mod value_errors;
mod values;

use super::Config;

/// The configuration of a text that is one.
fn config(yaml: &str) -> Config {
    Config::from_yaml(yaml, "t.yaml").unwrap()
}

/// The text is no configuration, and the error says exactly this.
fn refused(yaml: &str, sentence: &str) {
    let error = Config::from_yaml(yaml, "t.yaml").expect_err(yaml);
    assert_eq!(error.to_string(), sentence, "for:\n{yaml}");
}
