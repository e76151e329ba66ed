//! The reference page of the configuration: every key with type, default, what it may hold and an example, then a full file.
//! It must never say what the schema does not say.
//! From the schema and the sample; to `docs/configuration.md`.

use serde_json::Value;

use super::schema::schema;
use crate::SAMPLE;

/// `docs/configuration.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Look up a key of the configuration file here, with its default, its allowed values and an example; [a full file](#a-full-file) is \
         at the end. Made from the mappings of `exporter/config/src/raw.rs` by `make docs`; do not edit.\n\n\
         The configuration is a YAML file, which `--config.file` names. Every key is optional: a key that is absent or has no value \
         keeps its default. `tcpvitals check-config FILE` names file, line, fault and remedy. With an invalid file the exporter \
         does not start, and a reload keeps the old configuration.\n\n\
         [config.schema.json](config.schema.json) is the same as a JSON Schema. Editors that know the YAML language server \
         complete and check keys when it lies beside the file and the file has this line:\n\n\
         ```yaml\n# yaml-language-server: $schema=config.schema.json\n```\n\n\
         `tcpvitals docs schema` prints the schema of the version that you run. `check-config` also checks three rules that a schema \
         cannot express: each name, network and port occurs once; a network has no address bits after its prefix; all lists \
         together have a limited number of device patterns.\n\n\
         ## Keys\n\n\
         `[]` is an entry of a list. A key of an entry without a default is required unless it says otherwise.\n\n\
         | key | type | default | allowed | meaning | example |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    rows(&mut page, "", schema().as_value());
    page += "\n## Switches\n\nWhat each capability costs while it is on. While it is off, it has no program and (from Linux 6.2 on) no map in the kernel, no \
             thread and no series, and it costs the programs of the others nothing; `/readyz` and `tcpvitals doctor --verbose` list what \
             is off, and why. A change needs a restart, except for `findings` and `otlp`.\n\n\
             | off by | by default | costs |\n| --- | --- | --- |\n";
    for (off, default, costs) in SWITCHES {
        page += &format!("| `{off}` | {default} | {costs} |\n");
    }
    page += "\n## A full file\n\nEvery key with its default: it means the same as no file.\n\n```yaml\n";
    page += SAMPLE;
    page += "```\n";
    page
}

/// How each capability is switched off, whether it is on by itself, and what it costs then.
const SWITCHES: [(&str, &str, &str); 9] = [
    (
        "tcp: {detail: off}",
        "on",
        "programs on opens, closes, retransmissions and resets, with `full` one on each received segment too; state in each socket",
    ),
    (
        "tcp: {memory: false}",
        "off",
        "a thread that reads files of `/proc/net` when a collection asks",
    ),
    (
        "drops: {enabled: false}",
        "on",
        "programs on the hooks of drops, one of which runs for each dropped packet, and 4 maps, a part of `limits.memory`; without it `local_loss` is off too",
    ),
    (
        "local_loss: {enabled: false}",
        "on",
        "5 maps of 2.0 MiB; a look at each dropped segment and each retransmission, and none at others",
    ),
    (
        "listeners: {enabled: false}",
        "on",
        "3 programs and 4 maps of 0.2 MiB, a state for each listening socket, and a walk through them at each collection; nothing for each \
         segment",
    ),
    (
        "devices: {enabled: false}",
        "off",
        "a thread that asks the devices over netlink when a collection asks",
    ),
    (
        "workloads: {enabled: false}",
        "off, as there is no source",
        "3 programs, on the creation and removal of cgroups, and 4 maps of 2.1 MiB, a lookup for each connection and each drop, a thread; \
         with Kubernetes a watch of the node's pods",
    ),
    (
        "findings: {enabled: false}",
        "on",
        "the counts of the last five minutes (at most 4 MiB), compared at each collection; nothing in the kernel",
    ),
    (
        "otlp: {enabled: false}",
        "off, as there is no endpoint",
        "a collection and a request at each `otlp.interval`",
    ),
];

