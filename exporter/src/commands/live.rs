//! What the commands that look at the kernel now and then have in common: programs of their own, a collector, and an error.

use crate::{
    lifecycle::{
        clock::since_1970,
        exit::{Ends, Exit},
        setup,
        start::{Checked, StartError},
        threads,
    },
    serve::{
        collect::{CollectError, Collector, KernelSource, Others},
        workloads,
    },
};
use std::{io, path::Path, sync::Arc, time::Duration};
use tcpvitals_config::{Config, DropLabel, label::Row, numbering::Numbering};
use tcpvitals_kernel::{Kernel, plan::purpose::Purpose};
use tcpvitals_metrics::host::Part;
use tokio::runtime::Runtime;

/// Why nothing, or no more, is shown.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nothing can be drawn.
    #[error(
        "top draws on a terminal, and standard output is none; print once with `top --once --output json` or `--output text`"
    )]
    NoTerminal,
    /// The kernel could not be read again.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// A command that shows something cannot write, wait or use the terminal.
    #[error("show what the kernel says: {0}")]
    Show(#[from] io::Error),
}

impl Ends for LiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::Start(error) => error.exit(),
            Self::NoTerminal => Exit::Usage,
            Self::Collect(_) | Self::Show(_) => Exit::Failed,
        }
    }
}

/// Reads the configuration: every screen is read anew.
///
/// # Errors
/// [`StartError::Config`]
pub fn config(file: Option<&Path>) -> Result<Config, StartError> {
    let mut config = setup::config(file)?;
    config.collect.max_age = Duration::ZERO;
    // One command judges, and says so itself.
    config.findings.enabled = false;
    Ok(config)
}

/// Loads the programs for a configuration and gives up all privileges. The runtime is for one thread that waits; the kernel is
/// read on another one. `asked` are labels that rows have to have certain values of.
///
/// # Errors
/// [`StartError`]; nothing stays loaded.
pub fn start(
    mut config: Config,
    btf: Option<&Path>,
    asked: impl Iterator<Item = &'static Row>,
) -> Result<(Collector, Runtime), StartError> {
    if config.workloads.are_told_apart() {
        // Whatever the metrics leave out.
        let labels = [DropLabel::Workload, DropLabel::WorkloadNamespace];
        config.shown.labels.drops.extend(labels);
    }
    let config = &config;
    let started = since_1970();
    let checked = Checked::new(config, btf, Purpose::Serve)?.require(asked)?;
    let (source, numbering) = load_checked(checked, config, Vec::new(), started)?;
    let collector = Collector::new(source.into(), config, numbering, Others::default(), started)?;
    Ok((collector, threads::runtime("tcpvitals", 0, 1)?))
}

/// The same without a collector. `host_off` is what is not read of the host, and why; counters begin at `started`, since 1970.
///
/// # Errors
/// [`StartError`]; nothing stays loaded.
pub fn load(
    config: &Config,
    btf: Option<&Path>,
    host_off: Vec<(Part, String)>,
    started: Duration,
) -> Result<KernelSource, StartError> {
    let checked = Checked::new(config, btf, Purpose::Serve)?;
    Ok(load_checked(checked, config, host_off, started)?.0)
}

fn load_checked(
    checked: Checked,
    config: &Config,
    host_off: Vec<(Part, String)>,
    started: Duration,
) -> Result<(KernelSource, Numbering), StartError> {
    let numbering = Numbering::new(config);
    let loaded = checked
        .keep_needed()?
        .load(setup::tables(config, &numbering), Kernel::load)?;
    let mut kernel = loaded.drop_capabilities()?;
    let workloads = Arc::default();
    workloads::follow(&mut kernel, config, &workloads)?;
    Ok((KernelSource::new(kernel, workloads, host_off, started)?, numbering))
}
