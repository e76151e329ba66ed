//! What the image holds for each architecture that was compiled, this machine's or not.

use std::fs::read_to_string;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::exporter::run_command;

use super::ARCHIVE;
use crate::chart::top;

fn say(program: &str, arguments: &[&str]) -> Result<String> {
    let finished = run_command(Command::new(program).args(arguments))?;
    ensure!(finished.code == Some(0), "{program} {arguments:?}: {finished:?}");
    Ok(finished.stdout)
}

fn inspect(arguments: &[&str]) -> Result<Value> {
    let archive = format!("oci-archive:{}", top().join(ARCHIVE).display());
    let said = say("skopeo", &[arguments, &[&archive]].concat())?;
    Ok(serde_json::from_str(&said)?)
}

/// The name of an architecture in an image, and its program.
fn compiled() -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in top().join("target/image").read_dir().context("run `make image`")? {
        let program = entry?.path().join("root/usr/bin/tcpvitals");
        if let (true, Some(name)) = (program.is_file(), program.ancestors().nth(4)) {
            let name = name.file_name().context("no name")?.to_string_lossy();
            found.push((name.into_owned(), program));
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "nothing is compiled");
    Ok(found)
}

#[test]
#[ignore = "make test-image"]
fn the_index_has_each_architecture_with_its_labels() -> Result<()> {
    let index = inspect(&["inspect", "--raw"])?;
    let mut named: Vec<&str> = Vec::new();
    for image in index["manifests"].as_array().context("no index")? {
        assert_eq!(image["platform"]["os"], "linux", "{index}");
        named.push(image["platform"]["architecture"].as_str().context("no architecture")?);
    }
    named.sort_unstable();
    let compiled = compiled()?;
    let expected: Vec<&str> = compiled.iter().map(|(name, _)| &**name).collect();
    assert_eq!(named, expected);
    for name in expected {
        let config = inspect(&[&format!("--override-arch={name}"), "inspect", "--config"])?;
        assert_eq!(config["architecture"], name);
        let labels = &config["config"]["Labels"];
        let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].as_str();
        assert_eq!(label("title"), Some("tcpvitals"), "{labels}");
        assert_eq!(label("version"), Some(env!("CARGO_PKG_VERSION")), "{labels}");
        assert_eq!(label("licenses"), Some(env!("CARGO_PKG_LICENSE")), "{labels}");
        assert!(label("revision").is_some_and(|it| it.len() == 40), "{labels}");
        assert_eq!(config["config"]["User"], "65532:65532");
    }
    Ok(())
}

#[test]
#[ignore = "make test-image"]
fn each_program_is_static_and_of_its_architecture() -> Result<()> {
    for (name, program) in compiled()? {
        let program = program.display().to_string();
        let machine = match &*name {
            "amd64" => "Advanced Micro Devices X86-64",
            "arm64" => "AArch64",
            name => anyhow::bail!("what is {name} to readelf?"),
        };
        let read = say(
            "readelf",
            &["--wide", "--file-header", "--program-headers", "--dynamic", &program],
        )?;
        let found = read.lines().find_map(|line| line.trim().strip_prefix("Machine:"));
        assert_eq!(found.map(str::trim), Some(machine), "{read}");
        // No loader, no library.
        assert!(!read.contains("INTERP") && !read.contains("(NEEDED)"), "{read}");
    }
    Ok(())
}

/// Programs of another architecture by an emulator, so without a kernel that knows bpf(2).
#[test]
#[ignore = "make test-image"]
fn each_program_says_what_the_documentation_says() -> Result<()> {
    for (name, program) in compiled()? {
        let program = program.display().to_string();
        let run = |arguments: &[&str]| match &*name {
            "arm64" if cfg!(target_arch = "x86_64") => say("qemu-aarch64-static", &[&[&*program], arguments].concat()),
            _ => say(&program, arguments),
        };
        let version = format!("tcpvitals {}", env!("CARGO_PKG_VERSION"));
        assert!(run(&["--version"])?.starts_with(&version), "{name}");
        assert_eq!(
            run(&["docs", "metrics"])?,
            read_to_string(top().join("docs/metrics.md"))?,
            "{name}"
        );
        let config = top().join("deploy/packages/config.yaml").display().to_string();
        run(&["check-config", &config])?;
    }
    Ok(())
}
