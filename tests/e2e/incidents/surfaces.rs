//! What each surface says is wrong: the API, the metric, the page in a browser, `explain` and `top`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::write;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use tcpvitals_metrics::findings::rules::{RULES, Rule};
use tempfile::TempDir;
use tests::exporter::{Exporter, binary, config_file, run};
use tests::readers::browser::{Browser, View};
use tests::readers::tmux::Terminal;

/// Findings and their subnets.
pub(super) type Findings = BTreeSet<(String, String)>;

/// Subnets that tests have, and those of this host itself. What others on this machine do to other addresses is not judged here.
fn is_ours(subnet: &str) -> bool {
    subnet.is_empty() || subnet == "loopback" || subnet.starts_with("net-")
}

/// The API's answer, which its description allows.
pub(super) fn report(exporter: &Exporter<'_>) -> Result<Value> {
    let page = exporter.get("/api/v1/findings", "application/json")?;
    let report = serde_json::from_str(&page.body)?;
    tests::readers::openapi::require(&report, "Findings")?;
    Ok(report)
}

/// Whether there was enough to judge.
pub(super) fn judged(report: &Value) -> bool {
    report["state"] == "judged"
}

/// What the API found, and the metric counts the same; before there is a judgement the metric has no series.
pub(super) fn of_api(exporter: &Exporter<'_>, report: &Value) -> Result<Findings> {
    let findings = report["findings"].as_array().context("no findings")?;
    if !judged(report) {
        ensure!(findings.is_empty(), "{report:#}");
        return Ok(Findings::new());
    }
    let mut counts = BTreeMap::new();
    for finding in findings {
        let name = finding["finding"].as_str().context("a finding without a name")?;
        *counts.entry(name.to_owned()).or_insert(0.0) += 1.0;
    }
    // A collection may have come between.
    let again = exporter.scrape()?;
    let mut of_metric = again.by("tcpvitals_findings", "finding", &[])?;
    of_metric.retain(|_, count| *count > 0.0);
    let later = self::report(exporter)?;
    if later["at_seconds"] == report["at_seconds"] {
        ensure!(
            of_metric == counts,
            "the metric counts {of_metric:?}, the API {counts:?}"
        );
    }
    let found = findings.iter().map(|finding| {
        let of = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        (of("finding"), of("subnet"))
    });
    Ok(found.filter(|(_, subnet)| is_ours(subnet)).collect())
}

/// What the page shows to a person.
fn of_page(exporter: &Exporter<'_>) -> Result<Findings> {
    let mut browser = Browser::start(View::WIDE)?;
    browser.open(&format!("http://{}/", exporter.address()))?;
    let shown = browser.evaluate(
        "[...document.querySelectorAll('#findings .finding')].map((one) => \
         [one.dataset.key, one.querySelector('summary').checkVisibility(), one.querySelector('summary').innerText])",
    )?;
    let mut found = Findings::new();
    for one in shown.as_array().context("no list")? {
        let key = one[0].as_str().context("a finding without a key")?;
        let (finding, subnet) = key.split_once(' ').context("a key without a subnet")?;
        let text = one[2].as_str().unwrap_or_default();
        let rule = RULES.iter().find(|rule| rule.name == finding).context("no such rule")?;
        ensure!(one[1] == true && is_said(rule, text), "{key} shows {text:?}");
        found.insert((finding.to_owned(), subnet.to_owned()));
    }
    // Findings of live connections open to the worst of them.
    if found.iter().any(|(finding, _)| finding == "own_queue") {
        let one = "document.querySelector('#findings .finding[data-key^=own_queue]')";
        browser.evaluate(&format!("document.getElementById('pause').click(); {one}.open = true"))?;
        browser.until(
            "the flows of a finding",
            &format!("{one}.querySelector('[data-flows] li')?.textContent.includes('dropped here')"),
        )?;
    }
    ensure!(browser.complaints()?.is_empty(), "{:?}", browser.complaints()?);
    found.retain(|(_, subnet)| is_ours(subnet));
    Ok(found)
}

