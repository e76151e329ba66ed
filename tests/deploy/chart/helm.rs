//! Helm, the program: version 3, which most clusters are driven with, and 4.

use std::fs::write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;
use tempfile::TempDir;
use tests::exporter::{Finished, run_command};

use super::{chart, top};

/// The releases that are tested.
pub(super) const RELEASES: [&str; 2] = ["helm-3", "helm-4"];

/// Where a program lies that the set-up brought for the chart.
pub(super) fn brought(path: &str) -> Result<PathBuf> {
    let path = top().join("target/tools/chart").join(path);
    ensure!(path.exists(), "no {}: run `tests/setup.sh chart`", path.display());
    Ok(path)
}

fn helm(release: &str, arguments: &[&str], chart: &Path, values: Option<&Path>) -> Result<Finished> {
    let mut command = Command::new(brought(release)?);
    command.args(arguments).arg(chart);
    if let Some(values) = values {
        command.arg("--values").arg(values);
    }
    run_command(&mut command)
}

/// What a chart renders for these values.
pub(super) fn try_render(release: &str, chart: &Path, values: Option<&Path>) -> Result<Finished> {
    helm(release, &["template", "vitals", "--namespace=net"], chart, values)
}

/// What kustomize makes of a render in which nothing is changed: it reads strictly, and takes no object twice.
pub(super) fn kustomize(render: &str) -> Result<Finished> {
    let folder = TempDir::new()?;
    write(folder.path().join("render.yaml"), render)?;
    write(folder.path().join("kustomization.yaml"), "resources: [render.yaml]\n")?;
    run_command(Command::new(brought("kubectl")?).arg("kustomize").arg(folder.path()))
}

/// The manifests of this repository's chart.
pub(super) fn render(release: &str, values: &Path) -> Result<String> {
    let finished = try_render(release, &chart(), Some(values))?;
    ensure!(finished.code == Some(0), "{}: {}", values.display(), finished.stderr);
    Ok(finished.stdout)
}

/// What a release says against the chart with these values.
pub(super) fn lint(release: &str, values: &Path) -> Result<Finished> {
    helm(release, &["lint", "--strict"], &chart(), Some(values))
}

/// The value sets, by name.
pub(super) fn value_sets() -> Result<Vec<(String, PathBuf)>> {
    let mut sets = Vec::new();
    for entry in chart().join("ci").read_dir()? {
        let path = entry?.path();
        let name = path.file_stem().context("a file without a name")?;
        sets.push((name.to_string_lossy().into_owned(), path));
    }
    sets.sort();
    ensure!(sets.len() >= 6, "only {} value sets", sets.len());
    Ok(sets)
}

/// The documents of a YAML stream that hold something. A mapping with a key twice is an error, as to most readers.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml::Deserializer::from_str(text).map(|document| {
        // JSON would take the last of two.
        let strict = serde_yaml::Value::deserialize(document)?;
        Ok(serde_json::to_value(strict)?)
    });
    let documents: Vec<Value> = documents.collect::<Result<_>>()?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The only document of a kind.
pub(super) fn only<'a>(documents: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found: Vec<&Value> = documents.iter().filter(|document| document["kind"] == kind).collect();
    ensure!(found.len() == 1, "{} of kind {kind}", found.len());
    Ok(found[0])
}
