//! The table of values in the chart's README, made of the comments in `values.yaml`.

use std::fs::read_to_string;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{chart, require_file};

const BEGIN: &str = "<!-- values: made by `make chart` -->\n";
const END: &str = "<!-- end of values -->\n";

/// A documented key: its path and what its comment says.
type Row = (Vec<String>, String);

/// The comments that begin with two dashes, each with the key below it, and the paths of keys that have none.
fn read(text: &str) -> Result<(Vec<Row>, Vec<Vec<String>>)> {
    let (mut rows, mut silent): (Vec<Row>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    let mut path: Vec<String> = Vec::new();
    let mut comment: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(begin) = trimmed.strip_prefix("# -- ") {
            comment = Some(begin.to_owned());
        } else if let Some(more) = trimmed.strip_prefix("# ") {
            comment = comment.map(|comment| format!("{comment} {more}"));
        } else if let Some((key, _)) = trimmed.split_once(':').filter(|_| !trimmed.starts_with('-')) {
            path.truncate((line.len() - trimmed.len()) / 2);
            path.push(key.to_owned());
            match comment.take() {
                Some(comment) => rows.push((path.clone(), comment)),
                None => silent.push(path.clone()),
            }
        }
    }
    ensure!(comment.is_none(), "a comment without a key: {comment:?}");
    Ok((rows, silent))
}

/// The rows of the table.
fn table(text: &str) -> Result<String> {
    let values: Value = serde_yaml::from_str(text)?;
    let (rows, silent) = read(text)?;
    for path in silent {
        let is_within = rows.iter().any(|(documented, _)| path.starts_with(documented));
        let is_above = rows.iter().any(|(documented, _)| documented.starts_with(&path));
        ensure!(
            is_within || is_above,
            "values.yaml says nothing about {}",
            path.join(".")
        );
    }
    let mut table = String::from("| value | default | what it is |\n| --- | --- | --- |\n");
    for (path, comment) in rows {
        let default = path.iter().fold(&values, |value, key| &value[key]);
        ensure!(!comment.contains('|'), "a bar would break the table: {comment}");
        table += &format!("| `{}` | `{default}` | {comment} |\n", path.join("."));
    }
    Ok(table)
}

#[test]
fn the_readme_lists_every_value() -> Result<()> {
    let path = chart().join("README.md");
    let readme = read_to_string(&path)?;
    let (before, rest) = readme
        .split_once(BEGIN)
        .context("README.md has no place for the values")?;
    let (_, after) = rest.split_once(END).context("README.md does not end its values")?;
    let table = table(&read_to_string(chart().join("values.yaml"))?)?;
    require_file(&path, &format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[test]
fn comments_become_rows() -> Result<()> {
    let text = "# Not of the table.\n\na:\n  # -- One\n  # two\n  b: [1]\n# -- Three\nc:\n  d: x\n";
    let lines = table(text)?;
    let lines: Vec<&str> = lines.lines().skip(2).collect();
    assert_eq!(
        lines,
        ["| `a.b` | `[1]` | One two |", "| `c` | `{\"d\":\"x\"}` | Three |"]
    );
    assert!(table("a: 1\n").is_err() && table("# -- A\n").is_err());
    Ok(())
}