/// What lines of a terminal say: whose, subnet and the sentence in each.
fn of_lines(text: &str) -> Result<Findings> {
    let mut found = Findings::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip_while(|word| word.parse::<u32>().is_ok());
        let (Some(whose), Some(subnet)) = (words.next(), words.next()) else {
            continue;
        };
        if !RULES.iter().any(|rule| rule.whose.as_str().to_uppercase() == whose) {
            continue;
        }
        let of_them = RULES.iter().filter(|rule| rule.whose.as_str().to_uppercase() == whose);
        let said = of_them.filter(|rule| is_said(rule, line));
        let rule = said.max_by_key(|rule| rule.says.len());
        let rule = rule.with_context(|| format!("no rule says {line:?}"))?;
        let subnet = if subnet == "-" { "" } else { subnet };
        found.insert((rule.name.to_owned(), subnet.to_owned()));
    }
    Ok(found)
}

/// Whether a text has the sentence of a rule, whatever its numbers are. Its end may be cut off.
fn is_said(rule: &Rule, text: &str) -> bool {
    let pieces = rule.says.split("{rate}").flat_map(|part| part.split("{share}"));
    let mut rest = text;
    for piece in pieces.map(str::trim).filter(|piece| !piece.is_empty()) {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            // Its beginning is there, before the sign of a cut.
            None => {
                return rest.split_once('…').is_some_and(|(cut, _)| {
                    (4..=piece.len()).any(|length| piece.get(..length).is_some_and(|begin| cut.ends_with(begin)))
                });
            }
        }
    }
    true
}

/// What `explain` says, which has to end with its exit code.
fn of_explain(arguments: &[&str]) -> Result<Findings> {
    let said = run(&[&["explain"], arguments].concat())?;
    let mut found = of_lines(&said.stdout).with_context(|| said.stdout.clone())?;
    // What others on this machine do counts for the code.
    ensure!(said.code == Some(if found.is_empty() { 0 } else { 10 }), "{said:?}");
    found.retain(|(_, subnet)| is_ours(subnet));
    Ok(found)
}

/// What `top` shows on a terminal once it has judged.
struct Top {
    terminal: Terminal,
    _folder: TempDir,
}

impl Top {
    fn start(config: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        write(folder.path().join("config.yaml"), config)?;
        let script = format!(
            "exec env LC_ALL=C.UTF-8 {} top --view findings --config.file config.yaml\n",
            binary()?.canonicalize()?.display()
        );
        write(folder.path().join("top"), script)?;
        let terminal = Terminal::open(180, 60, folder.path())?;
        terminal.type_text("sh top")?;
        terminal.press("Enter")?;
        terminal.wait_for("its screen", |screen| screen.contains("[1:Findings]"))?;
        Ok(Self {
            terminal,
            _folder: folder,
        })
    }

    fn found(&self) -> Result<Findings> {
        let screen = self.terminal.screen()?;
        let mut found = of_lines(&screen).with_context(|| screen)?;
        found.retain(|(_, subnet)| is_ours(subnet));
        Ok(found)
    }
}

/// Those that begin to look when it goes wrong: what was usual they do not know.
pub(super) const LOOK_FOR_THEMSELVES: [&str; 2] = ["explain", "top"];

/// What each of them finds, the last of them after this time.
pub(super) fn all(exporter: &Exporter<'_>, config: &str, after: Duration) -> Result<Vec<(&'static str, Findings)>> {
    let file = config_file(config)?;
    let file = file.path().to_str().context("a path that is no text")?;
    // Of a judgement that has what went wrong only.
    report(exporter)?;
    let top = Top::start(config)?;
    thread::scope(|scope| {
        let alone = scope.spawn(|| of_explain(&["--config.file", file]));
        sleep(after);
        let alone = alone.join().map_err(|_panic| anyhow!("explain panicked"))??;
        let api = report(exporter)?;
        ensure!(judged(&api), "{api:#}");
        let from = format!("http://{}", exporter.address());
        Ok(vec![
            ("api", of_api(exporter, &api).with_context(|| format!("{api:#}"))?),
            ("explain --from", of_explain(&["--from", &from])?),
            ("explain", alone),
            ("top", top.found()?),
            ("page", of_page(exporter)?),
        ])
    })
}
