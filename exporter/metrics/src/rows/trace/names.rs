//! TraceNames for the numbers in a record: of the configuration at hand, or of the one that a file was written under.

use crate::{
    labels,
    workloads::{Instance, Workload, numbers::Names},
};
use common::workload::Number;
use std::collections::HashMap;
use tcpvitals_config::{Config, Fallback, numbering::Numbering};

/// The names that records are shown with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceNames {
    /// Subnets by their numbers.
    pub subnets: Vec<String>,
    /// Application protocols by their numbers.
    pub protocols: Vec<String>,
    /// What an address in no subnet is called.
    pub fallback: Fallback,
    /// Workloads by their numbers, as far as they were told; `None` where nobody tells them apart.
    pub workloads: Option<Vec<Workload>>,
    /// Pods and containers by what records have as `cgroup`; `None` where nobody tells them.
    pub instances: Option<HashMap<u64, Instance>>,
}

/// Most pods and containers that are remembered at a time. Of a recorded trace all are.
const MOST_INSTANCES: usize = common::workload::MOST_CGROUPS;

impl TraceNames {
    /// Those of a configuration.
    pub fn new(config: &Config, numbering: &Numbering) -> Self {
        let name = |name: Option<&str>| name.map(str::to_owned);
        Self {
            subnets: (0..).map_while(|number| name(numbering.subnet(number))).collect(),
            protocols: (0..).map_while(|number| name(numbering.protocol(number))).collect(),
            fallback: config.subnets.fallback().clone(),
            workloads: config.workloads.are_told_apart().then(Vec::new),
            instances: config.workloads.are_told_apart().then(HashMap::new),
        }
    }

    /// Learns the names of workloads up to this number, if it does not know them.
    pub fn learn(&mut self, number: Number, names: impl FnOnce() -> Names) {
        if let Some(workloads) = self
            .workloads
            .as_mut()
            .filter(|known| known.len() <= usize::from(number))
        {
            let names = names();
            let new = (workloads.len()..).map_while(|number| names.name(u16::try_from(number).ok()?));
            workloads.extend(new.cloned());
        }
    }

    /// Learns the pod and the container of a cgroup. A pod may be told later than its cgroup.
    pub fn learn_instance(&mut self, cgroup: u64, instance: impl FnOnce() -> Option<Instance>) {
        let Some(instances) = &mut self.instances else { return };
        if instances.get(&cgroup).is_some_and(|known| !known.pod.is_empty()) {
            return;
        }
        if instances.len() >= MOST_INSTANCES {
            instances.clear();
        }
        instances.insert(cgroup, instance().unwrap_or_default());
    }
}

impl labels::KeyNames for TraceNames {
    fn subnet_number(&self, number: u32) -> Option<&str> {
        self.subnets.get(usize::try_from(number).ok()?).map(String::as_str)
    }

    fn protocol_number(&self, number: u16) -> Option<&str> {
        self.protocols.get(usize::from(number)).map(String::as_str)
    }

    fn workload(&self, number: Number) -> Option<&Workload> {
        self.workloads.as_ref()?.get(usize::from(number))
    }

    fn fallback(&self) -> &Fallback {
        &self.fallback
    }
}
