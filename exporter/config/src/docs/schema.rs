//! The JSON Schema of the configuration file, for editors and for those who write such files by program.
//! It must never refuse what the parser accepts; what the parser refuses it refuses too, as far as a schema can say so.
//! From the mappings of `raw` (their keys, texts, defaults and examples) and `values` (what a key may hold).

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value};

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
    default_from_sample(&mut schema, &["subnets"]);
    default_from_sample(&mut schema, &["histograms", "classic"]);
    if let Some(view) = schema.pointer_mut("/properties/views/items") {
        without_defaults(view);
    }
    schema
}

/// The keys of a view have no defaults of their own.
fn without_defaults(property: &mut Value) {
    let Value::Object(property) = property else { return };
    property.remove("default");
    let properties = property.get_mut("properties").and_then(Value::as_object_mut);
    properties
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(without_defaults);
}

/// A default that is too long for a comment is in the sample, which has the default of every key.
fn default_from_sample(schema: &mut Schema, keys: &[&str]) {
    let sample = serde_yaml::from_str::<Value>(SAMPLE).ok();
    let default = sample.and_then(|all| all.pointer(&format!("/{}", keys.join("/"))).cloned());
    let property = schema.pointer_mut(&format!("/properties/{}", keys.join("/properties/")));
    if let (Some(default), Some(Value::Object(property))) = (default, property) {
        property.insert("default".to_owned(), default);
    }
}

/// `docs/config.schema.json`.
pub fn json() -> serde_json::Result<String> {
    serde_json::to_string_pretty(&schema()).map(|json| json + "\n")
}
