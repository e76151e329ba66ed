//! What the exporter says of a case: the list that `explain` gives, and since when each of its entries was there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::exporter::{Exporter, PROMETHEUS_TEXT, run};
use tests::machine::wait::moment;

use crate::blind::stage::Stage;

/// How often the list is read meanwhile, as by an open page.
const PAGE: Duration = Duration::from_secs(5);

/// Metrics are scraped each time that the list has been read so often.
const SCRAPE: u32 = 3;

/// A finding's name, whose it is, and its subnet.
type Key = (String, String, String);

/// When findings were seen for the first time, in seconds after the incident began, and how often.
pub(super) type Seen = BTreeMap<Key, (i64, u32)>;

/// An answer.
#[derive(Debug)]
pub(super) struct Said {
    answer: Value,
    code: Option<i32>,
    seen: Seen,
}

fn word(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn findings(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("findings").and_then(Value::as_array).into_iter().flatten()
}

fn key(finding: &Value) -> Key {
    (
        word(finding, "finding"),
        word(finding, "whose"),
        word(finding, "subnet"),
    )
}

/// Reads the list and the metrics until the stage is over.
pub(super) fn watch(exporter: &Exporter<'_>, stage: &Stage) -> Result<Seen> {
    let mut moments: Vec<(Instant, Key)> = Vec::new();
    let mut number = 0;
    while !stage.is_over() {
        if number % SCRAPE == 0 {
            let page = exporter.get("/metrics", PROMETHEUS_TEXT)?;
            ensure!(page.status == 200, "the scrape is answered {}", page.status);
        }
        number += 1;
        let page = exporter.get("/api/v1/findings", "application/json")?;
        ensure!(page.status == 200, "findings are answered {page:?}");
        let answer: Value = serde_json::from_str(&page.body).context("read findings")?;
        moments.extend(findings(&answer).map(|finding| (moment(), key(finding))));
        stage.pause(PAGE);
    }
    let fault = stage.fault();
    let mut seen = Seen::new();
    for (at, key) in moments {
        let after = match at.checked_duration_since(fault) {
            Some(after) => i64::try_from(after.as_secs())?,
            None => -i64::try_from((fault - at).as_secs())?,
        };
        seen.entry(key).or_insert((after, 0)).1 += 1;
    }
    Ok(seen)
}

impl Said {
    /// Asks as an operator does.
    pub(super) fn ask(exporter: &Exporter<'_>) -> Result<Self> {
        let url = format!("http://{}", exporter.address());
        let said = run(&["explain", "--from", &url, "--output", "json"])?;
        let answer: Value = serde_json::from_str(&said.stdout).with_context(|| format!("explain says {said:?}"))?;
        ensure!(word(&answer, "state") == "judged", "explain says {answer}");
        Ok(Self {
            answer,
            code: said.code,
            seen: Seen::new(),
        })
    }

    /// And what was seen before.
    pub(super) fn with(self, seen: Seen) -> Self {
        Self { seen, ..self }
    }

    /// In one line.
    pub(super) fn summary(&self) -> String {
        let keys = findings(&self.answer).map(key);
        let words: Vec<String> = keys
            .map(|(name, whose, subnet)| format!("{} {subnet} {name}", whose.to_uppercase()))
            .collect();
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            words.join(", ")
        }
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!(
            "  said at the end (exit code {:?}, window {} s): {} findings",
            self.code,
            self.answer.get("window_seconds").unwrap_or(&Value::Null),
            findings(&self.answer).count()
        )];
        for finding in findings(&self.answer) {
            let (name, whose, subnet) = key(finding);
            lines.push(format!(
                "    {} {subnet} [{name}, severity {}, services {}]: {}",
                whose.to_uppercase(),
                finding.get("severity").unwrap_or(&Value::Null),
                finding.get("services").unwrap_or(&Value::Null),
                word(finding, "says"),
            ));
            lines.push(format!("      next: {}", word(finding, "next")));
        }
        lines.push("  seen meanwhile:".to_owned());
        for ((name, whose, subnet), (first, times)) in &self.seen {
            lines.push(format!(
                "    {} {subnet} [{name}]: first {first} s after the incident began, {times} times",
                whose.to_uppercase()
            ));
        }
        let blind = self.answer.get("blind").unwrap_or(&Value::Null);
        lines.push(format!("  blind: {blind}"));
        lines.push(format!("  raw: {}", self.answer));
        lines.join("\n")
    }
}
