//! The page of the last runs: a section for each setting, of which a run writes its own.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use crate::node::{ALONE, BESIDE};

/// A step that has passed.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) step: &'static str,
    pub(crate) does: &'static str,
    pub(crate) took: Duration,
    pub(crate) seen: String,
}

/// What the run was on.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) date: String,
    pub(crate) kernel: String,
    pub(crate) kubernetes: String,
    pub(crate) containerd: String,
    pub(crate) helm: String,
    /// One of [`SECTIONS`].
    pub(crate) cgroups: &'static str,
}

const BEGINNING: &str = "# On a cluster\n\n\
    Use this page to see which steps the exporter and its chart pass on a real Kubernetes, and with which figures. Each table is the last run \
    of its kind. [Tests](testing.md#on-a-cluster) describes the runs and their limits.\n";

/// What nodes differ in, in the order of the page.
const SECTIONS: [&str; 2] = [BESIDE, ALONE];

/// The page with this run in place of the last one of its kind.
pub(crate) fn text(before: &str, setting: &Setting, rows: &[Row]) -> Result<String> {
    let mut text = BEGINNING.to_owned();
    for cgroups in SECTIONS {
        let heading = format!("\n## {}{}\n\n", cgroups[..1].to_uppercase(), &cgroups[1..]);
        if cgroups == setting.cgroups {
            write!(text, "{heading}{}", section(setting, rows)?)?;
        } else if let Some((_, own)) = before.split_once(&heading) {
            let own = own.split_once("\n## ").map_or(own, |(own, _)| own);
            write!(text, "{heading}{own}")?;
        }
    }
    Ok(text)
}

fn section(setting: &Setting, rows: &[Row]) -> Result<String> {
    let Setting {
        date,
        kernel,
        kubernetes,
        containerd,
        helm,
        cgroups: _,
    } = setting;
    let mut text = format!(
        "{date}: Kubernetes {kubernetes} on one node, {containerd}, {helm}, Linux {kernel}. All steps passed.\n\n\
         | step | action | duration | result |\n| --- | --- | --- | --- |\n"
    );
    for Row { step, does, took, seen } in rows {
        writeln!(
            text,
            "| {step} | {does} | {:.1} s | {} |",
            took.as_secs_f64(),
            seen.replace('|', "\\|")
        )?;
    }
    let all: Duration = rows.iter().map(|row| row.took).sum();
    writeln!(text, "\nThe whole run took {:.0} s.", all.as_secs_f64())?;
    Ok(text)
}
