//! What is served on: several addresses, names, unix sockets, and the sockets that systemd passes.

use std::fs::{metadata, write};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tests::exporter::{FEWEST_PROGRAMS, Launch, binary, config_file, free_address, run};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::readers::curl::curl;

#[test]
fn every_address_answers_and_a_socket_is_for_its_group_and_goes_at_the_end() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let socket = folder.path().join("http.sock");
    let path = socket.to_str().context("a path that is text")?;
    // Left by one that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket)?);
    let (other, by_name) = (free_address()?, free_address()?);
    let exporter = Launch::new("limits: {connections_per_peer: 1}\n")
        .arguments(&[
            &format!("--web.listen-address={other}"),
            &format!("--web.listen-address=localhost:{}", by_name.port()),
            &format!("--web.listen-address=unix://{path}"),
        ])
        .start()?;
    for host in [
        exporter.address().to_string(),
        other.to_string(),
        format!("localhost:{}", by_name.port()),
        format!("127.0.0.1:{}", by_name.port()),
    ] {
        let answer = curl(&format!("http://{host}/metrics"), &[])?;
        assert_eq!(answer.status, 200, "{host}");
    }
    let data = metadata(&socket)?;
    assert!(data.file_type().is_socket());
    assert_eq!(data.permissions().mode() & 0o777, 0o660);
    let (by_socket, foreign) = (["--unix-socket", path], ["--header", "Host: any.example"]);
    // No browser opens it, so no name of a host is foreign; who can open it counts as this host.
    for path in ["/metrics", "/api/v1/flows", "/api/v1/flows?limit=1"] {
        let options = [by_socket, foreign].concat();
        let answer = curl(&format!("http://localhost{path}"), &options)?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    assert_eq!(curl(&format!("http://{other}/metrics"), &foreign)?.status, 403);
    // Far more connections than a peer may have.
    let many: Vec<_> = (0..20)
        .map(|_| std::os::unix::net::UnixStream::connect(&socket))
        .collect::<Result<_, _>>()?;
    assert_eq!(curl("http://localhost/metrics", &by_socket)?.status, 200);
    drop(many);
    let (status, said) = exporter.stop(Signal::SIGTERM)?;
    ensure!(status.success() && !socket.exists(), "{said}");
    Ok(())
}

#[test]
fn an_address_that_cannot_be_had_is_named_with_its_holder_and_a_next_step() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = tests::exporter::start(FEWEST_PROGRAMS)?;
    let address = exporter.address();
    let serve = |listen: &str| run(&["serve", &format!("--web.listen-address={listen}")]);
    let taken = serve(&address.to_string())?;
    let expected = format!(
        "tcpvitals: listening on {address} failed: tcpvitals (pid {}) uses it. Stop that, or choose another port with \
         --web.listen-address.\n",
        exporter.process()
    );
    assert_eq!((taken.code, taken.stderr.as_str()), (Some(1), expected.as_str()));
    let absent = serve("192.0.2.1:0")?;
    assert_eq!(absent.code, Some(1));
    assert!(
        absent
            .stderr
            .contains("192.0.2.1:0 failed: this host has no such address. "),
        "{absent:?}"
    );
    let name = serve("no-such-host.invalid:0")?;
    assert!(
        name.stderr
            .contains("the name no-such-host.invalid has no address here. "),
        "{name:?}"
    );
    let low = Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ])
        .arg(binary()?)
        .args(["serve", "--web.listen-address=:1"])
        .output()?;
    let said = String::from_utf8_lossy(&low.stderr).into_owned();
    // Where everybody may have these ports, the programs are what fails.
    let for_all = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")?.trim() == "0";
    assert!(for_all || said.contains("ports below 1024 need root"), "{said}");
    for said in [&taken.stderr, &absent.stderr, &name.stderr, &said] {
        assert!(!said.contains("os error"), "{said}");
    }
    let none = run(&["serve", "--web.systemd-socket"])?;
    assert!(
        none.stderr
            .contains("the sockets of systemd failed: none were passed to this process"),
        "{none:?}"
    );
    Ok(())
}

#[test]
fn the_sockets_of_systemd_are_served_and_belong_to_one_process() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let socket = folder.path().join("http.sock");
    let path = socket.to_str().context("a path that is text")?;
    let address = free_address()?;
    let config = config_file(FEWEST_PROGRAMS)?;
    let log = folder.path().join("log");
    write(&log, "")?;
    let mut child = Command::new("systemd-socket-activate")
        .args([&format!("--listen={address}"), &format!("--listen={path}")])
        .arg(binary()?)
        .args(["serve", "--web.systemd-socket", "--config.file"])
        .arg(config.path())
        .stderr(std::fs::File::create(&log)?)
        .spawn()
        .context("start systemd-socket-activate")?;
    let served = until("an answer at the passed address", || {
        let answer = curl(&format!("http://{address}/readyz"), &["--max-time", "60"]);
        Ok(answer.ok().filter(|answer| answer.status == 200))
    });
    let by_socket = served.and_then(|_| curl("http://localhost/metrics", &["--unix-socket", path]));
    child.kill()?;
    child.wait()?;
    let said = std::fs::read_to_string(&log)?;
    assert_eq!(by_socket.with_context(|| said.clone())?.status, 200);
    assert!(said.contains(&address.to_string()) && said.contains(path), "{said}");
    // For another process than the one that LISTEN_PID names they are none.
    let foreign = Command::new(binary()?)
        .args(["serve", "--web.systemd-socket"])
        .envs([("LISTEN_FDS", "1"), ("LISTEN_PID", "1")])
        .output()?;
    let said = String::from_utf8_lossy(&foreign.stderr);
    assert!(said.contains("none were passed"), "{said}");
    Ok(())
}
