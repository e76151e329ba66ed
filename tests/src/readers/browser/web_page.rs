//! The exporter's page at `/`, read as text: the counts that its rows carry, by their tables.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Rows of one table by their keys; the one of all together has the key "", the remainder is [`REST`].
pub type Rows = BTreeMap<String, Value>;

/// Key of the row of those that are not shown.
pub const REST: &str = "(rest)";

/// The rows of the table with this name: `subnets` or `drops`.
pub fn rows(html: &str, table: &str) -> Result<Rows> {
    let begin = format!("id=\"{table}-table\"");
    let (_, rest) = html.split_once(&begin).with_context(|| format!("no table {table}"))?;
    let (text, _) = rest.split_once("</table>").context("a table without an end")?;
    let mut rows = Rows::new();
    for tag in text.split("<tr").skip(1).filter_map(|row| row.split('>').next()) {
        let Some(counts) = attribute(tag, "data-counts") else {
            continue;
        };
        let key = match attribute(tag, "data-key") {
            Some(key) => key,
            None if tag.contains("data-rest") => REST.to_owned(),
            None => String::new(),
        };
        let counts = serde_json::from_str(&counts).with_context(|| format!("the counts of {key}"))?;
        rows.insert(key, counts);
    }
    Ok(rows)
}

/// The key of a drop site's row.
pub fn site(source: &str, location: &str, reason: &str, class: &str) -> String {
    Value::from(vec![source, location, reason, class]).to_string()
}

/// The value of an attribute within a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(unescape(value))
}

/// The characters that HTML escapes.
pub fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}
