//! Packet filters as a source of loss, and their own count of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::net::namespace::Namespace;

/// What a named counter of a ruleset says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets that passed it.
    pub packets: u64,
    /// Their bytes, from the network header on.
    pub bytes: u64,
}

/// Loads a ruleset in the syntax of nft(8).
pub fn load(namespace: &Namespace, ruleset: &str) -> Result<()> {
    namespace
        .feed("nft -f -", ruleset)
        .with_context(|| format!("load the ruleset\n{ruleset}"))?;
    Ok(())
}

/// Removes every rule.
pub fn flush(namespace: &Namespace) -> Result<()> {
    load(namespace, "flush ruleset\n")
}

/// Drops what matches `condition` in `hook` (`input`, `output`, `prerouting`, …), counted by the counter `dropped`.
pub fn drop_matching(namespace: &Namespace, hook: &str, condition: &str) -> Result<()> {
    load(
        namespace,
        &format!(
            "table inet loss {{\n\
             \x20 counter dropped {{ }}\n\
             \x20 chain lossy {{\n\
             \x20   type filter hook {hook} priority 0; policy accept;\n\
             \x20   {condition} counter name dropped drop\n\
             \x20 }}\n\
             }}\n"
        ),
    )
}

/// The named counters of all tables.
pub fn counters(namespace: &Namespace) -> Result<BTreeMap<String, Count>> {
    let text = namespace.exec("nft -j list counters")?;
    let listing: Value = serde_json::from_str(&text).context("parse what nft lists")?;
    let objects = listing
        .get("nftables")
        .and_then(Value::as_array)
        .context("a listing without objects")?;
    objects
        .iter()
        .filter_map(|object| object.get("counter"))
        .map(counter)
        .collect()
}

/// The count of [`drop_matching`].
pub fn dropped(namespace: &Namespace) -> Result<Count> {
    counters(namespace)?
        .get("dropped")
        .copied()
        .context("no counter named `dropped`")
}

fn counter(object: &Value) -> Result<(String, Count)> {
    let number = |key: &str| {
        object
            .get(key)
            .and_then(Value::as_u64)
            .with_context(|| format!("a counter without {key}"))
    };
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .context("a counter without a name")?;
    let count = Count {
        packets: number("packets")?,
        bytes: number("bytes")?,
    };
    Ok((name.to_owned(), count))
}
