//! The Helm chart: what it renders for each value set of `deploy/chart/ci`, and what it refuses.

mod copies;
mod helm;
mod maps;
mod parent;
mod readme;
mod renders;
mod resources;
mod upgrade;
mod values;
mod workloads;
mod zones;

use std::env;
use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The chart's folder.
fn chart() -> PathBuf {
    top().join("deploy/chart")
}

/// The security contexts of the pod and of its container, as a value set renders them.
pub(crate) fn container(set: &str) -> Result<(Value, Value)> {
    let values = chart().join(format!("ci/{set}.yaml"));
    let rendered = helm::documents(&helm::render(helm::RELEASES[1], &values)?)?;
    let pod = &helm::only(&rendered, "DaemonSet")?["spec"]["template"]["spec"];
    Ok((
        pod["securityContext"].clone(),
        pod["containers"][0]["securityContext"].clone(),
    ))
}

/// Requires that a file is this text; with `UPDATE=1` makes it so.
#[expect(clippy::disallowed_methods, reason = "the maintainer says whether to write")]
fn require_file(path: &Path, text: &str) -> Result<()> {
    if env::var("UPDATE").is_ok() {
        return write(path, text).with_context(|| format!("write {}", path.display()));
    }
    let is = read_to_string(path).with_context(|| format!("read {}: run `make chart`", path.display()))?;
    let differs = is.lines().zip(text.lines()).find(|(is, should)| is != should);
    assert!(
        is == text,
        "{} is not what the chart says: run `make chart`; the first difference is {differs:#?}",
        path.display()
    );
    Ok(())
}
