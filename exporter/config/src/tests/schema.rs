//! The schema against the parser: it accepts what that accepts, and refuses what that refuses and a schema can say.

use std::mem;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::{Config, OtlpSettings, SAMPLE, docs::schema::schema};

/// What only the parser sees, or sees in more cases, by its own sentences.
const BEYOND_A_SCHEMA: &[&str] = &[
    // A key twice: readers of YAML either refuse that, or take the last.
    "is given twice; keep one of the two",
    // Values that must differ from others elsewhere in the file.
    "is already the name of",
    "is already in ",
    "is what addresses outside all subnets are called",
    "device-name patterns are too many",
    // Bits of an address.
    "has address bits behind its prefix",
    "is an IPv4-mapped network",
    // What gRPC and the protocol keep for themselves, and what one key says of another.
    "gRPC has no path",
    "has a name that gRPC keeps",
    "is set by the protocol itself",
    "so there is no TLS",
    // What one entry says of another.
    "is another view's too",
    "is no view",
    "a list of labels has one of workloads",
    "is not above the bound before it",
    "the metric is named twice",
    // A schema counts characters, not bytes.
    "is longer than 256 bytes",
    // The range of a fraction, of a sum, or of what is finer than a millisecond.
    "59m61s\" is out of range",
    "1.5h\" is out of range",
    "5.5GiB\" is out of range",
    "3601.5s\" is out of range",
    "1us\" is out of range",
    // How a number is written: to a schema 0x50 is 80, and 1.0 is 1.
    "\"0x50\" is not a whole number",
];

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(schema().as_value()).unwrap());

/// The text as a validator sees it; `None` if it is no YAML, or more than one document.
fn value(yaml: &str) -> Option<Value> {
    let yaml = yaml.trim_start_matches('\u{feff}');
    if yaml.contains("<<") {
        // Readers of YAML 1.1 have merged by then.
        let mut value: serde_yaml::Value = serde_yaml::from_str(yaml).ok()?;
        value.apply_merge().ok()?;
        return serde_json::to_value(value).ok();
    }
    serde_yaml::from_str(yaml).ok()
}

/// For a text that the parser accepts.
pub(super) fn accepts(yaml: &str) {
    let value = value(yaml).expect(yaml);
    let errors: Vec<String> = VALIDATOR.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} for:\n{yaml}");
}

/// For a text that the parser refuses with this sentence.
pub(super) fn refuses(yaml: &str, sentence: &str) {
    let beyond = BEYOND_A_SCHEMA.iter().any(|part| sentence.contains(part));
    if let Some(value) = value(yaml) {
        assert!(beyond || !VALIDATOR.is_valid(&value), "{sentence} for:\n{yaml}");
    }
}

#[test]
fn the_schema_is_one() {
    jsonschema::draft7::meta::validate(schema().as_value()).unwrap();
}

/// Every key: its path, its schema, and the mapping that it is a key of.
fn keys(path: &str, mapping: &Value, all: &mut Vec<(String, Value)>) {
    for (name, property) in mapping["properties"].as_object().into_iter().flatten() {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        all.push((key.clone(), property.clone()));
        keys(&key, property, all);
        keys(&format!("{key}[]"), &property["items"], all);
        for form in property["anyOf"].as_array().into_iter().flatten() {
            keys(&key, form, all);
        }
    }
}

fn all_keys() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    keys("", schema().as_value(), &mut all);
    // A form of the fallback, and keys that may hold nothing.
    all.retain(|(key, property)| key != "subnets_fallback.auto" && property["type"] != "null");
    all
}

/// A file with nothing but this key and what it cannot be without.
fn file(key: &str, value: &Value) -> String {
    let wrap = |value, name: &str| Value::Object(Map::from_iter([(name.to_owned(), value)]));
    let mut file = key.rsplit('.').fold(value.clone(), wrap);
    let other = match key {
        "otlp.tls.cert_file" => "key_file",
        "otlp.tls.key_file" => "cert_file",
        "otlp.view" => {
            file["views"] = json!([{"name": "fleet"}]);
            return file.to_string();
        }
        _ => return file.to_string(),
    };
    file["otlp"]["tls"][other] = "other.pem".into();
    file.to_string()
}

