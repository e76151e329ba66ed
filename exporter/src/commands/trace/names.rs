//! TraceNames for the numbers in a record: of the configuration at hand, or of the one that a file was written under.

use common::workload::Number;
use tcpvitals_config::{Config, Fallback, numbering::Numbering};
use tcpvitals_metrics::{labels, workloads::Workload};

/// The names that records are shown with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceNames {
    /// Subnets by their numbers.
    pub subnets: Vec<String>,
    /// Application protocols by their numbers.
    pub protocols: Vec<String>,
    /// What an address in no subnet is called.
    pub fallback: Fallback,
}

impl TraceNames {
    /// Those of a configuration.
    pub fn new(config: &Config, numbering: &Numbering) -> Self {
        let name = |name: Option<&str>| name.map(str::to_owned);
        Self {
            subnets: (0..).map_while(|number| name(numbering.subnet(number))).collect(),
            protocols: (0..).map_while(|number| name(numbering.protocol(number))).collect(),
            fallback: config.subnets.fallback().clone(),
        }
    }

    /// Whether a record may be of a subnet of this name.
    pub fn may_be(&self, subnet: &str) -> bool {
        match &self.fallback {
            Fallback::Name(name) => name == subnet || self.subnets.iter().any(|known| known == subnet),
            // Any prefix may be a name.
            Fallback::Auto { .. } => true,
        }
    }
}

impl labels::KeyNames for TraceNames {
    fn subnet_number(&self, number: u32) -> Option<&str> {
        self.subnets.get(usize::try_from(number).ok()?).map(String::as_str)
    }

    fn protocol_number(&self, number: u16) -> Option<&str> {
        self.protocols.get(usize::from(number)).map(String::as_str)
    }

    fn workload(&self, _: Number) -> Option<&Workload> {
        None
    }

    fn fallback(&self) -> &Fallback {
        &self.fallback
    }
}
