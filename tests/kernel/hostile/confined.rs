//! Every command under the seccomp profile of `deploy/seccomp`: a call outside of it kills the command.

use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::exporter::otlp::Recorder;
use tests::exporter::{
    FEWEST_PROGRAMS, Finished, Launch, OPEN_METRICS, PROMETHEUS_TEXT, PROTOBUF, binary, run_command,
};
use tests::machine::seccomp::confine;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::readers::curl::curl;

use crate::web::{TLS, Web, hash};

/// Runs a command to its end.
fn run(arguments: &[&str]) -> Result<Finished> {
    let mut command = Command::new(binary()?);
    command.args(arguments);
    confine(&mut command)?;
    let finished = run_command(&mut command)?;
    ensure!(
        finished.code.is_some(),
        "a call outside the profile ended {arguments:?}: {finished:?}"
    );
    Ok(finished)
}

#[test]
fn commands_under_the_shipped_profile() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("empty.yaml"), "devices: {enabled: true}\n")?;
    let server = Launch::new(FEWEST_PROGRAMS).confined().start()?;
    let from = format!("http://{}", server.address());
    let (capture, recording, trace) = (path("a.pcapng"), path("a.rec"), path("a.trace"));
    let config = path("empty.yaml");
    // It observes for ten seconds.
    let peer = thread::spawn(|| run(&["explain", "127.0.0.1:1"]));
    for (arguments, codes) in [
        (&["doctor"][..], &[0][..]),
        (&["doctor", "--output", "json", "--verbose"], &[0]),
        (&["check-config", &config], &[0]),
        (
            &[
                "trace",
                "--duration",
                "500ms",
                "--interval",
                "100ms",
                "--output",
                "json",
            ],
            &[0],
        ),
        (&["trace", "--read", &trace], &[1]),
        (&["drops", "--output", "json", "--duration", "500ms"], &[0]),
        (
            &["top", "--once", "--interval", "500ms", "--config.file", &config],
            &[0],
        ),
        (
            &[
                "capture",
                "-w",
                &capture,
                "--duration",
                "500ms",
                "--rotate-size",
                "1MiB",
                "--rotate-files",
                "2",
            ],
            &[0],
        ),
        (&["capture", "-w", "-", "--duration", "500ms"], &[0]),
        (&["--extcap-interfaces"], &[0]),
        (
            &[
                "record",
                "--config.file",
                &config,
                "--output",
                &recording,
                "--duration",
                "1s",
                "--interval",
                "500ms",
            ],
            &[0],
        ),
        (&["explain", "QDISC_DROP"], &[0]),
        (&["explain", "--from", &from], &[0, 10]),
        (&["cardinality", "--from", &from], &[0]),
        (&["subnets", "--from-kubernetes"], &[1, 2]),
        (&["docs", "metrics"], &[0]),
        (&["docs", "man"], &[0]),
    ] {
        if arguments.contains(&"--read") {
            std::fs::write(&trace, "no trace")?;
        }
        let finished = run(arguments)?;
        let code = finished.code.context("no code")?;
        ensure!(codes.contains(&code), "{arguments:?}: {finished:?}");
    }
    ensure!(Path::new(&recording).exists(), "no recording");
    let explained = peer.join().map_err(|_panic| anyhow::anyhow!("explain panicked"))??;
    ensure!([Some(0), Some(10)].contains(&explained.code), "{explained:?}");
    Ok(())
}

/// With all that a server may do: over TLS with passwords, on a socket of a path, while it pushes, follows its files and reloads.
#[test]
fn servers_under_the_shipped_profile() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let socket = folder.path().join("http.sock");
    let recorder = Recorder::start()?;
    let config = format!(
        "otlp: {{endpoint: 'http://{}', protocol: http/protobuf, interval: 1s}}\ndevices: {{enabled: true}}\nworkloads: {{source: cgroup}}\n",
        recorder.address()
    );
    let listen = format!("--web.listen-address=unix://{}", socket.display());
    let exporter = Launch::new(&config)
        .arguments(&["--config.watch", "--web.enable-lifecycle", &listen])
        .confined()
        .start()?;
    for accept in [OPEN_METRICS, PROTOBUF, PROMETHEUS_TEXT] {
        exporter.scrape_as(accept)?;
    }
    for path in [
        "/",
        "/readyz",
        "/docs",
        "/api/v1/flows",
        "/api/v1/drops",
        "/api/v1/status",
        "/api/v1/cardinality",
        "/api/v1/findings",
    ] {
        ensure!(exporter.get(path, "*/*")?.status == 200, "{path}");
    }
    let unix = ["--unix-socket", socket.to_str().context("a path that is text")?];
    ensure!(
        curl("http://localhost/metrics", &unix)?.status == 200,
        "no scrape over the socket"
    );
    exporter.reload(&config)?;
    exporter.signal(Signal::SIGHUP)?;
    // What a reload under way reads is no change to the watcher.
    until("the end of both reloads", || {
        let ended = exporter.stderr().matches("configuration reloaded").count();
        Ok((ended == 2).then_some(()))
    })?;
    exporter.configure(&format!("{config}collect: {{max_age: 2s}}\n"))?;
    until("the reload of a changed file", || {
        Ok(exporter.stderr().contains("reason=a file changed").then_some(()))
    })?;
    recorder.wait_for_another()?;
    let (status, said) = exporter.stop(Signal::SIGTERM)?;
    ensure!(status.success(), "{status}: {said}");

    let web = Web::new(&format!("{TLS}basic_auth_users: {{alice: {}}}\n", hash("open")?))?;
    let guarded = web.launch(FEWEST_PROGRAMS, &[])?.confined().start_guarded()?;
    let options = web.trusting(&["--user", "alice:open"])?;
    let url = format!("https://{}/metrics", guarded.address());
    ensure!(curl(&url, &options.options())?.status == 200, "no scrape over TLS");
    let (status, said) = guarded.stop(Signal::SIGTERM)?;
    ensure!(status.success(), "{status}: {said}");

    let demonstration = Launch::demonstration().confined().start()?;
    demonstration.scrape()?;
    let (status, said) = demonstration.stop(Signal::SIGTERM)?;
    ensure!(status.success(), "{status}: {said}");
    Ok(())
}
