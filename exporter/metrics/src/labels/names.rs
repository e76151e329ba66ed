//! Names for the numbers of a key: what the labels of a flow are called.

use super::classes::Classes;
use crate::{snapshot::DropSite, workloads::Workload};
use common::{
    net::{
        address::{Address, SubnetKey, SubnetKind},
        connection::ConnectionType,
    },
    tcp::group::{GroupKey, Role},
    workload::Number,
};
use std::sync::Arc;
pub use tcpvitals_config::OTHER;
use tcpvitals_config::{DropLabel, Fallback, TcpLabel, label::Label};

/// The subnet of a packet without an IP address.
pub const NO_SUBNET: &str = "none";

/// Names and values of one row's labels, in the order of the documentation.
pub type LabelSet = Arc<[(&'static Label, String)]>;

/// The value of a label in a set, "" if the set has it not.
pub fn value_of<'a>(labels: &'a LabelSet, label: &Label) -> &'a str {
    labels
        .iter()
        .find(|(own, _)| *own == label)
        .map_or("", |(_, value)| value)
}

/// The names of the configuration that a key was written under.
pub trait KeyNames {
    fn subnet_number(&self, number: u32) -> Option<&str>;

    fn protocol_number(&self, number: u16) -> Option<&str>;

    fn workload(&self, number: Number) -> Option<&Workload>;

    /// What an address in no subnet is called.
    fn fallback(&self) -> &Fallback;

    /// The value of a label of a flow or a group.
    fn value(&self, label: TcpLabel, key: &GroupKey) -> String {
        let of_workload = |part: fn(&Workload) -> &str| self.workload(key.workload).map_or(OTHER, part).to_owned();
        match label {
            TcpLabel::Subnet => self.subnet(key.subnet),
            TcpLabel::ConnectionType => ConnectionType::from_number(key.connection).as_str().to_owned(),
            TcpLabel::AppProtocol => self.protocol_number(key.protocol).unwrap_or(OTHER).to_owned(),
            TcpLabel::Role => Role::from_number(key.role).as_str().to_owned(),
            TcpLabel::Workload => of_workload(|workload| workload.name.as_str()),
            TcpLabel::WorkloadKind => of_workload(|workload| workload.kind.as_str()),
            TcpLabel::WorkloadNamespace => of_workload(|workload| workload.namespace.as_str()),
        }
    }

    /// The value of a label of a drop; `None` if nobody looked for it.
    fn value_of_drop(&self, label: DropLabel, site: &DropSite, classes: &Classes) -> Option<String> {
        let DropSite {
            location,
            reason,
            marks,
            ..
        } = site;
        Some(match label {
            DropLabel::Location => location.clone(),
            DropLabel::Reason => reason.clone(),
            DropLabel::Class => classes.of(reason, location, *marks).as_str().to_owned(),
            DropLabel::Protocol => site.protocol?.as_str().to_owned(),
            DropLabel::Direction => site.direction.as_str().to_owned(),
            DropLabel::Subnet => self.subnet(site.subnet?),
            DropLabel::ConnectionType => site.connection?.as_str().to_owned(),
            DropLabel::AppProtocol => self.protocol_number(site.app_protocol?)?.to_owned(),
            DropLabel::Workload => self.workload(site.workload?)?.name.clone(),
            DropLabel::WorkloadNamespace => self.workload(site.workload?)?.namespace.clone(),
        })
    }

    /// The name of a subnet.
    fn subnet(&self, key: SubnetKey) -> String {
        subnet(key, self.fallback(), |number| self.subnet_number(number))
    }
}

fn subnet<'a>(
    SubnetKey { words, kind }: SubnetKey,
    fallback: &Fallback,
    named: impl Fn(u32) -> Option<&'a str>,
) -> String {
    const NAMED: u32 = SubnetKind::Named as u32;
    const V4: u32 = SubnetKind::V4 as u32;
    const V6: u32 = SubnetKind::V6 as u32;
    const FALLBACK: u32 = SubnetKind::Fallback as u32;
    let [first, ..] = words;
    // The kinds of cut addresses have the numbers of the families.
    let address = Address { words, family: kind }.ip();
    match (kind, fallback, address) {
        (NAMED, _, _) => named(first).unwrap_or(OTHER).to_owned(),
        (FALLBACK, Fallback::Name(name), _) => name.clone(),
        (V4, Fallback::Auto { ipv4, .. }, Some(address)) => format!("{address}/{ipv4}"),
        (V6, Fallback::Auto { ipv6, .. }, Some(address)) => format!("{address}/{ipv6}"),
        _ => NO_SUBNET.to_owned(),
    }
}
