//! The labels that a configuration chooses from, one row each: the word, the OTLP attribute, what it may be, and who asks for it
//! by a flag. Configuration, schema, API, command line, trace, OTLP and reference pages read the rows; `tcpvitals-metrics/labels`
//! says what each is read from.

use super::sets::Class;
use common::{
    drops::{Direction, Protocol, skip},
    net::connection::ConnectionType,
    tcp::group::Role,
};
use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
};

/// What a label is called, by Prometheus and by OTLP. Two of the same word are the same.
#[derive(Debug)]
pub struct Label {
    /// The label.
    pub word: &'static str,
    /// The attribute: of OpenTelemetry's semantic conventions where they have one.
    pub attribute: &'static str,
}

impl Label {
    /// A label and its attribute.
    pub const fn new(word: &'static str, attribute: &'static str) -> Self {
        Self { word, attribute }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Label {}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        // Sets of labels are compared often, and mostly hold the same ones.
        if std::ptr::eq(self, other) {
            Ordering::Equal
        } else {
            self.word.cmp(other.word)
        }
    }
}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word.hash(state);
    }
}

/// What a label may be.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// Names of the configuration.
    Names,
    /// Names of the kernel, asked for by patterns.
    Patterns,
    /// These words.
    Words(fn() -> Vec<&'static str>),
}

/// All that there is to know of a label.
#[derive(Debug)]
pub struct Row {
    /// What it is called.
    pub label: Label,
    /// What it may be.
    pub values: Values,
    /// Whether a configuration that says nothing has it.
    pub is_default: bool,
    /// Whether it says something only where workloads are told apart.
    pub is_of_workloads: bool,
    /// What the hook looks for only because of it, of a drop: bits of [`skip`].
    pub looks_for: u8,
    /// The flag that asks for it, if there is one.
    pub flag: Option<Flag>,
}

/// A flag that chooses by a label: the same in every command.
#[derive(Debug)]
pub struct Flag {
    /// Its name.
    pub name: &'static str,
    /// What its values are called.
    pub value: &'static str,
    /// Its help.
    pub help: &'static str,
}

impl Row {
    const fn new(label: Label, values: Values) -> Self {
        Self {
            label,
            values,
            is_default: true,
            is_of_workloads: false,
            looks_for: 0,
            flag: None,
        }
    }

    /// Only who asks for it has it.
    const fn on_demand(mut self) -> Self {
        self.is_default = false;
        self
    }

    /// Only who asks for it has it, where workloads are told apart.
    const fn of_workloads(mut self) -> Self {
        self.is_of_workloads = true;
        self.on_demand()
    }

    const fn looks_for(mut self, bits: u8) -> Self {
        self.looks_for = bits;
        self
    }

    const fn flag(mut self, [name, value]: [&'static str; 2], help: &'static str) -> Self {
        self.flag = Some(Flag { name, value, help });
        self
    }
}

/// A set of labels: an enum of their rows, in the order of the documentation.
macro_rules! labels {
    ($(#[$about:meta])* $set:ident: $($(#[$what:meta])* $label:ident = $row:expr,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $set {
            $($(#[$what])* $label,)+
        }

        impl $set {
            /// Every label, in the order of the documentation.
            pub const ALL: [Self; [$(stringify!($label)),+].len()] = [$(Self::$label),+];

            /// Its row.
            pub fn row(self) -> &'static Row {
                static ROWS: &[Row] = &[$($row),+];
                &ROWS[self as usize]
            }

            /// Those that a configuration has that says nothing.
            pub fn defaults() -> impl Iterator<Item = Self> {
                Self::ALL.into_iter().filter(|label| label.row().is_default)
            }

            /// What it is called.
            pub fn label(self) -> &'static Label {
                &self.row().label
            }

            /// Its word.
            pub fn as_str(self) -> &'static str {
                self.label().word
            }
        }
    };
}

const SUBNET: Label = Label::new("subnet", "tcpvitals.subnet");
const APP_PROTOCOL: Label = Label::new("app_protocol", "network.protocol.name");
const CONNECTION_TYPE: Label = Label::new("connection_type", "network.connection.type");
const CONNECTION_TYPES: Values = Values::Words(|| ConnectionType::ALL.map(ConnectionType::as_str).to_vec());
const ROLES: Values = Values::Words(|| Role::ALL.map(Role::as_str).to_vec());
const CLASSES: Values = Values::Words(|| Class::ALL.map(Class::as_str).to_vec());
const PROTOCOLS: Values = Values::Words(|| Protocol::ALL.map(Protocol::as_str).to_vec());
const DIRECTIONS: Values = Values::Words(|| Direction::ALL.map(Direction::as_str).to_vec());
// The conventions have no attribute for a workload of any kind (open-telemetry/semantic-conventions#3778), and none for a unit.
const WORKLOAD: Label = Label::new("workload", "tcpvitals.workload.name");
const WORKLOAD_KIND: Label = Label::new("workload_kind", "tcpvitals.workload.kind");
const WORKLOAD_NAMESPACE: Label = Label::new("workload_namespace", "k8s.namespace.name");
const SUBNET_FLAG: [&str; 2] = ["subnet", "NAME"];
const SUBNET_HELP: &str = "Subnet of the remote address, by its name in the configuration";
const CONNECTION_TYPE_FLAG: [&str; 2] = ["connection-type", "TYPE"];
const CONNECTION_TYPE_HELP: &str = "What carries the connection";
const APP_PROTOCOL_FLAG: [&str; 2] = ["app-protocol", "NAME"];
const APP_PROTOCOL_HELP: &str = "Application protocol, by its name in the configuration: https";
const WORKLOAD_FLAG: [&str; 2] = ["workload", "PATTERN"];
const WORKLOAD_HELP: &str =
    "Workload, with * for any text: cart or nginx* (needs workloads.source in the configuration)";
