//! The dashboards: Grafana's own schemas accept them, and their parts fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};
use tcpvitals_config::Class;
use tcpvitals_metrics::{colours::of_class, findings::dictionary};
use tests::readers::dashboards::{Dashboard, dashboards, list, text};

/// A schema of Grafana's by the name of its file.
fn schema(name: &str) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/grafana/{name}.jsonschema.json"));
    let text = read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut schema: Value = serde_json::from_str(&text)?;
    // Grafana itself takes any value here (`any` in its Go code, `unknown` in TypeScript) and writes texts and numbers;
    // only the JSON Schema says that they are objects.
    for (definition, property) in [("DynamicConfigValue", "value"), ("MatcherConfig", "options")] {
        if let Some(anything) = schema.pointer_mut(&format!("/definitions/{definition}/properties/{property}")) {
            *anything = json!({});
        }
    }
    Ok(schema)
}

/// What validates one definition of a schema; none if the schema has no such definition.
fn definition(schema: &Value, name: &str) -> Result<Option<Validator>> {
    if schema.pointer(&format!("/definitions/{name}")).is_none() {
        return Ok(None);
    }
    let mut schema = schema.clone();
    schema["$ref"] = json!(format!("#/definitions/{name}"));
    Ok(Some(jsonschema::validator_for(&schema)?))
}

fn errors(validator: &Validator, value: &Value, place: &str) -> Vec<String> {
    let said = validator.iter_errors(value);
    said.map(|error| {
        let message: String = error.to_string().chars().take(300).collect();
        format!("{place}{}: {message}", error.instance_path())
    })
    .collect()
}

/// What Grafana's schemas say against a dashboard.
fn against_schemas(dashboard: &Dashboard) -> Result<Vec<String>> {
    let required = |schema: &str, name: &str| definition(&self::schema(schema)?, name)?.context("no such definition");
    let mut said = errors(&required("dashboard", "Dashboard")?, &dashboard.json, &dashboard.file);
    let query = required("prometheus", "Dataquery")?;
    for (place, panel) in drawn(dashboard) {
        for target in list(panel, "targets") {
            said.extend(errors(&query, target, &place));
        }
        let own = schema(text(panel, "type"))?;
        let options = definition(&own, "Options")?.context("a panel without options")?;
        said.extend(errors(&options, &panel["options"], &format!("{place}, options")));
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        match definition(&own, "FieldConfig")? {
            Some(field) if !custom.is_null() => said.extend(errors(&field, custom, &format!("{place}, custom"))),
            None if !custom.is_null() => said.push(format!("{place} has settings of fields that its kind has not")),
            Some(_) | None => {}
        }
    }
    Ok(said)
}

/// The panels that show something, with their place; rows only order them.
fn drawn(dashboard: &Dashboard) -> Vec<(String, &Value)> {
    let panels = dashboard.panels().into_iter();
    panels
        .filter(|panel| text(panel, "type") != "row")
        .map(|panel| (format!("{}: {}", dashboard.file, text(panel, "title")), panel))
        .collect()
}

/// A dashboard with one value replaced.
fn spoiled(dashboard: &Dashboard, pointer: &str, value: Value) -> Result<Dashboard> {
    let mut spoiled = dashboard.clone();
    *spoiled.json.pointer_mut(pointer).with_context(|| pointer.to_owned())? = value;
    Ok(spoiled)
}

#[test]
fn every_dashboard_passes_grafanas_schemas() -> Result<()> {
    let all = dashboards()?;
    for dashboard in &all {
        assert_eq!(against_schemas(dashboard)?, Vec::<String>::new());
    }
    let first = all.first().context("no dashboard")?;
    for (pointer, value) in [
        ("/refresh", json!(5)),
        ("/panels/0/gridPos/w", json!("wide")),
        ("/panels/0/targets/0/expr", json!(null)),
        ("/panels/0/targets/0", json!({"expr": "up", "unknown": 1})),
        ("/panels/0/options", json!({})),
        ("/panels/0/fieldConfig/defaults/unknown", json!(1)),
    ] {
        let Ok(bad) = spoiled(first, pointer, value.clone()) else {
            let (parent, key) = pointer.rsplit_once('/').context("no key")?;
            let mut added = first.json.pointer(parent).context("no parent")?.clone();
            added[key] = value;
            assert_ne!(against_schemas(&spoiled(first, parent, added)?)?, Vec::<String>::new());
            continue;
        };
        assert_ne!(against_schemas(&bad)?, Vec::<String>::new(), "{pointer}");
    }
    Ok(())
}

