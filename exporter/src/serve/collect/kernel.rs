//! Collections from the programs that run in this kernel: numbers get the kernel's names, and times of the kernel's clocks those of day.
//! From maps, cgroups and the host; to snapshots.

use super::{anew::Anew, births::Births};
use crate::{
    lifecycle::{
        clock::{boottime, nanoseconds, since_1970},
        setup,
        threads::TooFew,
    },
    serve::{host::Feed, workloads::Known as KnownWorkloads},
};
use common::{
    drops::{DropCount, DropRow},
    map::lost::Lost,
    tcp::{group::GroupKey, record::FlowRecord},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tcpvitals_kernel::{
    Kernel, LoadError,
    load::lookups::Lookups,
    read::{DropReading, GroupReading, LastRead, ReadError, Reading},
};
use tcpvitals_metrics::{
    host::Part,
    labels::sites,
    recording::{Flow, Place},
    rows::drops::CodeAddress,
    snapshot::{DropOrigin, Exporter, Group, Row, Snapshot},
    workloads::numbers::Names,
};

/// A row of drops, and where in the kernel's code it is.
pub type Site = (Row<DropOrigin, DropCount>, Place);

/// What is loaded, and what reading it needs.
#[derive(Debug)]
pub struct KernelSource {
    kernel: Kernel,
    last: LastRead,
    workloads: Arc<KnownWorkloads>,
    /// None where nothing of the host is read.
    host: Option<Feed>,
    host_off: Vec<(Part, String)>,
    anew: Anew,
    epoch: u64,
    births: Births,
}

impl KernelSource {
    /// Reads a loaded kernel, whose counters began at `started`, since 1970. `host_off` is what is not read of the host, and why.
    ///
    /// # Errors
    /// [`TooFew`] where the system gives no thread.
    pub fn new(
        kernel: Kernel,
        workloads: Arc<KnownWorkloads>,
        host_off: Vec<(Part, String)>,
        started: Duration,
    ) -> Result<Self, TooFew> {
        let parts = setup::host_on(&host_off);
        let host = if parts.is_empty() {
            None
        } else {
            Some(Feed::start(&parts)?)
        };
        Ok(Self {
            kernel,
            last: LastRead::default(),
            workloads,
            host,
            host_off,
            anew: Anew::default(),
            epoch: 0,
            births: Births {
                loaded: started,
                boottime_to_1970: nanoseconds(since_1970()).wrapping_sub(boottime()),
            },
        })
    }

    /// Everything that is counted and known now.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn snapshot(&mut self) -> Result<Snapshot, ReadError> {
        self.epoch += 1;
        if let Some(host) = &mut self.host {
            host.ask();
        }
        self.follow_workloads()?;
        let Reading {
            groups,
            drops,
            algorithms,
            listeners,
            lost,
            misses,
        } = self.kernel.read(self.epoch, &mut self.last)?;
        let births = self.births;
        // After the counters: whatever has been counted has its name.
        let workloads = self.workloads.names();
        self.learn_names(&drops)?;
        let drops = self.name_drops(drops);
        let host = self.host.as_mut().map(Feed::take).unwrap_or_default();
        Ok(Snapshot {
            at: births.since_1970(boottime()),
            groups: groups.into_iter().map(|group| row_of_group(group, births)).collect(),
            drops,
            workloads,
            algorithms,
            listeners,
            lost,
            misses,
            coverage: setup::coverage(self.kernel.plan(), self.host_off.clone()),
            capacity: self.kernel.capacity(),
            jiffy: self.kernel.jiffy(),
            host,
            findings: None,
            exporter: Exporter {
                workloads: self.workloads.fill(),
                name_source: self.workloads.health.read(),
                ..Exporter::default()
            },
        })
    }

    /// Every live flow, and the names of the workloads that they are of.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn flows(&mut self) -> Result<(Vec<Flow>, Names), ReadError> {
        let records = self.kernel.dump()?;
        Ok(self.named(records))
    }

    /// The same with the opens of this host whose SYN has no answer yet.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn flows_with_opens(&mut self) -> Result<(Vec<Flow>, Names), ReadError> {
        let records = self.kernel.dump_with_opens()?;
        Ok(self.named(records))
    }

    /// After the records: whatever they count under has its name.
    fn named(&self, records: Vec<FlowRecord>) -> (Vec<Flow>, Names) {
        let workloads = self.workloads.names();
        let instances = self.workloads.instances(records.iter().map(|record| record.cgroup));
        let flows = records.into_iter().map(|record| Flow {
            record,
            instance: instances.as_ref().and_then(|of| of.get(&record.cgroup).cloned()),
        });
        (flows.collect(), workloads)
    }

    /// Every row of drops and where in the kernel's code it is, and the names of the workloads that they are of. No fold runs for it,
    /// and no other table is read.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn drops(&mut self) -> Result<(Vec<Site>, Names), ReadError> {
        let readings = self.kernel.read_only_drops(&mut self.last)?;
        self.learn_names(&readings)?;
        let places: Vec<Place> = readings.values().map(|reading| self.place(&reading.row)).collect();
        // After the counters: whatever has been counted has its name.
        let workloads = self.workloads.names();
        let rows = self.name_drops(readings);
        Ok((rows.into_iter().zip(places).collect(), workloads))
    }

    /// What is counted from now on is counted by this.
    pub(super) fn configure(&mut self, lookups: Lookups) -> Result<(), LoadError> {
        self.kernel.configure(lookups)
    }

    /// Live flows move to workloads that were not known before.
    fn follow_workloads(&mut self) -> Result<(), ReadError> {
        let given = self.workloads.given();
        if given == 0 {
            return Ok(());
        }
        let unresolved = self.kernel.lost(Lost::Unresolved)?;
        if self.anew.is_due(given, unresolved)
            && let Err(error) = self.kernel.label_anew()
        {
            tracing::warn!(%error, "live flows keep the workloads that they had");
        }
        Ok(())
    }

    fn learn_names(&mut self, readings: &BTreeMap<u32, DropReading>) -> Result<(), ReadError> {
        let software = readings.values().filter_map(|reading| match reading.row {
            DropRow::Software(key) => Some(key),
            DropRow::Named(_) | DropRow::Other(_) => None,
        });
        self.kernel.learn_names(software)
    }

    fn name_drops(&self, readings: BTreeMap<u32, DropReading>) -> Vec<Row<DropOrigin, DropCount>> {
        let row = |(slot, DropReading { row, born, count }): (u32, DropReading)| Row {
            id: slot.into(),
            key: sites::name(&row, &Known(&self.kernel)),
            born: self.births.since_1970(born),
            total: count,
        };
        readings.into_iter().map(row).collect()
    }

    fn place(&self, row: &DropRow) -> Place {
        let DropRow::Software(key) = row else {
            return Place::default();
        };
        match self.kernel.symbol(key.location) {
            Some(symbol) => Place {
                address: Some(CodeAddress {
                    offset: symbol.offset,
                    module: symbol.module.clone(),
                }),
                alias: String::new(),
            },
            None => Place {
                address: None,
                alias: self.kernel.alias(key.location),
            },
        }
    }
}

/// The names that the kernel side has learned.
struct Known<'a>(&'a Kernel);

impl sites::DropNames for Known<'_> {
    fn location(&self, address: u64) -> String {
        self.0.location(address)
    }

    fn reason(&self, number: u32) -> String {
        self.0.reason(number)
    }

    fn has_reason(&self, name: &str) -> bool {
        self.0.has_reason(name)
    }
}

fn row_of_group((slot, reading): (u32, GroupReading), births: Births) -> Row<Option<GroupKey>, Group> {
    let GroupReading {
        key,
        born,
        counters,
        samples,
    } = reading;
    Row {
        id: slot.into(),
        key,
        born: births.since_1970(born),
        total: Group { counters, samples },
    }
}
