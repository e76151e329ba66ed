//! Makes `deploy/demo.rec`, which `tcpvitals demo` serves: traffic of an hour between namespaces on the kernel of this machine, with an
//! incident in the middle, and `tcpvitals record` beside it. `make demo-recording` runs it as root.

#![expect(clippy::print_stderr, reason = "what is going on, while it does")]

mod incident;
mod scene;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use tests::exporter::{binary, config_file};

use scene::Scene;

/// Records a demonstration.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long, in seconds
    #[arg(long, default_value = "3600")]
    seconds: u32,
    /// Between two moments, in seconds
    #[arg(long, default_value = "5")]
    interval: u32,
    /// Where the recording goes
    file: PathBuf,
}

fn main() -> Result<()> {
    let Arguments {
        seconds,
        interval,
        file,
    } = Arguments::parse();
    let scene = Scene::new()?;
    let config = config_file(&scene.config())?;
    let mut recorder = Command::new(binary()?)
        .arg("record")
        .args(["--host", "shop-1", "--named-only"])
        .args(["--interval", &format!("{interval}s")])
        .args(["--duration", &format!("{seconds}s")])
        .args(["--entry", &format!("{}s", seconds / 2)])
        .arg("--config.file")
        .arg(config.path())
        .arg("--output")
        .arg(&file)
        .spawn()
        .context("start the recorder")?;
    let ended = scene.play(Duration::from_secs(seconds.into()), || {
        Ok(recorder.try_wait()?.is_some())
    });
    // Whatever became of the traffic, what was recorded is whole only once the recorder has ended.
    let status = recorder.wait().context("wait for the recorder")?;
    ended?;
    ensure!(status.success(), "the recorder ended with {status}");
    Ok(())
}
