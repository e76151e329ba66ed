//! What is rendered is what Kubernetes and the Prometheus operator take, strictly by their schemas.

use std::fs::{File, read_to_string};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::exporter::run_command;

use super::helm::{RELEASES, brought, documents, only, render, value_sets};
use super::top;

/// Kinds that Kubernetes itself does not know, and whether there is a schema for them here.
const CUSTOM: [(&str, bool); 4] = [
    ("PodMonitor", true),
    ("PrometheusRule", true),
    ("SecurityContextConstraints", false),
    ("ServiceMonitor", true),
];

/// The first and the last version whose schemas `kubernetes-validate` has.
const VERSIONS: [u32; 2] = [28, 37];

#[test]
fn every_supported_kubernetes_takes_every_value_set() -> Result<()> {
    let folder = TempDir::new()?;
    let mut files = Vec::new();
    let mut expected = 0;
    for (name, values) in value_sets()? {
        let rendered = documents(&render(RELEASES[1], &values)?)?;
        let native = rendered
            .iter()
            .filter(|document| CUSTOM.iter().all(|(kind, _)| document["kind"] != *kind));
        for document in native {
            // JSON is YAML; one object a file, so that each is seen to be judged.
            let file = folder.path().join(format!("{name}-{expected}.yaml"));
            serde_json::to_writer(File::create(&file)?, document)?;
            files.push(file);
            expected += 1;
        }
    }
    for minor in VERSIONS[0]..=VERSIONS[1] {
        let mut passed = 0;
        // A busy machine takes long for all of them in one run.
        for files in files.chunks(30) {
            let mut validate = Command::new(brought("python/bin/kubernetes-validate")?);
            validate
                .args(["--strict", "--kubernetes-version", &format!("1.{minor}")])
                .args(files);
            let finished = run_command(&mut validate)?;
            assert_eq!(finished.code, Some(0), "1.{minor}: {finished:?}");
            passed += finished.stdout.matches(" passed ").count() + finished.stderr.matches(" passed ").count();
        }
        assert_eq!(passed, expected, "1.{minor}");
    }
    Ok(())
}

#[test]
fn a_field_that_kubernetes_does_not_have_is_found() -> Result<()> {
    let folder = TempDir::new()?;
    let (_, values) = value_sets()?.swap_remove(0);
    let rendered = documents(&render(RELEASES[1], &values)?)?;
    let mut set = only(&rendered, "DaemonSet")?.clone();
    set["spec"]["replicas"] = 1.into();
    let file = folder.path().join("wrong.yaml");
    serde_json::to_writer(File::create(&file)?, &set)?;
    let mut validate = Command::new(brought("python/bin/kubernetes-validate")?);
    let finished = run_command(validate.args(["--strict", "--kubernetes-version", "1.33"]).arg(&file))?;
    assert_ne!(finished.code, Some(0), "{finished:?}");
    Ok(())
}

/// The schema of a custom resource.
fn schema(kind: &str) -> Result<jsonschema::Validator> {
    let path = top().join(format!("tests/schemas/prometheus-operator/{kind}.json"));
    let text = read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(jsonschema::draft7::new(&serde_json::from_str(&text)?)?)
}

#[test]
fn the_operator_takes_every_monitor_and_rule() -> Result<()> {
    let mut seen = Vec::new();
    for (name, values) in value_sets()? {
        for document in documents(&render(RELEASES[1], &values)?)? {
            let kind = document["kind"].as_str().context("an object without a kind")?;
            let Some((kind, _)) = CUSTOM.iter().find(|(custom, known)| *custom == kind && *known) else {
                continue;
            };
            let schema = schema(kind)?;
            let wrong: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{name}: {kind}: {wrong:#?}");
            let mut spoilt = document.clone();
            spoilt["spec"]["endpoint"] = Value::Null;
            assert!(!schema.is_valid(&spoilt), "{kind}: anything goes");
            seen.push(*kind);
        }
    }
    for (kind, known) in CUSTOM {
        ensure!(!known || seen.contains(&kind), "no value set has a {kind}");
    }
    Ok(())
}