/// What a file means where a variable says that gRPC pushes go somewhere.
fn meaning(yaml: &str) -> (Config, Option<OtlpSettings>) {
    let mut config = Config::from_yaml(yaml, "t.yaml").expect(yaml);
    let otlp = mem::take(&mut config.otlp);
    let variable = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("https://localhost".to_owned()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".to_owned()),
        _ => None,
    };
    let (settings, warnings) = otlp.settings(variable).expect(yaml);
    assert_eq!(warnings, [""; 0]);
    (config, settings)
}

#[test]
fn every_default_is_the_built_in_value() {
    let mut checked = 0;
    for (key, property) in all_keys() {
        if let Some(default) = property.get("default") {
            let without = match key.as_str() {
                // Where the prefix lengths have their defaults, the fallback itself has not.
                "subnets_fallback.auto.ipv4" | "subnets_fallback.auto.ipv6" => "subnets_fallback: {auto: {}}",
                // By no variable.
                "otlp.protocol" => {
                    let grpc = Config::from_yaml("otlp: {endpoint: \"http://localhost\"}", "t.yaml").unwrap();
                    let (settings, _) = grpc.otlp.settings(|_| None).unwrap();
                    assert_eq!(settings.unwrap().protocol.as_str(), default);
                    continue;
                }
                _ => "",
            };
            assert_eq!(meaning(&file(&key, default)), meaning(without), "{key}: {default}");
            checked += 1;
        } else {
            let is_section = property["type"] == json!(["object", "null"]) && property["properties"].is_object();
            let has_none = property["description"]
                .as_str()
                .is_some_and(|text| text.contains("Default: "));
            assert!(is_section || key.contains("[]") || has_none, "{key} has no default");
        }
    }
    assert_eq!(checked, 42);
}

#[test]
fn every_key_is_described_and_its_example_is_allowed_and_no_default() {
    for (key, property) in all_keys() {
        assert!(
            property["description"].as_str().is_some_and(|text| text.len() > 10),
            "{key}"
        );
        let example = &property["examples"][0];
        assert_ne!(example, &Value::Null, "{key} has no example");
        let validator = jsonschema::validator_for(&property).unwrap();
        assert!(validator.is_valid(example), "{key}: {example}");
        if !key.contains("[]") {
            assert_ne!(meaning(&file(&key, example)), meaning(""), "{key}: {example}");
        }
    }
}

#[test]
fn the_sample_and_its_examples_are_valid() {
    accepts(SAMPLE);
    SAMPLE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("# example: "))
        .for_each(accepts);
}

/// Values that some key takes, or nearly.
fn scalar() -> impl Strategy<Value = Value> {
    let words = [
        "",
        " ",
        "a",
        "other",
        "auto",
        "internet",
        "cgnat",
        "full",
        "off",
        "wired",
        "benign",
        "subnet",
        "role",
        "location",
        "*",
        "a*",
        "*a",
        "a?",
        "a/b",
        "sixteen-letters!",
        "a b",
        "é",
        "a\u{1}",
        "1s",
        "1h",
        "3601s",
        "60m",
        "61m",
        "1m30s",
        "0.5s",
        "3601.5s",
        "1us",
        "1 m",
        "0s",
        "007ms",
        "16KiB",
        "15KiB",
        "17kB",
        "4GiB",
        "5GiB",
        "4GB",
        "32Mi",
        "32M",
        "1.5G",
        "5.5GiB",
        "64k",
        "0080",
        "65535",
        "65536",
        "-1",
        "10.0.0.0/8",
        "10.0.0.0/33",
        "010.0.0.0/08",
        "10.0.0.0/a",
        "fd00::/32",
        "::/0",
        "fd00::/129",
        "10.0.0/8",
        "TCP_*",
        "a{b}",
        "grpc",
        "gzip",
        "none",
        "ca.pem",
        "http://localhost",
        "https://localhost:4317/x?y",
        "http://",
        "ftp://localhost",
        "http://localhost@localhost",
    ];
    let numbers = [
        json!(0),
        json!(1),
        json!(32),
        json!(33),
        json!(100),
        json!(129),
        json!(16_384),
        json!(16_383),
        json!(70_000),
        json!(-1),
        json!(1.5),
        json!(4_294_967_296_u64),
        json!(4_294_967_297_u64),
    ];
    prop_oneof![
        6 => select(words.to_vec()).prop_map(Value::from),
        2 => select(numbers.to_vec()),
        1 => any::<bool>().prop_map(Value::from),
    ]
}

