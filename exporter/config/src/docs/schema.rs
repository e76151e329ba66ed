//! The JSON Schema of the configuration file, for editors and for those who write such files by program.
//! It must never refuse what the parser accepts; what the parser refuses it refuses too, as far as a schema can say so.
//! From the mappings of `raw` (their keys, texts, defaults and examples) and `values` (what a key may hold).

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

use crate::{SAMPLE, raw::RawConfig};

/// The schema. Draft 7, without references: editors know that best.
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .with_transform(RecursiveTransform(crate::kinds::described::describe))
        .into_generator()
        .into_root_schema_for::<RawConfig>();
    schema.insert("title".to_owned(), "tcpvitals configuration".into());
    // An empty file is one too.
    schema.insert("type".to_owned(), serde_json::json!(["object", "null"]));
    default_from_sample(&mut schema, "subnets");
    schema
}

/// A default that is too long for a comment is in the sample, which has the default of every key.
fn default_from_sample(schema: &mut Schema, key: &str) {
    let sample = serde_yaml::from_str::<Value>(SAMPLE).ok();
    let property = schema.pointer_mut(&format!("/properties/{key}"));
    if let (Some(default), Some(Value::Object(property))) = (sample.as_ref().and_then(|all| all.get(key)), property) {
        property.insert("default".to_owned(), default.clone());
    }
}

/// `docs/config.schema.json`.
pub fn json() -> serde_json::Result<String> {
    serde_json::to_string_pretty(&schema()).map(|json| json + "\n")
}
