//! What the commands that look at the kernel now and then have in common: programs of their own, a collector, and an error.

use crate::{
    cli::filters::{FilterError, Filters},
    lifecycle::{
        clock::since_1970,
        exit::{Ends, Exit},
        host::why_another_namespace,
        setup,
        start::{Checked, StartError},
        threads,
    },
    serve::{
        collect::{CollectError, Collector, KernelSource, Others},
        workloads,
    },
};
use std::{io, path::Path, sync::Arc, thread, time::Duration};
use tcpvitals_config::{Config, DropLabel, numbering::Numbering};
use tcpvitals_kernel::{Kernel, plan::purpose::Purpose};
use tokio::runtime::Runtime;

/// Time between the programs and the first reading.
const FIRST_EVENTS: Duration = Duration::from_millis(200);

/// Why nothing, or no more, is shown.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nothing can be drawn.
    #[error("top needs a terminal; for a pipe or file use \"tcpvitals top --once\"")]
    NoTerminal,
    /// Nothing can be what is asked for.
    #[error(transparent)]
    Filters(#[from] FilterError),
    /// Rows have no such column.
    #[error("unknown sort key {key:?}; {rows} have {keys}")]
    Sort {
        key: String,
        /// What rows are, in the plural.
        rows: &'static str,
        keys: String,
    },
    /// The kernel could not be read again.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// A command that shows something cannot write, wait or use the terminal.
    #[error("cannot write the output: {0}")]
    Show(#[from] io::Error),
}

impl Ends for LiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::Start(error) => error.exit(),
            Self::Filters(error) => error.exit(),
            Self::NoTerminal | Self::Sort { .. } => Exit::Usage,
            Self::Collect(_) | Self::Show(_) => Exit::Failed,
        }
    }
}

/// Reads the configuration: every screen is read anew.
///
/// # Errors
/// [`StartError::Config`]
pub fn config(file: Option<&Path>) -> Result<Config, StartError> {
    let mut config = setup::config_beside(file)?;
    config.collect.max_age = Duration::ZERO;
    // One command judges, and says so itself.
    config.findings.enabled = false;
    Ok(config)
}

/// The same for whoever shows findings too: with what rules read of a drop, and what filters choose by, whatever the metrics show.
///
/// # Errors
/// [`LiveError::Start`], [`LiveError::Filters`]
pub fn judging(file: Option<&Path>, filters: &Filters) -> Result<Config, LiveError> {
    let mut config = config(file)?;
    filters.check(&config)?;
    config.findings.enabled = true;
    config.shown.labels.drops = DropLabel::defaults().chain(filters.drops.labels()).collect();
    Ok(config)
}

/// Loads the programs for a configuration and gives up all privileges. The runtime is for one thread that waits; the kernel is
/// read on another one. `filters` say what rows have to be.
///
/// # Errors
/// [`LiveError::Start`], [`LiveError::Filters`]; nothing stays loaded.
pub fn start(mut config: Config, btf: Option<&Path>, filters: &Filters) -> Result<(Collector, Runtime), LiveError> {
    if config.workloads.are_told_apart() {
        // Whatever the metrics leave out.
        let labels = [DropLabel::Workload, DropLabel::WorkloadNamespace];
        config.shown.labels.drops.extend(labels);
    }
    let config = &config;
    let checked = Checked::new(config, btf, Purpose::Serve)?;
    filters.check_reasons(&checked.reasons())?;
    let checked = checked.require(filters.rows())?;
    let started = since_1970();
    let (source, numbering) = load_checked(checked, config, started)?;
    let collector =
        Collector::new(source.into(), config, numbering, Others::default(), started).map_err(StartError::from)?;
    let runtime = threads::runtime("tcpvitals", 0, 1).map_err(StartError::from)?;
    // A connection of another network namespace is met at its next event: who read at once would miss those that are busy.
    thread::sleep(FIRST_EVENTS);
    Ok((collector, runtime))
}

/// The same without a collector. Counters begin at `started`, since 1970.
///
/// # Errors
/// [`StartError`]; nothing stays loaded.
pub fn load(config: &Config, btf: Option<&Path>, started: Duration) -> Result<KernelSource, StartError> {
    let checked = Checked::new(config, btf, Purpose::Serve)?;
    Ok(load_checked(checked, config, started)?.0)
}

fn load_checked(checked: Checked, config: &Config, started: Duration) -> Result<(KernelSource, Numbering), StartError> {
    let numbering = Numbering::new(config);
    let loaded = checked
        .keep_needed()?
        .load(setup::tables(config, &numbering), Kernel::load)?;
    let mut kernel = loaded.drop_capabilities()?;
    let workloads = Arc::default();
    workloads::follow(&mut kernel, config, &workloads)?;
    let host_off = setup::host_off(config, why_another_namespace());
    Ok((KernelSource::new(kernel, workloads, host_off, started)?, numbering))
}
