//! The description of the API names what the code has: paths, parameters, sort keys, fields.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tcpvitals::serve::http::api;
use tcpvitals::serve::http::api::query::LIMIT;
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::rows::{drops, flows};
use tcpvitals_metrics::workloads::Instance;
use tests::readers::openapi::document;

/// The names of an object's members.
fn keys(object: &Value) -> BTreeSet<String> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

fn words<'text, I: IntoIterator<Item = &'text str>>(words: I) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// The parameters of a path by their names, references followed.
fn parameters(document: &Value, path: &str) -> Result<Vec<(String, Value)>> {
    let listed = document["paths"][path]["get"]["parameters"].as_array();
    let listed = listed.map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .map(|parameter| {
            let parameter = match parameter["$ref"].as_str() {
                Some(reference) => document
                    .pointer(reference.trim_start_matches('#'))
                    .context("a dead reference")?,
                None => parameter,
            };
            let name = parameter["name"].as_str().context("a parameter without a name")?;
            Ok((name.to_owned(), parameter["schema"].clone()))
        })
        .collect()
}

#[test]
fn it_has_the_paths_and_parameters_of_the_routes() -> Result<()> {
    let document = document()?;
    assert_eq!(keys(&document["paths"]), words(api::PATHS));
    let flow_keys = flows::SortKey::all().into_iter().map(|(word, _)| word);
    let drop_keys = drops::SortKey::all().into_iter().map(|(word, _)| word);
    for (path, known, sort_keys) in [
        (api::PATHS[0], words(api::flows::parameters()), words(flow_keys)),
        (api::PATHS[1], words(api::drops::parameters()), words(drop_keys)),
        (api::PATHS[2], BTreeSet::new(), BTreeSet::new()),
    ] {
        let parameters = parameters(&document, path)?;
        assert_eq!(
            parameters.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(),
            known,
            "{path}"
        );
        for (name, schema) in &parameters {
            let listed: Vec<&str> = schema["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            match name.as_str() {
                "sort" => assert_eq!(words(listed), sort_keys, "{path}"),
                "limit" => {
                    assert_eq!(
                        (&schema["default"], &schema["maximum"]),
                        (&LIMIT.0.into(), &LIMIT.1.into())
                    );
                }
                // What it promises is accepted.
                _ => {
                    for value in listed {
                        let query = format!("{name}={value}");
                        let accepted = match path {
                            path if path == api::PATHS[0] => api::flows::Wanted::parse(&query).is_ok(),
                            _ => api::drops::Wanted::parse(&query).is_ok(),
                        };
                        assert!(accepted, "{path}?{query}");
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn it_has_the_fields_of_a_flow() -> Result<()> {
    let flow = &document()?["components"]["schemas"]["Flow"];
    let properties = keys(&flow["properties"]);
    for field in flows::FIELDS {
        assert!(properties.contains(field.name), "{} is missing", field.name);
    }
    let required = flow["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    // Labels of workloads are there where somebody tells them apart.
    let on_demand = TcpLabel::ALL.iter().filter(|label| label.row().is_of_workloads);
    let instance = Instance::default().words().map(|(name, _)| name);
    let on_demand = words(on_demand.map(|label| label.as_str()).chain(instance));
    assert_eq!(&words(required) | &on_demand, properties);
    Ok(())
}
