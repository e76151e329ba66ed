//! The image, as `make image` leaves it in `target/image`: run by Podman with what the chart asks for, it counts real traffic.

mod architectures;
mod dns;
mod podman;

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::exporter::otlp::Recorder;
use tests::exporter::{Exporter, Launch, config_file, run_command};
use tests::kernel::account::{End, require_equal};
use tests::kernel::processes::{Capabilities, status};
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, settle};

use crate::chart::{container, top};
use podman::Podman;

const ARCHIVE: &str = "target/image/tcpvitals.tar";

/// Requires that a running exporter counts what the kernel counts.
fn require_counts(exporter: &Exporter<'_>, pair: &Pair) -> Result<()> {
    let flows = [Flow::open(pair, Family::V4, 443)?];
    flows[0].exchange(100_000, 100_000)?;
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    for end in End::BOTH {
        require_equal(&scrape, &pair.subnet()?.name(), end, &[end.of(&ends[0])])?;
    }
    Ok(())
}

#[test]
#[ignore = "make test-image"]
fn with_the_charts_security_context_it_counts_real_traffic() -> Result<()> {
    let _turn = turn::shared()?;
    let podman = Podman::new(&top().join(ARCHIVE))?;
    for (set, user) in [("seccomp", "65532"), ("openshift", "65532"), ("root-seccomp", "0")] {
        let pair = Pair::new()?;
        let elsewhere = Pair::new()?;
        let (pod, context) = match set {
            // User 0 under the shipped profile: the one of the runtime that runs here may not know CAP_BPF.
            "root-seccomp" => {
                let (pod, mut context) = container("root")?;
                context["seccompProfile"] = container("seccomp")?.1["seccompProfile"].take();
                (pod, context)
            }
            set => container(set)?,
        };
        let command = podman.run(&pod, &context, &[])?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        // In a network namespace that has nothing to do with the traffic.
        let exporter = Launch::new(pair.config())
            .binary(Path::new(podman.image()))
            .wrapped_in(&command)
            .inside(&elsewhere.client)
            .start()?;
        require_counts(&exporter, &pair)?;
        let process = podman.process()?;
        let held = Capabilities::of(process)?;
        assert_eq!((held.effective, held.permitted, held.ambient), (0, 0, 0), "{set}");
        assert!(status(process, "Uid")?.starts_with(user), "{set}");
        assert_eq!(status(process, "NoNewPrivs")?, "1", "{set}");
        podman.remove()?;
    }
    Ok(())
}

/// What Docker does for a user other than root, and Kubernetes lets a runtime do: the capabilities are in the bounding set only.
/// Podman makes them ambient ones, which needs no file capabilities.
#[test]
#[ignore = "make test-image"]
fn its_file_capabilities_carry_a_user_without_ambient_ones() -> Result<()> {
    let _turn = turn::shared()?;
    let podman = Podman::new(&top().join(ARCHIVE))?;
    // The storage is root's alone.
    let folder = TempDir::new()?;
    set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let binary = folder.path().join("tcpvitals");
    let mut copy = Command::new("cp");
    copy.arg("--preserve=all")
        .arg(podman.mount()?.join("usr/bin/tcpvitals"))
        .arg(&binary);
    let copied = run_command(&mut copy)?;
    ensure!(copied.code == Some(0), "{copied:?}");
    let wrapper = [
        "setpriv",
        "--reuid=65532",
        "--regid=65532",
        "--clear-groups",
        "--bounding-set=-all,+bpf,+perfmon,+syslog",
        "--inh-caps=-all",
        "--ambient-caps=-all",
    ];
    let pair = Pair::new()?;
    // setpriv itself still holds capabilities; what it starts does not.
    let exporter = Launch::new(pair.config())
        .binary(&binary)
        .wrapped_in(&[&wrapper[..], &["env"]].concat())
        .start()?;
    require_counts(&exporter, &pair)?;
    drop(exporter);
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg("env").arg(&binary);
    let told = run_command(command.args(["doctor", "--output", "json"]))?;
    let told: Value = serde_json::from_str(&told.stdout)?;
    assert_eq!(
        (&told["may_load"], &told["symbols_visible"]),
        (&true.into(), &true.into())
    );
    // Where privilege escalation is forbidden they are not honoured, and it says what is missing.
    let config = config_file("")?;
    let mut command = Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .args(["setpriv", "--no-new-privs"])
        .arg(&binary);
    command.args(["serve", "--web.listen-address=127.0.0.1:0", "--config.file"]);
    let finished = run_command(command.arg(config.path()))?;
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(
        finished.stderr.contains("needs CAP_BPF and CAP_PERFMON"),
        "{finished:?}"
    );
    Ok(())
}

/// A static binary asks for names without the plug-ins of the C library.
#[test]
#[ignore = "make test-image"]
fn it_finds_receivers_by_hosts_file_and_by_dns() -> Result<()> {
    let _turn = turn::shared()?;
    let podman = Podman::new(&top().join(ARCHIVE))?;
    let (pod, context) = container("seccomp")?;
    let folder = TempDir::new()?;
    let pair = Pair::new()?;
    let asked = pair.client.run(|| dns::Server::start("127.0.0.1:53"))?;
    write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1\n")?;
    write(folder.path().join("hosts"), "127.0.0.1 localhost by-file.example\n")?;
    let mounts = ["resolv.conf", "hosts"].map(|file| {
        let source = folder.path().join(file);
        format!("--volume={}:/etc/{file}:ro", source.display())
    });
    for host in ["by-file.example", "by-dns.example"] {
        let recorder = pair.client.run(Recorder::start)?;
        let port = recorder.address().port();
        let otlp = format!("otlp: {{endpoint: \"http://{host}:{port}\", protocol: http/protobuf, interval: 1s}}\n");
        let command = podman.run(&pod, &context, &mounts)?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let exporter = Launch::new(otlp)
            .binary(Path::new(podman.image()))
            .wrapped_in(&command)
            .inside(&pair.client)
            .start()?;
        recorder.wait_for_another()?;
        drop(exporter);
        podman.remove()?;
    }
    assert_eq!(asked.names(), ["by-dns.example"].map(str::to_owned).into());
    Ok(())
}

#[test]
#[ignore = "make test-image"]
fn the_same_files_give_the_same_digest() -> Result<()> {
    let folder = TempDir::new()?;
    let digest = |name: &str| {
        let archive = folder.path().join(name);
        let mut pack = Command::new(top().join("deploy/image.sh"));
        let packed = run_command(pack.arg("pack").arg(&archive))?;
        ensure!(packed.code == Some(0), "{packed:?}");
        let mut inspect = Command::new("skopeo");
        inspect.args(["inspect", "--format={{.Digest}}"]);
        let inspected = run_command(inspect.arg(format!("oci-archive:{}", archive.display())))?;
        ensure!(inspected.code == Some(0), "{inspected:?}");
        Ok(inspected.stdout)
    };
    let first = digest("first.tar")?;
    assert!(first.starts_with("sha256:"), "{first}");
    assert_eq!(digest("second.tar")?, first);
    Ok(())
}
