//! The web page at `/`: one collection as a document of its own, for people. It works without a script, which adds only
//! what needs two collections: numbers between refreshes.
//! It must never run or fetch anything that is not in it, and must escape every text: labels come from the configuration
//! and the kernel. The templates do both, and the page's Content-Security-Policy holds the browser to it.
//! From the families of a collection and the coverage; to the route `/`.

mod commands;
mod findings;
mod health;
mod manual;
mod model;
mod parts;
mod severity;
mod tables;
mod words;

use crate::{
    colours::{GROUNDS, Ground, Severity, of_class},
    coverage::Coverage,
    families::Families,
    findings::report::Report,
    rows::cardinality::Cardinality,
    snapshot::Exporter,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};
use std::{fmt::Write, sync::LazyLock, time::Duration};
use tcpvitals_config::Class;

pub use manual::{contents, reasons, runbook};
pub use parts::About;
use parts::Page;

const SCRIPT: &str = include_str!("page/page.js");

/// The rules of the file, and the colours of the table.
static STYLE: LazyLock<String> = LazyLock::new(|| {
    let mut style = String::new();
    // Writing to a string does not fail.
    let mut rules = |is_dark: bool, begin: &str, end: &str| {
        let hex = |Ground { light, dark }: Ground| if is_dark { dark } else { light };
        let [page, on_it] = GROUNDS.map(hex);
        let _infallible = write!(style, "{begin}:root{{--page:{page};--box:{on_it}");
        for class in Class::ALL {
            let _infallible = write!(style, ";--{}:{}", class.as_str(), hex(of_class(class).on));
        }
        for severity in Severity::ALL {
            if let Some(colour) = severity.colour() {
                let _infallible = write!(style, ";--{}:{}", severity.as_str(), hex(colour.on));
            }
        }
        let _infallible = writeln!(style, "}}{end}");
    };
    rules(false, "", "");
    rules(true, "@media (prefers-color-scheme:dark){", "}");
    for severity in Severity::ALL {
        let (word, sign) = (severity.as_str(), severity.sign());
        if !sign.is_empty() {
            let _infallible = writeln!(style, "td[data-severity={word}]::after{{content:\" {sign}\"}}");
        }
    }
    style + include_str!("page/page.css")
});

/// An image, lest browsers ask for one.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath \
                    d='M1 9h3l2-6 3 11 2-5h4' fill='none' stroke='%23268' stroke-width='2'/%3E%3C/svg%3E";

/// The `Content-Security-Policy` of the page: nothing but its own style and script, by their digests, and its own address.
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            digest(&STYLE),
            digest(SCRIPT)
        )
    });
    &POLICY
}

/// What a collection gave for the page.
#[derive(Clone, Copy, Debug)]
pub struct Collected<'a> {
    pub families: &'a Families,
    pub cost: &'a Cardinality,
    /// What is wrong; `None` where nobody judges.
    pub findings: Option<&'a Report>,
    /// What the exporter knows of itself.
    pub exporter: &'a Exporter,
    /// When it was, since 1970.
    pub at: Duration,
}

/// The page for a collection.
pub fn render(about: About<'_>, coverage: &Coverage, collected: Collected<'_>) -> String {
    let Collected {
        families,
        cost,
        findings: report,
        exporter,
        at,
    } = collected;
    let started = families.started();
    let uptime = started.map(|started| at.saturating_sub(started));
    let page = Page {
        about,
        families,
        findings: report,
        exporter,
        at,
        seconds: uptime.map(|uptime| uptime.as_secs_f64()),
    };
    let since = uptime.map_or_else(
        || "since the exporter started".to_owned(),
        |uptime| format!("since the exporter started {} ago", words::duration(uptime)),
    );
    // What was counted under other labels, or by another process, cannot be compared.
    let reloaded = exporter.last_reload.succeeded.as_secs_f64();
    let began = started.unwrap_or_default().as_secs_f64();
    let generation = format!("{began} {reloaded}");
    let main = html! {
        main #main tabindex="-1" data-generation=(generation) data-at=(at.as_millis()) data-scales=(severity::scales()) {
            (health::warning(exporter))
            (findings::section(&page))
            div.line { b { "What changed" } (health::changes(&page)) }
            p #window.note { "Numbers are totals and averages " (since) "; connections are those that are open." }
            div.cols {
                div { (tables::subnets(&page)) (tables::workloads(&page)) }
                div { (tables::drops(&page)) (tables::drops_by_workload(&page)) }
            }
            (health::section(&page, coverage, cost))
        }
    };
    let facts = uptime.map(|uptime| format!("up {}", words::duration(uptime)));
    document(about, facts, Some(at), report, &main)
}

