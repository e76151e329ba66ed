//! The manual page and the completions, read by the programs that they are made for.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use clap_complete::Shell;
use tcpvitals::cli::manual;

/// Runs a program on a text and gives what it says.
fn read_by(program: &str, arguments: &[&str], text: &str) -> Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {program}: `tests/setup.sh` brings it"))?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(text.as_bytes())?;
    Ok(child.wait_with_output()?)
}

#[test]
fn groff_formats_the_page_without_a_warning() -> Result<()> {
    let arguments = ["-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=78n"];
    let formatted = read_by("groff", &arguments, &manual::page()?)?;
    let warnings = String::from_utf8(formatted.stderr)?;
    assert!(formatted.status.success() && warnings.is_empty(), "{warnings}");
    let text = String::from_utf8(formatted.stdout)?;
    for heading in ["NAME", "SYNOPSIS", "TCPVITALS DOCTOR", "ENVIRONMENT"] {
        assert!(text.contains(heading), "{heading} is missing in {text}");
    }
    let broken = read_by("groff", &arguments, ".TH A 8\n.SH A\n.nosuchmacro\n")?;
    assert!(!broken.stderr.is_empty(), "a broken page has no warning");
    Ok(())
}

#[test]
fn bash_completes_commands_and_options() -> Result<()> {
    let script = manual::completions(Shell::Bash);
    for (words, expected) in [
        ("tcpvitals check", "check-config"),
        ("tcpvitals serve --web.lis", "--web.listen-address"),
        ("tcpvitals docs completions z", "zsh"),
    ] {
        let last = words.rsplit(' ').next().unwrap_or_default();
        let ask = format!(
            "\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _tcpvitals tcpvitals {last} ''\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let completed = read_by("bash", &["--norc", "-eu"], &(script.clone() + &ask))?;
        let complaint = String::from_utf8(completed.stderr)?;
        assert!(
            completed.status.success() && complaint.is_empty(),
            "{words}: {complaint}"
        );
        let offered = String::from_utf8(completed.stdout)?;
        assert!(offered.lines().any(|line| line == expected), "{words}: {offered}");
    }
    Ok(())
}