/// A value of any shape, with the keys of ours.
fn any_value() -> impl Strategy<Value = Value> {
    let names = [
        "name",
        "cidrs",
        "ports",
        "type",
        "interfaces",
        "detail",
        "enabled",
        "ignore",
        "classes",
        "class",
        "reason",
        "location",
        "auto",
        "ipv4",
        "ipv6",
        "tcp",
        "drops",
        "memory",
        "series",
        "connections_per_peer",
        "max_age",
    ];
    scalar().prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((select(names.to_vec()), inner), 0..3).prop_map(|pairs| Value::Object(
                pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

/// A file in which each key mostly has a value of the right shape.
fn file_value() -> impl Strategy<Value = Value> {
    let list = || prop_oneof![9 => vec(scalar(), 0..3).prop_map(Value::from), 1 => any_value()];
    let one = || prop_oneof![12 => scalar(), 1 => any_value(), 1 => Just(Value::Null)];
    let entry = |a: &'static str, first: BoxedStrategy<Value>, b: &'static str, second: BoxedStrategy<Value>| {
        let entry = (first, second).prop_map(move |(first, second)| json!({a: first, b: second}));
        vec(prop_oneof![9 => entry, 1 => any_value()], 0..3)
            .prop_map(Value::from)
            .boxed()
    };
    let text = || scalar().boxed();
    let rule = || {
        vec(
            (one(), one(), any::<bool>()).prop_map(|(reason, location, both)| match both {
                true => json!({"reason": reason, "location": location}),
                false => json!({"reason": reason}),
            }),
            0..3,
        )
        .prop_map(Value::from)
    };
    let sections = [
        ("subnets", entry("name", text(), "cidrs", list().boxed())),
        (
            "subnets_fallback",
            prop_oneof![
                scalar(),
                (one(), one()).prop_map(|(a, b)| json!({"auto": {"ipv4": a, "ipv6": b}})),
                any_value()
            ]
            .boxed(),
        ),
        ("app_protocols", entry("name", text(), "ports", list().boxed())),
        ("connection_types", entry("type", text(), "interfaces", list().boxed())),
        ("tcp", one().prop_map(|value| json!({"detail": value})).boxed()),
        (
            "drops",
            (one(), rule())
                .prop_map(|(enabled, ignore)| json!({"enabled": enabled, "ignore": ignore}))
                .boxed(),
        ),
        (
            "labels",
            (list(), list())
                .prop_map(|(tcp, drops)| json!({"tcp": tcp, "drops": drops}))
                .boxed(),
        ),
        (
            "limits",
            (one(), one(), one())
                .prop_map(
                    |(memory, series, peer)| json!({"memory": memory, "series": series, "connections_per_peer": peer}),
                )
                .boxed(),
        ),
        ("collect", one().prop_map(|value| json!({"max_age": value})).boxed()),
        (
            "otlp",
            (one(), one(), one(), one(), any_value())
                .prop_map(|(endpoint, word, time, file, headers)| {
                    json!({
                        "endpoint": endpoint, "protocol": word, "compression": word, "interval": time,
                        "headers": headers, "tls": {"ca_file": file},
                    })
                })
                .boxed(),
        ),
    ];
    let section = (0..sections.len()).prop_flat_map(move |at| {
        let (name, values) = sections[at].clone();
        values.prop_map(move |value| (name.to_owned(), value))
    });
    vec(section, 0..3).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn schema_and_parser_agree_about_any_file(value in file_value()) {
        let yaml = value.to_string();
        match Config::from_yaml(&yaml, "t.yaml") {
            Ok(_) => accepts(&yaml),
            Err(error) => refuses(&yaml, &error.to_string()),
        }
    }

    #[test]
    fn schema_and_parser_agree_about_any_quantity(
        number in prop_oneof![0u64..200, any::<u64>()], shift in 0u32..64, unit in select(&["", "B", "KiB", "MB", "GiB", "s", "ms", "h", "x"][..])
    ) {
        for key in ["limits: {memory", "limits: {series", "limits: {connections_per_peer", "limits: {subnets", "collect: {max_age"] {
            let yaml = format!("{key}: \"{}{unit}\"}}", number >> shift);
            match Config::from_yaml(&yaml, "t.yaml") {
                Ok(_) => accepts(&yaml),
                Err(error) => refuses(&yaml, &error.to_string()),
            }
        }
    }
}
