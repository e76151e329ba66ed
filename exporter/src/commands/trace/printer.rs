//! Which items of a trace are printed, and in which form.

use super::{
    binary,
    error::TraceError,
    filter::TraceFilter,
    instances::Instances,
    json, seed,
    text::{self, Values},
};
use crate::cli::{TraceArguments, TraceOutput, filters::Shows};
use common::tcp::record::FlowRecord;
use tcpvitals_metrics::{
    rows::trace::{
        item::{Item, Setting},
        names::TraceNames,
    },
    workloads::{Instance, numbers::Names},
};

/// Chooses items and gives them their form.
#[derive(Debug)]
pub(super) struct Printer {
    output: TraceOutput,
    values: Values,
    pub(super) filter: TraceFilter,
    pub(super) setting: Setting,
    /// How many workloads were written into a binary trace.
    workloads: usize,
    /// Those pods and containers that were.
    instances: Instances,
}

impl Printer {
    pub(super) fn new(arguments: &TraceArguments, setting: Setting) -> Result<Self, TraceError> {
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
    pub(super) fn header(&self) -> Vec<u8> {
        match self.output {
            TraceOutput::Text | TraceOutput::Seed | TraceOutput::Json => Vec::new(),
            TraceOutput::Binary => binary::header(&self.setting),
        }
    }

    /// Learns the workload that a record counts for, and its pod and container; `names` are those that there are by now.
    pub(super) fn learn(
        &mut self,
        record: &FlowRecord,
        names: impl FnOnce() -> Names,
        instance: impl FnOnce() -> Option<Instance>,
    ) {
        self.setting.names.learn(record.key().workload, names);
        self.setting.names.learn_instance(record.cgroup, instance);
    }

    /// What an item looks like; `None` when it is not to be shown. Lost events are always shown.
    pub(super) fn print(&mut self, item: &Item) -> Result<Option<Vec<u8>>, TraceError> {
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
