//! The web page at `/`: one collection as a document of its own, for people. It works without a script, which adds only
//! what needs two collections: numbers between refreshes.
//! It must never run or fetch anything that is not in it, and must escape every text: labels come from the configuration
//! and the kernel. The templates do both, and the page's Content-Security-Policy holds the browser to it.
//! From the families of a collection and the coverage; to the route `/`.

mod findings;
mod health;
mod model;
mod tables;
mod words;

use crate::{coverage::Coverage, families::Families, findings::report::Report, rows::cardinality::Cardinality};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};
use std::{sync::LazyLock, time::Duration};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// An image, lest browsers ask for one.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath \
                    d='M1 9h3l2-6 3 11 2-5h4' fill='none' stroke='%23268' stroke-width='2'/%3E%3C/svg%3E";

/// What the page says of the host and of where things are.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Name of the host.
    pub host: &'a str,
    /// Release of the kernel.
    pub release: &'a str,
    /// That it is a recording, as a sentence; `None` where it is the kernel.
    pub notice: Option<&'a str>,
    /// Path of the metrics; begins with a slash.
    pub telemetry_path: &'a str,
}

/// The `Content-Security-Policy` of the page: nothing but its own style and script, by their digests, and its own address.
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            digest(STYLE),
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
    /// When it was, since 1970.
    pub at: Duration,
}

/// The page for a collection.
pub fn render(about: About<'_>, coverage: &Coverage, collected: Collected<'_>) -> String {
    let Collected {
        families,
        cost,
        findings: report,
        at: now,
    } = collected;
    let started = families.started();
    let uptime = started.map(|started| now.saturating_sub(started));
    let since = uptime.map_or_else(
        || "since the exporter started".to_owned(),
        |uptime| format!("since the exporter started {} ago", words::duration(uptime)),
    );
    // What was counted under other labels, or by another process, cannot be compared.
    let reloaded = model::single(families, health::LAST_RELOAD).unwrap_or(0.0);
    let began = started.unwrap_or_default().as_secs_f64();
    let seconds = uptime.map(|uptime| uptime.as_secs_f64());
    let main = html! {
        main #main tabindex="-1" data-generation=(format!("{began} {reloaded}")) data-at=(now.as_millis()) {
            p #window.window { "All numbers are totals and averages " (since) "; connections are those that are open." }
            (findings::section(report))
            (tables::overview(families, seconds))
            (tables::subnets(families))
            (tables::workloads(families))
            (tables::drops(families, seconds))
            (tables::drops_by_workload(families, seconds))
            (health::section(coverage, families, cost, now))
        }
    };
    let facts = uptime.map(|uptime| format!("up {}", words::duration(uptime)));
    document(about, facts, report.map_or(0, |report| report.findings.len()), &main)
}

/// The page when there was no collection.
pub fn render_failure(about: About<'_>, error: &str) -> String {
    let main = html! {
        main #main tabindex="-1" {
            section aria-labelledby="failed" {
                h2 #failed { "Not ready" }
                p.attention { "The collection failed: " (error) }
                p { "The next request tries again. The log of the exporter says the same." }
            }
        }
    };
    document(about, None, 0, &main)
}

fn document(about: About<'_>, uptime: Option<String>, findings: usize, main: &Markup) -> String {
    let About {
        host,
        release,
        notice,
        telemetry_path,
    } = about;
    let facts = [
        Some(format!("Version {}", env!("CARGO_PKG_VERSION"))),
        Some(format!("Linux {release}")),
        uptime,
    ];
    // Relative, so that a proxy may serve the exporter under a path of its own.
    let links = [
        (telemetry_path, "Metrics"),
        ("/readyz", "What is attached (text)"),
        ("/api/v1/status", "Status (JSON)"),
        ("/api/v1/findings", "Findings (JSON)"),
        ("/api/v1/drops", "Drop sites (JSON)"),
        ("/api/v1/flows", "Live flows (JSON)"),
        ("/healthz", "Health"),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { @if findings > 0 { "(" (findings) ") " } (host) " · tcpvitals" }
                link #icon rel="icon" href=(if findings > 0 { ICON.replace("%23268", "%23c22") } else { ICON.to_owned() });
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the numbers" }
                header {
                    h1 { "tcpvitals " small { "on " (host) } }
                    p #about data-live { (facts.into_iter().flatten().collect::<Vec<_>>().join(" · ")) }
                    @if let Some(notice) = notice {
                        p.attention #demonstration { (notice) ". Nothing on this page is of this machine." }
                    }
                    nav aria-label="Other pages" {
                        ul {
                            @for (path, text) in links {
                                li { a href=(format!(".{path}")) { (text) } }
                            }
                        }
                    }
                    // The script shows them: without it they would do nothing.
                    div #controls hidden {
                        fieldset {
                            legend { "Numbers" }
                            label { input type="radio" name="mode" value="live" checked; " between refreshes" }
                            label { input type="radio" name="mode" value="total"; " since the start" }
                        }
                        button #pause type="button" aria-pressed="false" { "Pause" }
                        button #refresh type="button" { "Refresh now" }
                        p #updated {}
                        p #status role="status" {}
                    }
                }
                (main)
                footer {
                    p.note {
                        "Documentation: " code { "docs/README.md" } " of the source, " code { "/usr/share/doc/tcpvitals/docs" }
                        " of the package; a metric's meaning is its " code { "HELP" } " line in the metrics."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::METRICS;

    #[test]
    fn every_metric_that_the_page_reads_is_in_the_table() {
        let names: Vec<String> = METRICS.iter().map(|metric| metric.full_name()).collect();
        for name in model::METRICS.iter().chain(health::METRICS) {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn style_and_script_cannot_end_their_elements() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
        assert!(policy().is_ascii() && policy().matches("'sha256-").count() == 2);
    }
}
