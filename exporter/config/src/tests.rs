//! What the configuration promises: values, error sentences, and properties of any input.

mod files;
mod name_errors;
mod otlp;
mod properties;
mod schema;
mod shape_errors;
mod value_errors;
mod values;

use super::Config;

/// The configuration of a text that is one, to the schema too.
fn config(yaml: &str) -> Config {
    schema::accepts(yaml);
    Config::from_yaml(yaml, "t.yaml").unwrap()
}

/// The text is no configuration, and the error says exactly this; the schema refuses it too, if it can.
fn refused(yaml: &str, sentence: &str) {
    let error = Config::from_yaml(yaml, "t.yaml").expect_err(yaml);
    // The version beside an unknown key has a test of its own.
    let said = error
        .to_string()
        .replace(concat!(" in version ", env!("CARGO_PKG_VERSION")), "");
    assert_eq!(said, sentence, "for:\n{yaml}");
    schema::refuses(yaml, sentence);
}
