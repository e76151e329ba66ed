//! Processes: starting, failing, ending, and what the kernel knows of them.

use std::path::Path;
use std::process::{self, Command};

use anyhow::Result;
use tests::exporter::{Launch, run_command};
use tests::kernel::processes::{Capabilities, programs_of, status, still_loaded};
use tests::machine::turn;

#[test]
fn a_run_gives_its_code_and_both_its_outputs() -> Result<()> {
    let finished = run_command(Command::new("sh").args(["-c", "echo data; echo word >&2; exit 3"]))?;
    assert_eq!(
        (finished.code, &*finished.stdout, &*finished.stderr),
        (Some(3), "data\n", "word\n")
    );
    Ok(())
}

#[test]
fn a_run_may_say_more_than_a_pipe_holds() -> Result<()> {
    let finished = run_command(Command::new("head").args(["--bytes=1000000", "/dev/zero"]))?;
    assert_eq!((finished.code, finished.stdout.len()), (Some(0), 1_000_000));
    Ok(())
}

#[test]
fn an_exporter_that_ends_at_once_is_quoted() -> Result<()> {
    let _turn = turn::shared()?;
    let wrapper = ["sh", "-c", "echo no kernel here >&2; exit 3", "its-name"];
    let error = Launch::new("")
        .binary(Path::new("/bin/true"))
        .wrapped_in(&wrapper)
        .start()
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("exit status: 3") && error.contains("no kernel here"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_kernel_tells_what_a_process_holds() -> Result<()> {
    let _turn = turn::shared()?;
    let own = Capabilities::of(process::id())?;
    assert_ne!(own.effective, 0);
    assert!(status(process::id(), "Uid")?.starts_with("0\t"));
    let programs = programs_of(process::id())?;
    assert!(programs.is_empty(), "the test itself has loaded {programs:?}");
    assert!(still_loaded(&[u32::MAX].into())?.is_empty());
    Ok(())
}
