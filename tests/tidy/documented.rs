//! What an operator meets is documented: every metric, every key of the configuration.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tcpvitals_config::SAMPLE;
use tcpvitals_metrics::families::METRICS;

use crate::tree::{files, has_word};

/// What is wrong with the help of a metric: it is one sentence, to which the encoder adds the full stop.
fn against_help(help: &str) -> Option<&'static str> {
    if !help.contains(' ') {
        Some("says nothing")
    } else if !help.starts_with(|first: char| first.is_ascii_uppercase()) && !help.starts_with("1 ") {
        Some("does not begin like a sentence")
    } else if help.ends_with('.') {
        Some("ends with a full stop")
    } else if help.contains(['\n', '|']) {
        Some("breaks the line or the table of the reference page")
    } else {
        None
    }
}

#[test]
fn every_metric_has_help() {
    for metric in METRICS {
        assert_eq!(
            against_help(metric.help),
            None,
            "{}: {}",
            metric.full_name(),
            metric.help
        );
        assert!(
            !metric.from.is_empty(),
            "{} does not say where it comes from",
            metric.full_name()
        );
    }
    for bad in [
        "",
        "Connections",
        "live connections",
        "Live connections.",
        "Live | dead connections",
    ] {
        assert!(against_help(bad).is_some(), "{bad}");
    }
}

/// Keys of the structures that mirror the configuration file, by the source text that declares them.
fn keys(raw: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut renamed = None;
    for line in raw.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        }
        let field = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let Some((name, kind)) = field.split_once(": ") else {
            continue;
        };
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let is_field = kind.ends_with(',') && !kind.contains(['(', '=']);
        if is_name && is_field {
            keys.insert(renamed.take().unwrap_or_else(|| name.to_owned()));
        }
    }
    keys
}

/// Whether a sample shows a key, or says in words that it is not to be had.
fn shows_key(sample: &str, key: &str) -> bool {
    let is_key = |(at, found): (usize, &str)| {
        let before = sample[..at].chars().next_back();
        sample[at + found.len()..].starts_with(':') && before.is_none_or(|before| " {\n".contains(before))
    };
    sample.match_indices(key).any(is_key) || has_word(&sample.replace(&format!("the key {key}"), "THE_KEY"), "THE_KEY")
}

#[test]
fn every_key_of_the_configuration_is_in_the_sample() -> Result<()> {
    let of_raw = |path: &str| path.starts_with("exporter/config/src/raw");
    let raw = files()?.into_iter().filter(|file| of_raw(&file.path));
    let keys: BTreeSet<String> = raw.flat_map(|file| keys(&file.text)).collect();
    for known in ["subnets", "cidrs", "type", "max_age", "auto", "otlp"] {
        assert!(keys.contains(known), "{known} is no key of {keys:?}");
    }
    for key in keys {
        assert!(shows_key(SAMPLE, &key), "sample.yaml does not show the key {key}");
    }
    Ok(())
}

#[test]
fn every_key_of_the_web_configuration_is_on_its_page() -> Result<()> {
    let all = files()?;
    let text =
        |path: &str| Ok::<_, anyhow::Error>(&all.iter().find(|file| file.path == path).context(path.to_owned())?.text);
    let keys = keys(text("exporter/src/serve/web/config/raw.rs")?);
    for known in ["tls_server_config", "key", "client_allowed_sans", "http2", "burst"] {
        assert!(keys.contains(known), "{known} is no key of {keys:?}");
    }
    let page = text("docs/web-config.md")?;
    for key in keys {
        assert!(
            page.contains(&format!("`{key}`")),
            "docs/web-config.md does not explain the key {key}"
        );
    }
    Ok(())
}

#[test]
fn a_key_that_the_sample_does_not_show_is_found() {
    let raw = "struct A {\n    /// B: c.\n    pub(crate) memory: Option<String>,\n    #[serde(rename = \"type\")]\n    pub(crate) kind: String,\n}\nfn f(a: u8) {}\n";
    assert_eq!(keys(raw), ["memory".to_owned(), "type".to_owned()].into());
    assert!(shows_key("limits:\n  memory: 1\n", "memory") && shows_key("# {memory: 1}\n", "memory"));
    assert!(!shows_key(
        "# The memory of it.\nlimits: {kernel_memory: 1}\n",
        "memory"
    ));
    assert!(shows_key("# the key memory is refused\n", "memory"));
}