/// A row for each key of a mapping, and for those of the mappings in it.
fn rows(page: &mut String, path: &str, mapping: &Value) {
    let required = mapping["required"].as_array();
    for (name, property) in mapping["properties"].as_object().into_iter().flatten() {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let is_required = required.is_some_and(|all| all.contains(&Value::from(name.as_str())));
        row(page, &key, property, is_required);
        rows(page, &key, property);
        rows(page, &format!("{key}[]"), &property["items"]);
        for form in forms(property) {
            rows(page, &key, form);
        }
    }
}

fn row(page: &mut String, key: &str, property: &Value, is_required: bool) {
    let default = match property.get("default") {
        Some(default) => short(default),
        None if is_required => "required".to_owned(),
        None => String::new(),
    };
    let cells = [
        format!("`{key}`"),
        kind(property),
        default,
        allowed(property),
        text(&property["description"]).to_owned(),
        property["examples"].get(0).map(short).unwrap_or_default(),
    ];
    *page += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
}

/// What a value is, in a word or two.
fn kind(property: &Value) -> String {
    let forms: Vec<String> = forms(property).map(kind).filter(|kind| !kind.is_empty()).collect();
    if !forms.is_empty() {
        return forms.join(" or ");
    }
    match types(property).first() {
        Some(&"array") => format!("list of {}s", kind(&property["items"])),
        Some(&"object") => "mapping".to_owned(),
        Some(&"boolean") => "true or false".to_owned(),
        Some(&"null") | None => String::new(),
        _ if property["enum"].is_array() => "word".to_owned(),
        _ if property["title"].is_string() => text(&property["title"]).to_owned(),
        Some(_) => "text".to_owned(),
    }
}

/// What it may hold: the words of a set, or what the pattern means.
fn allowed(property: &Value) -> String {
    let words = property["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let words: Vec<&str> = words.collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    match property.get("items") {
        Some(items) => allowed(items),
        None => text(&property["patternErrorMessage"]).to_owned(),
    }
}

/// The schemas of which one has to fit.
fn forms(property: &Value) -> impl Iterator<Item = &Value> {
    property["anyOf"].as_array().into_iter().flatten()
}

fn types(property: &Value) -> Vec<&str> {
    let several = property["type"].as_array().into_iter().flatten();
    several.chain([&property["type"]]).filter_map(Value::as_str).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A value as YAML in one line; where that is too long, where it stands.
fn short(value: &Value) -> String {
    const LONGEST: usize = 100;
    let yaml = flow(value);
    if yaml.len() > LONGEST {
        "see the file below".to_owned()
    } else {
        format!("`{yaml}`")
    }
}

/// YAML in the flow style, with quotes only where they are needed.
fn flow(value: &Value) -> String {
    if let Value::Array(items) = value {
        return format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "));
    }
    if let Value::Object(pairs) = value {
        let pairs = pairs.iter().map(|(key, value)| format!("{key}: {}", flow(value)));
        return format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "));
    }
    match value.as_str() {
        Some(text) if is_plain(text) => text.to_owned(),
        _ => value.to_string(),
    }
}

/// Whether YAML takes it for text as it stands.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./*".contains(&byte);
    let read = serde_yaml::from_str::<Value>(text);
    text.bytes().all(plain) && read.is_ok_and(|read| read == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_short_yaml() {
        for (value, yaml) in [
            (
                json!({"a": ["b", "*c", "d*", "::1", "1", "true", ""], "n": 5}),
                r#"{a: [b, "*c", d*, "::1", "1", "true", ""], n: 5}"#,
            ),
            (json!([]), "[]"),
            (json!(true), "true"),
        ] {
            assert_eq!(flow(&value), yaml);
            assert_eq!(serde_yaml::from_str::<Value>(yaml).unwrap(), value);
        }
    }
}
