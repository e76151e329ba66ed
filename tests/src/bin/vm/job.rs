//! What a guest does: the test program, the exporter and a script that runs them. From a kernel of the matrix to files of
//! the guest's archive; nothing is started here but cargo.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::settings::{DIVISOR, PATIENCE};

use crate::initramfs::Archive;
use crate::matrix::Kernel;
use crate::programs::run;

/// Tests of what no kernel changes: how the exporter is asked, and whom it tells.
const ABOVE_THE_KERNEL: [&str; 5] = ["web::", "api::", "page::", "otlp::", "formats::"];

/// Where the exporter must refuse: so must the doctor, which with securityfs can tell a lockdown without loading anything.
const REFUSED: &str = "\
    ./tcpvitals serve --web.listen-address=127.0.0.1:0; served=$?
    mount -t securityfs none /sys/kernel/security
    ./tcpvitals doctor; diagnosed=$?
    [ $diagnosed = $served ] && exit $served
    exit 1
";

/// The files of every guest's job.
#[derive(Debug)]
pub(crate) struct Job {
    exporter: PathBuf,
    tests: PathBuf,
}

impl Job {
    /// Compiles the test program and leaves out what only a debugger needs. `folder` takes the result.
    pub(crate) fn prepare(exporter: Option<&Path>, folder: &Path) -> Result<Self> {
        let exporter = exporter.map_or_else(built, |path| Ok(path.to_owned()))?;
        Ok(Self {
            exporter: stripped(&exporter, folder.join("tcpvitals"))?,
            tests: stripped(&test_program()?, folder.join("tests"))?,
        })
    }

    /// Adds the job for a kernel.
    pub(crate) fn add_to(
        &self,
        archive: &mut Archive,
        kernel: &Kernel,
        filter: &[String],
        command: Option<&str>,
    ) -> Result<()> {
        archive.program("job/tcpvitals", &self.exporter)?;
        archive.program("job/tests", &self.tests)?;
        let script = if let Some(command) = command {
            format!("export PATH=$PATH:/job\n{command}\n")
        } else if kernel.refuses.is_some() {
            REFUSED.to_owned()
        } else {
            let filter = if filter.is_empty() { &kernel.only } else { filter };
            let skipped = ABOVE_THE_KERNEL
                .iter()
                .filter(|module| !filter.iter().any(|word| word.contains(*module)));
            let skips = skipped
                .map(|module| format!("--skip {module}"))
                .collect::<Vec<_>>()
                .join(" ");
            let filter = filter.join(" ");
            let settings = format!("TCPVITALS_BIN=/job/tcpvitals {PATIENCE}=40 {DIVISOR}=20");
            format!("export {settings} NO_COLOR=1 RUST_TEST_THREADS=2\nexec ./tests {filter} {skips}\n")
        };
        archive.add("job/run", 0o644, script.as_bytes())
    }
}

/// What lies in the folder where cargo builds.
fn built() -> Result<PathBuf> {
    let own = env::current_exe().context("find out where this program lies")?;
    // target/PROFILE/vm
    let target = own.ancestors().nth(2).context("this program lies in no build folder")?;
    ["release", "debug"]
        .map(|profile| target.join(profile).join("tcpvitals"))
        .into_iter()
        .find(|path| path.is_file())
        .context("no exporter has been built: `make build`")
}

fn test_program() -> Result<PathBuf> {
    let messages = run(
        option_env!("CARGO").unwrap_or("cargo"),
        &[
            "test",
            "--package=tests",
            "--test=kernel",
            "--no-run",
            "--message-format=json",
        ],
    )?;
    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = artifacts.filter(|message| message["target"]["name"] == "kernel");
    let program = programs.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.context("cargo names no test program")
}

fn stripped(file: &Path, to: PathBuf) -> Result<PathBuf> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is text");
    run("strip", &["--strip-debug", "-o", &text(&to)?, &text(file)?])?;
    Ok(to)
}
