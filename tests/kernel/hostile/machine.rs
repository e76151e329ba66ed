//! What a machine does not give: an exit code and a remedy at the start, and never a process that looks alive and is not.

use std::fs::read_dir;
use std::process::{Command, Stdio, id};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::exporter::{FEWEST_PROGRAMS, Launch, binary, config_file, run, run_command, start};
use tests::kernel::processes::status;
use tests::machine::settings::patience;
use tests::machine::turn;
use tests::machine::wait::until;

use crate::privileges::public_binary;

/// The words before a program that make it one of a user that nobody else is, with a limit of prlimit(1).
fn limited(limit: &str) -> [String; 9] {
    let (user, capabilities) = (47_000 + id() % 1000, "-all,+bpf,+perfmon,+syslog");
    [
        "setpriv".to_owned(),
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".to_owned(),
        format!("--inh-caps={capabilities}"),
        format!("--ambient-caps={capabilities}"),
        format!("--bounding-set={capabilities}"),
        "prlimit".to_owned(),
        limit.to_owned(),
    ]
}

/// Runs `serve` so, until it ends or has long had the time to.
fn serve_limited(limit: &str) -> Result<tests::exporter::Finished> {
    let (folder, config) = (public_binary()?, config_file(FEWEST_PROGRAMS)?);
    let (words, longest) = (limited(limit), patience().as_secs().to_string());
    let (program, words) = words.split_first().context("no words")?;
    let mut command = Command::new(program);
    command
        .args(words)
        .args(["timeout", "--signal=TERM", &longest])
        .arg(folder.path().join("tcpvitals"))
        .args(["serve", "--web.listen-address=127.0.0.1:0", "--config.file"])
        .arg(config.path());
    run_command(&mut command)
}

#[test]
fn too_few_threads() -> Result<()> {
    let _turn = turn::shared()?;
    for most in [2, 3, 4, 5, 7, 9, 12] {
        let finished = serve_limited(&format!("--nproc={most}:{most}"))?;
        assert_eq!(finished.code, Some(1), "{most}: {finished:?}");
        assert!(
            finished.stderr.contains("threads more cannot be started") && finished.stderr.contains("pids.max"),
            "{most}: {finished:?}"
        );
        assert!(!finished.stderr.contains("panicked"), "{most}: {finished:?}");
    }
    // Enough: it serves until it is told to end.
    let (folder, words) = (public_binary()?, limited("--nproc=40:40"));
    let exporter = Launch::new(FEWEST_PROGRAMS)
        .binary(&folder.path().join("tcpvitals"))
        .wrapped_in(&words.each_ref().map(String::as_str))
        .start()?;
    let (status, said) = exporter.stop(Signal::SIGTERM)?;
    assert!(status.success(), "{status}: {said}");
    Ok(())
}

#[test]
fn requests_that_want_threads() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let threads = || Ok::<_, anyhow::Error>(read_dir(format!("/proc/{}/task", exporter.process()))?.count());
    let at_start = threads()?;
    for path in ["/metrics", "/api/v1/flows", "/api/v1/drops", "/", "/readyz"] {
        assert_eq!(exporter.get(path, "*/*")?.status, 200, "{path}");
    }
    exporter.signal(Signal::SIGHUP)?;
    until("the reload", || {
        Ok(exporter.stderr().contains("configuration reloaded").then_some(()))
    })?;
    assert_eq!(threads()?, at_start);
    Ok(())
}

#[test]
fn too_few_descriptors() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = Launch::new(FEWEST_PROGRAMS)
        .wrapped_in(&["prlimit", "--nofile=100:5000"])
        .start()?;
    assert_eq!(exporter.scrape()?.value("process_max_fds", &[])?, 5000.0);
    drop(exporter);
    for most in [32, 66, 68, 600] {
        let finished = serve_limited(&format!("--nofile={most}:{most}"))?;
        assert_eq!(finished.code, Some(1), "{most}: {finished:?}");
        assert!(
            finished.stderr.contains("files may be open") && finished.stderr.contains("LimitNOFILE="),
            "{most}: {finished:?}"
        );
    }
    Ok(())
}

#[test]
fn too_little_stack() -> Result<()> {
    let _turn = turn::shared()?;
    // A soft limit is raised.
    let exporter = Launch::new(FEWEST_PROGRAMS)
        .wrapped_in(&["prlimit", "--stack=65536:8388608"])
        .start()?;
    drop(exporter);
    let finished = serve_limited("--stack=65536:65536")?;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("the stack may have only 64 KiB") && finished.stderr.contains("LimitSTACK="),
        "{finished:?}"
    );
    Ok(())
}

#[test]
fn terminals_of_any_size() -> Result<()> {
    let _turn = turn::shared()?;
    let inner = format!("stty rows 65535 cols 65535; exec {} top", binary()?.display());
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &inner, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start script(1)")?;
    let children = format!("/proc/{0}/task/{0}/children", script.id());
    let top = until("top to start", || {
        let children = std::fs::read_to_string(&children)?;
        let Some(child) = children.split_whitespace().next() else {
            return Ok(None);
        };
        let child: u32 = child.parse()?;
        let is_top = std::fs::read_to_string(format!("/proc/{child}/comm"))?.trim() == "tcpvitals";
        Ok(is_top.then_some(child))
    })?;
    sleep(Duration::from_secs(4));
    let peak: u64 = status(top, "VmHWM")?
        .split_whitespace()
        .next()
        .context("no number")?
        .parse()?;
    kill(Pid::from_raw(i32::try_from(top)?), Signal::SIGTERM)?;
    until("top to end", || Ok(script.try_wait()?))?;
    // A million characters, twice.
    assert!(peak < 400 << 10, "{peak} kB");
    Ok(())
}

#[test]
fn captures_into_folders() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner)?;
    let path = inner.display().to_string();
    for path in [
        path.clone(),
        path.clone() + "/",
        path.clone() + "/..",
        path + "/absent/",
    ] {
        for rotated in [&[][..], &["--rotate-size", "1MiB"]] {
            let arguments = [&["capture", "-w", &path, "--duration", "100ms"], rotated].concat();
            let finished = run(&arguments)?;
            assert_eq!(finished.code, Some(2), "{path}: {finished:?}");
            assert!(finished.stderr.contains("is a folder"), "{path}: {finished:?}");
        }
    }
    assert_eq!(read_dir(folder.path())?.count(), 1);
    assert_eq!(read_dir(&inner)?.count(), 0);
    Ok(())
}

#[test]
fn logs_that_may_not_grow() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let log = folder.path().join("log");
    let serve = format!(
        "ulimit -f 0; exec timeout --preserve-status --signal=TERM 4 {} serve --web.listen-address=127.0.0.1:0 2>{}",
        binary()?.display(),
        log.display()
    );
    let finished = run_command(Command::new("sh").args(["-c", &serve]))?;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(log.metadata()?.len(), 0);
    Ok(())
}