const NAMESPACE_FLAG: [&str; 2] = ["workload-namespace", "PATTERN"];
const NAMESPACE_HELP: &str = "Namespace of the workload in Kubernetes, with * for any text";

labels! {
    /// A label of the TCP metrics.
    TcpLabel:
    /// The network of the remote address.
    Subnet = Row::new(SUBNET, Values::Names).flag(SUBNET_FLAG, SUBNET_HELP),
    /// What carries the flow.
    ConnectionType = Row::new(CONNECTION_TYPE, CONNECTION_TYPES).flag(CONNECTION_TYPE_FLAG, CONNECTION_TYPE_HELP),
    /// The protocol, by the server's port.
    AppProtocol = Row::new(APP_PROTOCOL, Values::Names).flag(APP_PROTOCOL_FLAG, APP_PROTOCOL_HELP),
    /// Client or server.
    Role = Row::new(Label::new("role", "tcpvitals.role"), ROLES).flag(["role", "ROLE"], "Which end of the connection this host is"),
    /// Whose the flow is: a controller, a unit, `host`.
    Workload = Row::new(WORKLOAD, Values::Patterns).of_workloads().flag(WORKLOAD_FLAG, WORKLOAD_HELP),
    /// What that is.
    WorkloadKind = Row::new(WORKLOAD_KIND, Values::Patterns).of_workloads(),
    /// Its namespace in Kubernetes, else nothing.
    WorkloadNamespace = Row::new(WORKLOAD_NAMESPACE, Values::Patterns).of_workloads().flag(NAMESPACE_FLAG, NAMESPACE_HELP),
}

labels! {
    /// A label of the drop metrics that can be switched off (`source` cannot).
    DropLabel:
    /// The kernel function that dropped.
    Location = Row::new(Label::new("location", "tcpvitals.drop.location"), Values::Patterns)
        .flag(["location", "PATTERN"], "Kernel function that dropped, with * for any text: nft_*"),
    /// The kernel's reason.
    Reason = Row::new(Label::new("reason", "tcpvitals.drop.reason"), Values::Patterns)
        .flag(["reason", "PATTERN"], "Drop reason, with * for any text: NETFILTER_DROP or TCP_*"),
    /// What the drop means to an operator.
    Class = Row::new(Label::new("class", "tcpvitals.drop.class"), CLASSES).flag(["class", "CLASS"], "Class of the drop"),
    /// The L3 and L4 protocol.
    Protocol = Row::new(Label::new("protocol", "tcpvitals.drop.protocol"), PROTOCOLS)
        .looks_for(skip::HEADERS).flag(["protocol", "PROTOCOL"], "Protocol of the packet"),
    /// Receive or transmit.
    Direction = Row::new(Label::new("direction", "network.io.direction"), DIRECTIONS)
        .flag(["direction", "DIRECTION"], "Which way the packet went"),
    /// The network of the remote address.
    Subnet = Row::new(SUBNET, Values::Names).looks_for(skip::HEADERS | skip::SUBNET).flag(SUBNET_FLAG, SUBNET_HELP),
    /// What carried the packet.
    ConnectionType = Row::new(CONNECTION_TYPE, CONNECTION_TYPES).looks_for(skip::CONNECTION).flag(CONNECTION_TYPE_FLAG, CONNECTION_TYPE_HELP),
    /// The protocol, by the port of this host, else by that of the remote one.
    AppProtocol = Row::new(APP_PROTOCOL, Values::Names).on_demand().looks_for(skip::APP_PROTOCOL).flag(APP_PROTOCOL_FLAG, APP_PROTOCOL_HELP),
    /// Whose the packet is: a controller, a unit, `host`.
    Workload = Row::new(WORKLOAD, Values::Patterns).of_workloads().looks_for(skip::WORKLOAD).flag(WORKLOAD_FLAG, WORKLOAD_HELP),
    /// Its namespace in Kubernetes, else nothing.
    WorkloadNamespace = Row::new(WORKLOAD_NAMESPACE, Values::Patterns).of_workloads().looks_for(skip::WORKLOAD).flag(NAMESPACE_FLAG, NAMESPACE_HELP),
}