/// The page when there was no collection.
pub fn render_failure(about: About<'_>, error: &str) -> String {
    let main = html! {
        main #main tabindex="-1" data-scales=(severity::scales()) {
            section aria-labelledby="failed" {
                h2 #failed { "Not ready" }
                p.attention { "The collection failed: " (error) }
                p { "The next request tries again. The log of the exporter says the same." }
            }
        }
    };
    document(about, None, None, None, &main)
}

fn document(
    about: About<'_>,
    uptime: Option<String>,
    at: Option<Duration>,
    report: Option<&Report>,
    main: &Markup,
) -> String {
    let About {
        host,
        release,
        notice,
        telemetry_path,
        ..
    } = about;
    let facts = [
        Some(format!("Version {}", env!("CARGO_PKG_VERSION"))),
        Some(format!("Linux {release}")),
        uptime,
    ];
    let findings = report.map_or(0, |report| report.findings.len());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { @if findings > 0 { "(" (findings) ") " } (host) " · tcpvitals" }
                link #icon rel="icon" href=(if findings > 0 { ICON.replace("%23268", "%23c22") } else { ICON.to_owned() });
                style { (PreEscaped(STYLE.as_str())) }
            }
            body {
                a.skip href="#main" { "Skip to the numbers" }
                header {
                    h1 { "tcpvitals " small { "on " (host) } }
                    p #about data-live {
                        @if findings > 0 { b.badge { (findings) @if findings == 1 { " finding" } @else { " findings" } } " " }
                        (facts.into_iter().flatten().collect::<Vec<_>>().join(" · "))
                        @if let Some(at) = at { " · " time { (words::clock(at)) " UTC" } }
                    }
                    @if let Some(notice) = notice {
                        p.attention #demonstration { (notice) ". Nothing on this page is of this machine." }
                    }
                    // The script shows them: without it they would do nothing.
                    div #controls hidden {
                        fieldset {
                            legend { "Show" }
                            @for (value, text) in [("5", "last 5 s"), ("60", "1 min"), ("300", "5 min"), ("total", "since start")] {
                                label { input type="radio" name="mode" value=(value) checked[value == "60"]; " " (text) }
                            }
                        }
                        label { "Filter names " input #filter type="search" size="14" autocomplete="off"; }
                        output #matches for="filter" {}
                        button #pause type="button" aria-pressed="false" { "Pause" }
                        button #refresh type="button" { "Refresh now" }
                        p #status role="status" {}
                    }
                }
                (main)
                footer {
                    (links(telemetry_path))
                    p.note { "A metric's meaning is its " code { "HELP" } " line in the metrics." }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Relative, so that a proxy may serve the exporter under a path of its own.
fn links(telemetry_path: &str) -> Markup {
    let links = [
        (telemetry_path, "Metrics"),
        ("/docs", "Runbooks and drop reasons"),
        ("/readyz", "Attached programs (text)"),
        ("/api/v1/status", "Status (JSON)"),
        ("/api/v1/findings", "Findings (JSON)"),
        ("/api/v1/drops", "Drop sites (JSON)"),
        ("/api/v1/flows", "Live flows (JSON)"),
    ];
    html! {
        nav aria-label="Other pages" {
            ul {
                @for (path, text) in links {
                    li { a href=(format!(".{path}")) { (text) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::METRICS;

    #[test]
    fn every_metric_that_the_page_reads_is_in_the_table() {
        let names: Vec<String> = METRICS.iter().map(|metric| metric.full_name()).collect();
        for name in model::METRICS.iter().chain(health::METRICS).chain(health::LOST) {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn style_and_script_cannot_end_their_elements() {
        for text in [STYLE.as_str(), SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
        assert!(policy().is_ascii() && policy().matches("'sha256-").count() == 2);
    }
}