/// What is not as a reader expects it, where a schema has nothing to say.
fn against_readers(dashboard: &Dashboard) -> Result<Vec<String>> {
    let units = schema("units")?;
    let units = units["definitions"].as_object().context("no units")?;
    let units: BTreeSet<&str> = units.values().map(|unit| text(unit, "const")).collect();
    ensure!(units.len() > 100, "only {} units", units.len());
    let mut said = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard.panels() {
        if !ids.insert(panel["id"].as_u64()) {
            said.push(format!(
                "{}: {} has another panel's number",
                dashboard.file,
                text(panel, "title")
            ));
        }
    }
    for (place, panel) in drawn(dashboard) {
        if text(panel, "title").is_empty() || !text(panel, "description").contains(' ') {
            said.push(format!("{place} has no title or no description"));
        }
        let kind = text(panel, "type");
        let unit = text(&panel["fieldConfig"]["defaults"], "unit");
        let axis = text(&panel["options"]["yAxis"], "unit");
        // Grafana itself knows units of the form `suffix:`: a number without prefixes, and these words.
        let has_unit =
            units.contains(unit) || unit.starts_with("suffix:/") || (kind == "heatmap" && units.contains(axis));
        if !has_unit && !["text", "table"].contains(&kind) {
            said.push(format!("{place} has the unit {unit:?}, which Grafana does not know"));
        }
        for target in list(panel, "targets") {
            if text(&target["datasource"], "uid") != "${datasource}" {
                said.push(format!("{place} asks a data source of its own"));
            }
        }
        let grid = &panel["gridPos"];
        if grid["x"].as_u64().unwrap_or(99) + grid["w"].as_u64().unwrap_or(99) > 24 {
            said.push(format!("{place} is wider than the screen"));
        }
    }
    Ok(said)
}

#[test]
fn every_panel_has_title_description_unit_and_the_chosen_data_source() -> Result<()> {
    let all = dashboards()?;
    for dashboard in &all {
        assert_eq!(against_readers(dashboard)?, Vec::<String>::new());
    }
    let first = all.first().context("no dashboard")?;
    for (pointer, value) in [
        ("/panels/0/id", first.json["panels"][1]["id"].clone()),
        ("/panels/0/description", json!("")),
        ("/panels/0/fieldConfig/defaults/unit", json!("parsecs")),
        ("/panels/0/targets/0/datasource/uid", json!("abc")),
        ("/panels/0/gridPos/x", json!(23)),
    ] {
        let bad = spoiled(first, pointer, value)?;
        assert_ne!(against_readers(&bad)?, Vec::<String>::new(), "{pointer}");
    }
    Ok(())
}

#[test]
fn no_panels_overlap() -> Result<()> {
    for dashboard in dashboards()? {
        let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for panel in dashboard.panels() {
            let side = |key: &str| panel["gridPos"][key].as_u64().context("a panel without a place");
            for x in side("x")?..side("x")? + side("w")? {
                for y in side("y")?..side("y")? + side("h")? {
                    let other = taken.insert((x, y), text(panel, "title"));
                    assert_eq!(other, None, "{}: {}", dashboard.file, text(panel, "title"));
                }
            }
        }
    }
    Ok(())
}

/// The one link that leaves Grafana: to the page of an exporter, by the name of its target.
const PAGE: &str = "http://${__data.fields.Node}/";

