//! One line of a text format: names, label values, numbers.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::Series;

/// `name{label="value",…} number`, without time stamp and exemplar.
pub(super) fn read_sample(line: &str) -> Result<(Series, f64)> {
    let end = line.find(['{', ' ']).context("a name without a value")?;
    let (name, mut rest) = line.split_at(end);
    ensure!(is_name(name, true), "{name} is no name of a metric");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").context("a label without a value")?;
            ensure!(is_name(label, false), "{label} is no name of a label");
            let end = closing_quote(after).context("a label value without its end")?;
            let value = unescape(&after[..end], true)?;
            ensure!(
                labels.insert(label.to_owned(), value).is_none(),
                "the label {label} twice"
            );
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(next) => {
                    ensure!(!next.starts_with('}'), "a comma after the last label");
                    rest = next;
                }
                None => ensure!(rest.starts_with('}'), "no comma between labels"),
            }
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').context("no blank before the value")?;
    let series = Series {
        name: name.to_owned(),
        labels,
    };
    Ok((series, number(value)?))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// Backslashes stand before another one, before `n` and, in label values and OpenMetrics, before a quote.
pub(super) fn unescape(text: &str, quotes: bool) -> Result<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quotes => '"',
                other => bail!("a backslash before {other:?}"),
            },
            '\n' => bail!("a bare line end"),
            other => other,
        });
    }
    Ok(plain)
}

pub(super) fn number(text: &str) -> Result<f64> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ => {
            ensure!(
                text.bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')),
                "{text} is no number"
            );
            text.parse().with_context(|| format!("{text} is no number"))
        }
    }
}

pub(super) fn is_name(text: &str, colon: bool) -> bool {
    let fits = |byte: u8, first: bool| {
        byte.is_ascii_alphabetic() || byte == b'_' || (colon && byte == b':') || (!first && byte.is_ascii_digit())
    };
    !text.is_empty() && text.bytes().enumerate().all(|(at, byte)| fits(byte, at == 0))
}
