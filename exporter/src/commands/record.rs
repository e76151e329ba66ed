//! `record`: writes what a collector reads of this kernel, moment after moment, as the file that `demo` serves.

use crate::{
    cli::RecordArguments,
    commands::live::{self, LiveError},
    lifecycle::{
        clock::since_1970,
        exit::{Ends, Exit},
        host::Host,
        setup,
        signals::ticker::Ticker,
        start::StartError,
        threads,
    },
    serve::collect::{CollectError, KernelSource},
};
use common::{
    net::address::{SubnetKey, SubnetKind},
    text::Name,
    workload::{
        Number,
        number::{OTHER, UNRESOLVED},
    },
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter},
    path::PathBuf,
    time::Duration,
};
use tcpvitals_config::file::files;
use tcpvitals_metrics::{
    recording::{About, Moment, Writer},
    workloads::Workload,
};

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The kernel could not be read.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The file could not be written.
    #[error("writing the recording {path} failed: {source}. Choose a folder that can be written")]
    Write {
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Ends for RecordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Live(error) => error.exit(),
            Self::Write { .. } => Exit::Failed,
        }
    }
}

/// Records until somebody ends it, or the time is over.
///
/// # Errors
/// [`RecordError`]; nothing stays loaded.
pub fn run(arguments: &RecordArguments) -> Result<(), RecordError> {
    let file = &arguments.config_file;
    let config = setup::config(Some(file))
        .map_err(StartError::from)
        .map_err(LiveError::from)?;
    let configuration = files::read(file, files::CONFIGURATION).map_err(LiveError::Show)?;
    let started = since_1970();
    let source = live::load(&config, None, started).map_err(LiveError::from)?;
    let runtime = threads::runtime("tcpvitals", 0, 1)
        .map_err(StartError::from)
        .map_err(LiveError::from)?;
    let about = |first: &Moment| About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: String::from_utf8_lossy(&configuration).into_owned(),
        host: arguments.host.clone(),
        kernel: Host::read().release,
        started,
        interval: arguments.interval,
        entry: arguments.entry,
        jiffy: first.snapshot.jiffy,
        capacity: first.snapshot.capacity,
        coverage: first.snapshot.coverage.clone(),
        source_of_names: first.snapshot.exporter.name_source.as_ref().map(|source| source.name),
    };
    runtime.block_on(record(source, about, arguments))
}

async fn record(
    mut source: KernelSource,
    about: impl FnOnce(&Moment) -> About,
    arguments: &RecordArguments,
) -> Result<(), RecordError> {
    let failed = |source: io::Error| RecordError::Write {
        path: arguments.output.display().to_string(),
        source,
    };
    let mut unfinished = arguments.output.clone().into_os_string();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut ticker = Ticker::new(arguments.interval, arguments.duration).map_err(LiveError::Show)?;
    let first = look(&mut source, arguments)?;
    let out = BufWriter::new(File::create(&unfinished).map_err(failed)?);
    let mut writer = Writer::new(out, &about(&first)).map_err(failed)?;
    writer.add(&first).map_err(failed)?;
    let mut moments: u64 = 1;
    tracing::info!(file = %arguments.output.display(), "recording");
    ticker.advance();
    while ticker.tick().await.is_some() {
        writer.add(&look(&mut source, arguments)?).map_err(failed)?;
        moments += 1;
        ticker.advance();
    }
    let out = writer.finish().map_err(failed)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, &arguments.output).map_err(failed)?;
    let length = Duration::as_secs(&arguments.interval) * moments;
    tracing::info!(moments, seconds = length, "recorded");
    Ok(())
}

fn look(source: &mut KernelSource, arguments: &RecordArguments) -> Result<Moment, LiveError> {
    let snapshot = source.snapshot().map_err(CollectError::from)?;
    let (sites, _) = source.drops().map_err(CollectError::from)?;
    let (flows, _) = source.flows().map_err(CollectError::from)?;
    let mut moment = Moment {
        snapshot,
        flows,
        places: sites.into_iter().map(|(row, place)| (row.id, place)).collect(),
    };
    if arguments.named_only {
        leave_named(&mut moment);
    }
    Ok(moment)
}

/// Takes out what is of no subnet of the configuration: connections, drops, and the programs that they are of.
fn leave_named(moment: &mut Moment) {
    let is_named = |subnet: &SubnetKey| subnet.kind == SubnetKind::Named as u32;
    let Moment { snapshot, flows, .. } = moment;
    snapshot
        .groups
        .retain(|row| row.key.is_none_or(|key| is_named(&key.subnet)));
    snapshot.drops.retain(|row| {
        let (_, site) = &row.key;
        site.as_ref()
            .is_none_or(|site| site.subnet.as_ref().is_some_and(is_named))
    });
    flows.retain(|flow| is_named(&flow.record.key().subnet));
    snapshot.algorithms.clear();
    for flow in flows {
        let algorithm = Name(flow.record.algorithm).to_string();
        *snapshot.algorithms.entry(algorithm).or_default() += 1;
    }
    let of_groups = snapshot.groups.iter().filter_map(|row| Some(row.key?.workload));
    let used: BTreeSet<Number> = of_groups.chain(UNRESOLVED..=OTHER).collect();
    snapshot
        .listeners
        .retain(|key, _| key.is_some_and(|key| key.workload > OTHER && used.contains(&key.workload)));
    let names = (0..).zip(snapshot.workloads.iter()).map(|(number, workload)| {
        if used.contains(&number) {
            workload.clone()
        } else {
            Workload::unresolved()
        }
    });
    snapshot.workloads = names.collect();
}
