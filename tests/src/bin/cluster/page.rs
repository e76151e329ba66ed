//! The page of the last run.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

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
}

/// The page as text.
pub(crate) fn text(setting: &Setting, rows: &[Row]) -> Result<String> {
    let Setting {
        date,
        kernel,
        kubernetes,
        containerd,
        helm,
    } = setting;
    let mut text = format!(
        "# On a cluster\n\n\
         Use this page to see which steps the exporter and its chart pass on a real Kubernetes, and with which figures.\n\n\
         The last run of `make test-cluster`, {date}: Kubernetes {kubernetes} on one node, {containerd}, {helm}, Linux {kernel} \
         with cgroup v1 and an empty cgroup v2. All steps passed. [Tests](testing.md#on-a-cluster) describes the run and its \
         limits.\n\n\
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
