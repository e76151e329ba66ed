//! What goes wrong before the start: an exit code for scripts, and a sentence with place and remedy for people.

use std::fs::{Permissions, set_permissions, write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;
use tests::exporter::{Finished, config_file, run};
use tests::machine::turn;

const CANNOT_SERVE: i32 = 1;
const BAD_CONFIGURATION: i32 = 2;
const CANNOT_MEASURE: i32 = 3;

/// Requires one sentence on standard error with all of `words`, nothing on standard output, and the exit code.
#[track_caller]
fn require_failure(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    assert_eq!(finished.stdout, "", "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "no {word:?} in {}", finished.stderr);
    }
    assert!(
        !finished.stderr.contains("panicked") && !finished.stderr.contains("backtrace"),
        "{}",
        finished.stderr
    );
}

/// Requires that a configuration is refused with the line and these words, whether it is to be used or only checked.
#[track_caller]
fn check(config: &str, line: u32, words: &[&str]) -> Result<()> {
    let _turn = turn::shared()?;
    let file = config_file(config)?;
    let path = file.path().to_str().context("a path that is text")?;
    let place = format!("{path}:{line}");
    let words: Vec<_> = words.iter().copied().chain([place.as_str()]).collect();
    require_failure(&run(&["check-config", path])?, BAD_CONFIGURATION, &words);
    require_failure(
        &run(&["serve", "--config.file", path, "--web.listen-address=127.0.0.1:0"])?,
        BAD_CONFIGURATION,
        &words,
    );
    Ok(())
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_there_are() -> Result<()> {
    check("tcp: {detail: full}\nsubnet: []\n", 2, &["subnet", "subnets", "limits"])
}

#[test]
fn a_network_that_is_none_is_refused() -> Result<()> {
    check("subnets:\n  - {name: a, cidrs: [10.0.0.0/33]}\n", 2, &["10.0.0.0/33"])
}

#[test]
fn a_network_given_twice_is_refused() -> Result<()> {
    check(
        "subnets:\n  - {name: a, cidrs: [10.0.0.0/8]}\n  - {name: b, cidrs: [10.0.0.0/8]}\n",
        3,
        &["10.0.0.0/8", "already"],
    )
}

#[test]
fn a_port_out_of_range_is_refused_with_the_range() -> Result<()> {
    check(
        "app_protocols:\n  - {name: a, ports: [65536]}\n",
        2,
        &["65536", "65535"],
    )
}

#[test]
fn a_text_that_is_no_yaml_is_refused() -> Result<()> {
    check("tcp: {detail: full}\n\tlimits: {}\n", 2, &["YAML"])
}

#[test]
fn a_good_file_is_good_without_root_or_kernel() -> Result<()> {
    let _turn = turn::shared()?;
    let file = config_file("tcp: {detail: essential}\n")?;
    let finished = run(&["check-config", file.path().to_str().context("a path that is text")?])?;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() -> Result<()> {
    let _turn = turn::shared()?;
    let folder = TempDir::new()?;
    let absent = folder.path().join("absent.yaml");
    let invalid = folder.path().join("invalid.yaml");
    write(&invalid, [0xff, 0xfe, 0x00])?;
    set_permissions(&invalid, Permissions::from_mode(0o644))?;
    for (path, reason) in [
        (absent.as_path(), "no such file"),
        (folder.path(), "directory"),
        (invalid.as_path(), "UTF-8"),
    ] {
        let path = path.to_str().context("a path that is text")?;
        for arguments in [
            &["check-config", path][..],
            &["serve", "--config.file", path, "--web.listen-address=127.0.0.1:0"],
        ] {
            require_failure(&run(arguments)?, BAD_CONFIGURATION, &[path, reason]);
        }
    }
    Ok(())
}

#[test]
fn an_address_in_use_is_named_with_a_remedy() -> Result<()> {
    let _turn = turn::shared()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let config = config_file("")?;
    let path = config.path().to_str().context("a path that is text")?;
    let finished = run(&[
        "serve",
        "--config.file",
        path,
        &format!("--web.listen-address={address}"),
    ])?;
    require_failure(&finished, CANNOT_SERVE, &[&address, "uses it", "--web.listen-address"]);
    Ok(())
}

#[test]
fn kernel_types_that_cannot_be_read_are_named() -> Result<()> {
    let _turn = turn::shared()?;
    let config = config_file("")?;
    let folder = TempDir::new()?;
    let (absent, broken) = (folder.path().join("absent.btf"), folder.path().join("broken.btf"));
    write(&broken, b"no type information")?;
    for btf in [absent, broken] {
        let btf = btf.to_str().context("a path that is text")?;
        let path = config.path().to_str().context("a path that is text")?;
        let finished = run(&[
            "serve",
            "--config.file",
            path,
            "--web.listen-address=127.0.0.1:0",
            "--btf",
            btf,
        ])?;
        require_failure(&finished, CANNOT_MEASURE, &[btf]);
    }
    Ok(())
}

#[test]
fn the_doctor_tells_people_and_programs_what_would_run() -> Result<()> {
    let _turn = turn::shared()?;
    let short = run(&["doctor"])?;
    assert_eq!(short.code, Some(0), "{short:?}");
    assert!(
        short.stdout.starts_with("OK  everything that is configured works on "),
        "{}",
        short.stdout
    );
    assert!(!short.stdout.contains("tcp_probe"), "{}", short.stdout);
    let text = run(&["doctor", "--verbose"])?;
    assert_eq!(text.code, Some(0), "{text:?}");
    for word in ["inet_sock_set_state", "tcp_probe", "kfree_skb"] {
        assert!(text.stdout.contains(word), "no {word} in {}", text.stdout);
    }
    let json = run(&["doctor", "--output", "json"])?;
    assert_eq!(json.code, Some(0), "{json:?}");
    let report: Value = serde_json::from_str(&json.stdout).context("parse what the doctor says")?;
    assert!(report.is_object(), "{report}");
    assert!(json.stdout.contains("inet_sock_set_state"), "{report}");
    Ok(())
}

#[test]
fn an_unknown_option_is_an_error_of_the_command_line() -> Result<()> {
    let _turn = turn::shared()?;
    let finished = run(&["serve", "--no-such-option"])?;
    require_failure(&finished, BAD_CONFIGURATION, &["--no-such-option", "--help"]);
    Ok(())
}

#[test]
fn words_of_the_command_line_do_nothing_to_a_terminal() -> Result<()> {
    let _turn = turn::shared()?;
    const WORD: &str = "x\u{1b}[31m\u{202e}";
    let file = format!("/absent/{WORD}");
    for arguments in [
        &[
            "capture",
            "--extcap-interface",
            WORD,
            "--capture",
            "--fifo",
            "/absent/fifo",
        ][..],
        &["trace", "--subnet", WORD],
        &["trace", "--read", &file],
        &["capture", "-w", &file],
        &["check-config", &file],
        &["serve", "--log.level", WORD],
        &["serve", "--btf", &file],
        &["serve", WORD],
        &[WORD],
    ] {
        let finished = run(arguments)?;
        assert!(matches!(finished.code, Some(1..=3)), "{arguments:?}: {finished:?}");
        let said = &finished.stderr;
        assert!(said.contains('x'), "{arguments:?}: {said:?}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{arguments:?}: {said:?}");
    }
    Ok(())
}
