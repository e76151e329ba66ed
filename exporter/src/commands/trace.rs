//! `trace`: the events of flows as they happen, as text, JSON or a file that is read again. What needs privileges comes
//! first, then they are given up; one thread does the rest, and sleeps until there is something to say.

pub mod binary;
pub mod filter;
mod instances;
pub mod item;
pub mod json;
mod live;
pub mod names;
mod output;
mod recorded;
pub mod seed;
pub mod text;

use crate::{
    cli::{
        TraceArguments, TraceOutput,
        filters::{FilterError, Shows},
    },
    lifecycle::{
        exit::{Ends, Exit},
        start::StartError,
    },
};
use binary::Fault;
use common::tcp::record::FlowRecord;
use filter::TraceFilter;
use instances::Instances;
use item::{Item, Setting};
use names::TraceNames;
use std::io::{self, IsTerminal};
use tcpvitals_metrics::workloads::{Instance, numbers::Names};
use text::Values;

/// Why there is no trace, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No record can be what is asked for.
    #[error(transparent)]
    Filters(#[from] FilterError),
    /// No record of a file can be of a workload.
    #[error("--{0}: the trace was recorded without workloads; its configuration named no source (workloads.source)")]
    NoWorkloads(&'static str),
    /// Nobody can read it.
    #[error(
        "a binary trace is nothing for a terminal: redirect it to a file (> trace.bin), or choose --output text or json"
    )]
    Terminal,
    /// The kernel cannot be read.
    #[error(transparent)]
    Read(#[from] tcpvitals_kernel::read::ReadError),
    /// A recorded trace cannot be opened.
    #[error("--read={path}: {source}")]
    Open {
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A recorded trace cannot be read, or no further.
    #[error("--read={path}: {source}")]
    Recorded {
        path: String,
        /// What is wrong with it.
        source: Fault,
    },
    /// Standard output cannot be written.
    #[error("write to standard output: {0}")]
    Write(#[source] io::Error),
    /// An event cannot be written as JSON.
    #[error("write an event as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The kernel does not wake this process.
    #[error("wait for events: {0}")]
    Wait(#[source] io::Error),
}

impl Ends for TraceError {
    fn exit(&self) -> Exit {
        match self {
            Self::Start(error) => error.exit(),
            Self::Filters(error) => error.exit(),
            Self::NoWorkloads(_) | Self::Terminal => Exit::Usage,
            Self::Read(_)
            | Self::Open { .. }
            | Self::Recorded { .. }
            | Self::Write(_)
            | Self::Json(_)
            | Self::Wait(_) => Exit::Failed,
        }
    }
}

/// Traces, or prints what was traced.
///
/// # Errors
/// [`TraceError`]
pub fn trace(arguments: &TraceArguments) -> Result<(), TraceError> {
    if arguments.output == TraceOutput::Binary && io::stdout().is_terminal() {
        return Err(TraceError::Terminal);
    }
    match &arguments.read {
        Some(path) => recorded::print(path, arguments),
        None => live::trace(arguments),
    }
}

/// Chooses items and gives them their form.
#[derive(Debug)]
struct Printer {
    output: TraceOutput,
    values: Values,
    filter: TraceFilter,
    setting: Setting,
    /// How many workloads were written into a binary trace.
    workloads: usize,
    /// Those pods and containers that were.
    instances: Instances,
}

impl Printer {
    fn new(arguments: &TraceArguments, setting: Setting) -> Result<Self, TraceError> {
        let filter = TraceFilter {
            filters: arguments.filters.of(Shows::Connections)?.clone(),
            events: arguments.event.clone(),
            min_retransmits: arguments.min_retransmits,
        };
        let TraceNames {
            subnets,
            fallback,
            protocols,
            ..
        } = &setting.names;
        let whose = if arguments.read.is_some() {
            "the recorded configuration"
        } else {
            "this configuration"
        };
        filter.filters.check_names(whose, (subnets, fallback), protocols)?;
        if setting.names.workloads.is_none()
            && let Some(flag) = filter.flag_of_workloads()
        {
            return Err(TraceError::NoWorkloads(flag));
        }
        Ok(Self {
            output: arguments.output,
            values: if arguments.verbose {
                Values::All
            } else if arguments.fields.is_empty() {
                Values::Usual
            } else {
                Values::Named(arguments.fields.clone())
            },
            filter,
            setting,
            workloads: 0,
            instances: Instances::default(),
        })
    }

    /// What stands before all items.
    fn header(&self) -> Vec<u8> {
        match self.output {
            TraceOutput::Text | TraceOutput::Seed | TraceOutput::Json => Vec::new(),
            TraceOutput::Binary => binary::header(&self.setting),
        }
    }

    /// Learns the workload that a record counts for, and its pod and container; `names` are those that there are by now.
    fn learn(
        &mut self,
        record: &FlowRecord,
        names: impl FnOnce() -> Names,
        instance: impl FnOnce() -> Option<Instance>,
    ) {
        self.setting.names.learn(record.key().workload, names);
        self.setting.names.learn_instance(record.cgroup, instance);
    }

    /// What an item looks like; `None` when it is not to be shown. Lost events are always shown.
    fn print(&mut self, item: &Item) -> Result<Option<Vec<u8>>, TraceError> {
        match item {
            Item::Event(kind, record) if !self.filter.shows(*kind, record, &self.setting.names) => return Ok(None),
            Item::Workload(workload) => {
                self.setting
                    .names
                    .workloads
                    .get_or_insert_default()
                    .push(workload.clone());
                return Ok(None);
            }
            Item::Instance(instance) => {
                let instances = self.setting.names.instances.get_or_insert_default();
                instances.insert(instances.len() as u64 + 1, instance.clone());
                return Ok(None);
            }
            Item::Event(..) | Item::Lost(_) => {}
        }
        Ok(Some(match self.output {
            TraceOutput::Text => text::line(item, &self.setting, &self.values).into_bytes(),
            TraceOutput::Seed => seed::line(item, &self.setting).into_bytes(),
            TraceOutput::Json => json::line(item, &self.setting)?.into_bytes(),
            TraceOutput::Binary => self.records(item),
        }))
    }

    /// The record of an item, and before it those of the names that it has and that were not written yet.
    fn records(&mut self, item: &Item) -> Vec<u8> {
        let mut records = self.new_workloads();
        let instance = match (item, &self.setting.names.instances) {
            (Item::Event(_, record), Some(instances)) => instances.get(&record.cgroup),
            _ => None,
        };
        let (number, is_new) = self.instances.number(instance);
        if let Some(instance) = instance.filter(|_| is_new) {
            records.extend(binary::record(&Item::Instance(instance.clone())));
        }
        records.extend(match item {
            Item::Event(kind, record) => binary::record(&Item::Event(
                *kind,
                FlowRecord {
                    cgroup: number.into(),
                    ..*record
                },
            )),
            Item::Lost(_) | Item::Workload(_) | Item::Instance(_) => binary::record(item),
        });
        records
    }

    /// Records of the workloads that were learned since this was last asked.
    fn new_workloads(&mut self) -> Vec<u8> {
        let known = self.setting.names.workloads.as_deref().unwrap_or_default();
        let new = known.iter().skip(self.workloads);
        let records = new.flat_map(|workload| binary::record(&Item::Workload(workload.clone())));
        let records = records.collect();
        self.workloads = known.len();
        records
    }
}
