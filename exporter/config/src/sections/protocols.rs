//! Names of server ports: the value of the `app_protocol` label.
//! It must never give a port two names.
//! From the built-in table and `app_protocols` of the file; to the kernel's port table and the labelling of snapshots.

use std::collections::{BTreeMap, HashMap};

use crate::{
    file::Problem,
    kinds::{ranges::PORTS, units::COUNT, words},
    raw::RawProtocol,
};

/// The named ports. A protocol's id is the index of its name; id 0 is `other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppProtocols {
    names: Vec<String>,
    ports: BTreeMap<u16, u16>,
}

impl AppProtocols {
    /// The names, in the order of their lowest port; `other` comes first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Every port that has a name, with the id of its protocol.
    pub fn ports(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.ports.iter().map(|(port, id)| (*port, *id))
    }

    /// The protocols without a file.
    pub(crate) fn built_in() -> Self {
        Self::number(built_in_ports())
    }

    pub(crate) fn parse(list: &[RawProtocol]) -> Result<Self, Problem> {
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut places: HashMap<u16, String> = HashMap::new();
        let mut table = built_in_ports();
        for (index, RawProtocol { name, ports }) in list.iter().enumerate() {
            let key = format!("app_protocols[{index}].name");
            let name = words::name(&key, words::given(&key, name.as_ref())?)?;
            if let Some(twin) = names.insert(name, index) {
                let what = format!(
                    "{name:?} is already the name of app_protocols[{twin}]; join their ports or choose another name"
                );
                return Err(Problem::new(key, what));
            }
            if ports.is_empty() {
                let what = "the list is empty; give at least one port, for example 8443";
                return Err(Problem::new(format!("app_protocols[{index}].ports"), what));
            }
            for (position, text) in ports.iter().enumerate() {
                let key = format!("app_protocols[{index}].ports[{position}]");
                let port: u16 = COUNT.read(&key, text, PORTS)?;
                if let Some(first) = places.insert(port, key.clone()) {
                    let what = format!("the port {port} is already in {first}; remove one of the two");
                    return Err(Problem::new(key, what));
                }
                table.insert(port, name);
            }
        }
        Ok(Self::number(table))
    }

    /// Gives every name an id. Each has a port of its own and port 0 has no name, so the ids suffice.
    fn number(table: BTreeMap<u16, &str>) -> Self {
        let mut names = vec![words::OTHER.to_owned()];
        let mut ids = HashMap::new();
        let mut free = 1..=u16::MAX;
        let mut ports = BTreeMap::new();
        for (port, name) in table {
            let known = ids.get(name).copied();
            let Some(id) = known.or_else(|| free.next()) else {
                break;
            };
            if known.is_none() {
                ids.insert(name, id);
                names.push(name.to_owned());
            }
            ports.insert(port, id);
        }
        Self { names, ports }
    }
}

fn built_in_ports<'a>() -> BTreeMap<u16, &'a str> {
    let entries = BUILT_IN.iter();
    entries
        .flat_map(|(name, ports)| ports.iter().map(|port| (*port, *name)))
        .collect()
}

/// Well-known server ports, in the names of IANA or of common use.
pub(crate) const BUILT_IN: &[(&str, &[u16])] = &[
    ("ftp", &[21]),
    ("ssh", &[22]),
    ("telnet", &[23]),
    ("smtp", &[25, 465, 587]),
    ("dns", &[53, 853]),
    ("http", &[80, 8080]),
    ("kerberos", &[88]),
    ("pop3", &[110, 995]),
    ("rpcbind", &[111]),
    ("imap", &[143, 993]),
    ("bgp", &[179]),
    ("ldap", &[389, 636]),
    ("https", &[443, 8443]),
    ("smb", &[445]),
    ("rsync", &[873]),
    ("mssql", &[1433]),
    ("oracle", &[1521]),
    ("mqtt", &[1883, 8883]),
    ("nfs", &[2049]),
    ("zookeeper", &[2181]),
    ("docker", &[2375, 2376]),
    ("etcd", &[2379, 2380]),
    ("squid", &[3128]),
    ("iscsi", &[3260]),
    ("mysql", &[3306]),
    ("rdp", &[3389]),
    ("nats", &[4222]),
    ("otlp", &[4317, 4318]),
    ("sip", &[5060, 5061]),
    ("postgresql", &[5432]),
    ("amqp", &[5671, 5672]),
    ("vnc", &[5900]),
    ("winrm", &[5985, 5986]),
    ("redis", &[6379]),
    ("kubernetes", &[6443]),
    ("vault", &[8200]),
    ("consul", &[8500]),
    ("cassandra", &[9042]),
    ("prometheus", &[9090]),
    ("kafka", &[9092]),
    ("alertmanager", &[9093]),
    ("node-exporter", &[9100]),
    ("elasticsearch", &[9200]),
    ("git", &[9418]),
    ("kubelet", &[10250]),
    ("tcpvitals", &[10717]),
    ("memcached", &[11211]),
    ("mongodb", &[27017]),
];
