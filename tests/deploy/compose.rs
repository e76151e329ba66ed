//! The demonstration with Compose. Its images are out of reach here; what can be read off the file is checked.

use std::fs::{copy, create_dir_all, read_to_string};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tests::exporter::program::brought;
use tests::exporter::run_command;
use tests::readers::rules::rule_files;

use crate::chart::{container, top};

fn compose() -> Result<Value> {
    Ok(serde_yaml::from_str(&read_to_string(
        top().join("deploy/compose.yaml"),
    )?)?)
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn what_it_mounts_is_there() -> Result<()> {
    let compose = compose()?;
    let mut mounts = 0;
    for (name, service) in compose["services"].as_object().context("no services")? {
        for volume in words(&service["volumes"]) {
            let source = volume.split(':').next().unwrap_or_default();
            if compose["volumes"].get(source).is_some() {
                continue;
            }
            assert!(top().join("deploy").join(source).exists(), "{name} mounts {source}");
            mounts += 1;
        }
    }
    assert!(mounts >= 4, "{compose}");
    Ok(())
}

#[test]
fn the_exporter_is_confined_as_by_the_chart() -> Result<()> {
    let compose = compose()?;
    let service = &compose["services"]["tcpvitals"];
    let (pod, context) = container("seccomp")?;
    assert_eq!(service["cap_drop"], context["capabilities"]["drop"]);
    assert_eq!(service["cap_add"], context["capabilities"]["add"]);
    assert_eq!(service["read_only"], context["readOnlyRootFilesystem"]);
    assert_eq!(service["user"], format!("{}:{}", pod["runAsUser"], pod["runAsGroup"]));
    let profile = context["seccompProfile"]["localhostProfile"]
        .as_str()
        .context("no profile")?;
    assert_eq!(
        words(&service["security_opt"]),
        [format!("seccomp:./seccomp/{profile}")]
    );
    let image = service["image"].as_str().context("no image")?;
    assert_eq!(image, format!("tcpvitals:{}", env!("CARGO_PKG_VERSION")));
    Ok(())
}

#[test]
fn prometheus_takes_its_configuration() -> Result<()> {
    let folder = TempDir::new()?;
    let config = folder.path().join("prometheus.yaml");
    copy(top().join("deploy/compose/prometheus.yaml"), &config)?;
    let rules = folder.path().join("rules");
    create_dir_all(&rules)?;
    // As the service of the rules makes them.
    let compose = compose()?;
    let [command] = words(&compose["services"]["rules"]["command"])[..] else {
        bail!("more than one command: {compose}");
    };
    let command = command
        .replace("$$", "$")
        .replace("/plain/", &format!("{}/", top().join("dashboards/rules").display()))
        .replace("/rules/$", &format!("{}/$", rules.display()));
    let made = run_command(Command::new("sh").args(["-c", &command]))?;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(rules.read_dir()?.count(), rule_files()?.len());
    let mut promtool = Command::new(brought("debian/promtool")?);
    let finished = run_command(promtool.args(["check", "config"]).arg(&config))?;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    Ok(())
}
