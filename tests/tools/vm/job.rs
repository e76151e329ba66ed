//! What a guest does: the test program, the exporter and a script that runs them. From a kernel of the matrix to files of
//! the guest's archive; nothing is started here but cargo and strip.

use std::env;
use std::fs::create_dir_all;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::machine::settings::{DIVISOR, PATIENCE, REQUIRE};

use crate::architecture::{Architecture, Cross};
use crate::initramfs::Archive;
use crate::matrix::Kernel;
use crate::programs::{run, text};

/// Tests of what no kernel changes: how the exporter is asked, and whom it tells.
const ABOVE_THE_KERNEL: [&str; 5] = ["web::", "api::", "page::", "otlp::", "formats::"];

/// Tests that need a second processor: `make test-interrupts` runs them by their name.
const INTERRUPTED: &str = "interrupts::";

/// Where the exporter must refuse: so must the doctor, which with securityfs can tell a lockdown without loading anything.
const REFUSED: &str = "\
    ./tcpvitals serve --web.listen-address=127.0.0.1:0; served=$?
    mount -t securityfs none /sys/kernel/security
    ./tcpvitals doctor; diagnosed=$?
    [ $diagnosed = $served ] && exit $served
    exit 1
";

/// The files of every guest's job, for one architecture.
#[derive(Debug)]
pub(crate) struct Job {
    exporter: PathBuf,
    tests: PathBuf,
}

impl Job {
    /// Compiles the test program, for another architecture the exporter too, and leaves out what only a debugger needs.
    /// `exporter` is that of this machine; `cache` takes the result.
    pub(crate) fn prepare(architecture: Architecture, exporter: Option<&Path>, cache: &Path) -> Result<Self> {
        let folder = cache.join("job").join(architecture.name());
        create_dir_all(&folder)?;
        let (exporter, strip) = match architecture.cross() {
            None => (exporter.map_or_else(built, |path| Ok(path.to_owned()))?, "strip"),
            Some(cross) => {
                println!("vm: compiling exporter and tests for {}", cross.target);
                let exporter = compiled(&["build", "--release", "--package=tcpvitals"], Some(cross), "tcpvitals")?;
                (exporter, cross.strip)
            }
        };
        // With what this machine's own tests are built with: by the package's name alone cargo would compile crates again, with fewer
        // features. For another architecture they are the fewest that do.
        let packages: &[&str] = match architecture.cross() {
            None => &["--workspace", "--exclude=ebpf"],
            Some(_) => &["--package=tests"],
        };
        let arguments = [&["test", "--test=kernel", "--no-run"], packages].concat();
        let tests = compiled(&arguments, architecture.cross(), "kernel")?;
        Ok(Self {
            exporter: stripped(strip, &exporter, folder.join("tcpvitals"))?,
            tests: stripped(strip, &tests, folder.join("tests"))?,
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
                .chain([&INTERRUPTED])
                .filter(|module| !filter.iter().any(|word| word.contains(*module)));
            let skips = skipped
                .map(|module| format!("--skip {module}"))
                .collect::<Vec<_>>()
                .join(" ");
            let filter = filter.join(" ");
            let settings = format!("TCPVITALS_BIN=/job/tcpvitals {PATIENCE}=300 {DIVISOR}=20 {REQUIRE}=all");
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

/// Compiles by cargo and gives the program of a target of the package.
fn compiled(arguments: &[&str], cross: Option<&Cross>, name: &str) -> Result<PathBuf> {
    let mut arguments = arguments
        .iter()
        .map(|argument| (*argument).to_owned())
        .collect::<Vec<_>>();
    if let Some(Cross { target, linker, .. }) = cross {
        let linker = format!("target.{target}.linker={linker:?}");
        arguments.extend([format!("--target={target}"), format!("--config={linker}")]);
    }
    arguments.push("--message-format=json".to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let messages = run(option_env!("CARGO").unwrap_or("cargo"), &arguments)?;
    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = artifacts.filter(|message| message["target"]["name"] == name);
    let program = programs.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.with_context(|| format!("cargo names no program {name}"))
}

/// Leaves out of a program what only a debugger needs.
pub(crate) fn stripped(strip: &str, file: &Path, to: PathBuf) -> Result<PathBuf> {
    run(strip, &["--strip-debug", "-o", text(&to)?, text(file)?])?;
    Ok(to)
}