/// Every link in a value, wherever it is.
fn links(value: &Value, found: &mut Vec<String>) {
    if let Some(url) = value.get("url").and_then(Value::as_str) {
        found.push(url.to_owned());
    }
    let parts: Vec<&Value> = match value {
        Value::Array(parts) => parts.iter().collect(),
        Value::Object(parts) => parts.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for part in parts {
        links(part, found);
    }
}

#[test]
fn links_lead_to_dashboards_and_hand_on_variables_that_both_have() -> Result<()> {
    let all = dashboards()?;
    let uid = |dashboard: &Dashboard| text(&dashboard.json, "uid").to_owned();
    let variables = |dashboard: &Dashboard| -> BTreeSet<String> {
        let names = dashboard.variables().iter();
        names.map(|variable| text(variable, "name").to_owned()).collect()
    };
    let known: BTreeMap<String, BTreeSet<String>> = all.iter().map(|each| (uid(each), variables(each))).collect();
    assert_eq!(known.len(), all.len(), "two dashboards have one uid");
    for dashboard in &all {
        let mut found = Vec::new();
        links(&dashboard.json, &mut found);
        found.retain(|url| url != PAGE);
        let own = uid(dashboard);
        // It may lead to itself too, with other variables.
        let reached: BTreeSet<&str> = found
            .iter()
            .map(|url| url.trim_start_matches("/d/").split('?').next().unwrap_or_default())
            .filter(|reached| *reached != own)
            .collect();
        let others = known.keys().filter(|other| **other != own).map(String::as_str);
        assert_eq!(reached, others.collect(), "{}", dashboard.file);
        for url in &found {
            let (path, handed) = url.split_once('?').context("a link that hands on nothing")?;
            let target = &known[path.trim_start_matches("/d/")];
            for part in handed.split('&').filter(|part| *part != "${__url_time_range}") {
                let passed = part
                    .strip_prefix("${")
                    .and_then(|part| part.strip_suffix(":queryparam}"));
                let set = part.strip_prefix("var-").and_then(|part| Some(part.split_once('=')?.0));
                let name = passed.or(set).with_context(|| format!("{url} hands on {part}"))?;
                assert!(target.contains(name), "{}: {url} sets {name}", dashboard.file);
                assert!(
                    set.is_some() || variables(dashboard).contains(name),
                    "{}: {url}",
                    dashboard.file
                );
            }
        }
    }
    Ok(())
}

/// Where a dashboard gives a class of drops its colour: overrides by name, mappings of values, and the panel that has its name.
fn colours_of_classes<'a>(panel: &'a Value, found: &mut Vec<(Class, &'a str)>) {
    let classes = |word: &str| Class::ALL.into_iter().find(|class| class.as_str() == word);
    let defaults = &panel["fieldConfig"]["defaults"];
    let own = classes(text(panel, "title")).map(|class| (class, text(&defaults["color"], "fixedColor")));
    found.extend(own);
    for over in list(&panel["fieldConfig"], "overrides") {
        let class = classes(text(&over["matcher"], "options"));
        for property in list(over, "properties") {
            let fixed = text(&property["value"], "fixedColor");
            found.extend(class.filter(|_| !fixed.is_empty()).map(|class| (class, fixed)));
            let mappings = property["value"].as_array().into_iter().flatten();
            for (word, result) in mappings.filter_map(|mapping| mapping["options"].as_object()).flatten() {
                found.extend(classes(word).map(|class| (class, text(result, "color"))));
            }
        }
    }
}

#[test]
fn classes_of_drops_have_the_colours_of_the_page() -> Result<()> {
    let mut found = Vec::new();
    let all = dashboards()?;
    for dashboard in &all {
        for panel in dashboard.panels() {
            colours_of_classes(panel, &mut found);
        }
    }
    for (class, colour) in &found {
        assert_eq!(*colour, of_class(*class).on.dark, "{}", class.as_str());
    }
    for class in Class::ALL {
        let times = found.iter().filter(|(other, _)| *other == class).count();
        assert!(times >= 4, "{} has a colour {times} times", class.as_str());
    }
    Ok(())
}

#[test]
fn meanings_of_reasons_are_those_of_the_dictionary() -> Result<()> {
    let mut shown = BTreeMap::new();
    let all = dashboards()?;
    let panels = all.iter().flat_map(|dashboard| dashboard.panels());
    let overrides = panels.flat_map(|panel| list(&panel["fieldConfig"], "overrides"));
    for over in overrides.filter(|over| text(&over["matcher"], "options") == "Meaning") {
        for property in list(over, "properties") {
            for mapping in property["value"].as_array().into_iter().flatten() {
                let options = &mapping["options"];
                if text(mapping, "type") == "regex" {
                    let pattern = text(options, "pattern").trim_start_matches('^').trim_end_matches('$');
                    shown.insert(pattern.replace(".*", "*"), text(&options["result"], "text").to_owned());
                } else {
                    let values = options.as_object().context("a mapping without values")?;
                    shown.extend(
                        values
                            .iter()
                            .map(|(reason, result)| (reason.clone(), text(result, "text").to_owned())),
                    );
                }
            }
        }
    }
    let dictionary = dictionary::ENTRIES
        .iter()
        .map(|entry| (entry.reason.to_owned(), entry.meaning.to_owned()));
    assert_eq!(shown, dictionary.collect());
    Ok(())
}
