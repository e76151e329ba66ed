//! The configuration file as written: one struct per mapping, one field per key, every value still text.
//! It must never judge a value; only unknown, doubled and missing keys and wrong shapes are refused here.
//! Filled by serde in `yaml::document`; taken apart by the `parse` functions of its siblings. Its comments are also what the
//! schema and the reference page say: ``Default: `VALUE`.`` and ``Example: `VALUE`.`` stand at the end, in YAML.

pub(crate) mod findings;
mod forms;
pub(crate) mod shapes;
mod switches;
mod workloads;

pub(crate) use forms::{RawBounds, RawFallback, RawPrefixes};
pub(crate) use switches::{RawDevices, RawListeners, RawLocalLoss};
pub(crate) use workloads::RawWorkloads;

use common::map::settings::OVERRIDES;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kinds::{
    self,
    label::{DropLabel, TcpLabel},
};
use findings::RawFindings;
use shapes::Pairs;

/// The whole file. A key that is absent or has no value keeps its default.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping of settings")]
#[schemars(transform = kinds::measures_something)]
pub(crate) struct RawConfig {
    /// Named remote networks; the longest prefix wins.
    /// Example: `[{name: dc-east, cidrs: [10.1.0.0/16]}]`.
    pub(crate) subnets: Option<Vec<RawSubnet>>,
    /// Files of more named networks: CSV lines `cidr,name`, or YAML in the form of `subnets`; * in the last part of a path stands for any
    /// text. With `--config.watch` the exporter re-reads them when they change. Default: `[]`. Example: `[networks.csv, "sites/*.yaml"]`.
    #[schemars(with = "Option<Vec<kinds::SubnetFile>>")]
    pub(crate) subnets_files: Option<Vec<String>>,
    /// Subnet of an address that no network contains: a name, or the address cut to a prefix length (`auto`). Default: `internet`. Example:
    /// `{auto: {ipv4: 24, ipv6: 48}}`.
    #[schemars(with = "RawFallback")]
    #[serde(default)]
    pub(crate) subnets_fallback: Option<RawFallback>,
    /// Names of server ports, in addition to the built-in table. Default: `[]`. Example: `[{name: orders-api, ports: [8443]}]`.
    pub(crate) app_protocols: Option<Vec<RawProtocol>>,
    /// Connection types by device name; the first match wins. At most 32 patterns in all. Default: `[]`.
    /// Example: `[{type: wired, interfaces: ["bond*"]}]`.
    pub(crate) connection_types: Option<Vec<RawConnectionType>>,
    /// Which TCP metrics the exporter collects. Example: `{detail: essential}`.
    pub(crate) tcp: Option<RawTcp>,
    /// Which dropped packets the exporter counts. Example: `{enabled: false}`.
    pub(crate) drops: Option<RawDrops>,
    /// Whether to attribute retransmissions to drops by this host. Example: `{enabled: false}`.
    pub(crate) local_loss: Option<RawLocalLoss>,
    /// Metrics of listeners. Example: `{enabled: false}`.
    pub(crate) listeners: Option<RawListeners>,
    /// Metrics of the host's network devices and of its connection tracking. Example: `{enabled: true}`.
    pub(crate) devices: Option<RawDevices>,
    /// Findings: which ones to mute, and the thresholds of the others. Example: `{enabled: false}`.
    pub(crate) findings: Option<RawFindings>,
    /// Labels of the metrics. Example: `{tcp: [subnet, role]}`.
    pub(crate) labels: Option<RawLabels>,
    /// Which metrics the exporter exposes. Example: `{exclude: [tcpvitals_tcp_mss_bytes]}`.
    pub(crate) metrics: Option<RawMetrics>,
    /// Which buckets histograms have in a scrape. Example: `{native: false}`.
    pub(crate) histograms: Option<RawHistograms>,
    /// Further expositions of the same counts, each on its own path, at most 32. What an entry does not set is as on the metrics path.
    /// Default: `[]`. Example: `[{name: fleet, labels: {tcp: [subnet], drops: [class]}}]`.
    #[schemars(length(max = 32))]
    pub(crate) views: Option<Vec<RawView>>,
    /// Workloads, the owners of the traffic: whether to separate them, and the source of their names. Example: `{source: auto}`.
    pub(crate) workloads: Option<RawWorkloads>,
    /// Limits of memory, series and connections. Example: `{memory: 64MiB}`.
    pub(crate) limits: Option<RawLimits>,
    /// When to collect. Example: `{max_age: 5s}`.
    pub(crate) collect: Option<RawCollect>,
    /// Push over OTLP. Example: `{endpoint: "http://localhost:4317"}`.
    pub(crate) otlp: Option<RawOtlp>,
}

/// One entry of `subnets`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys name and cidrs")]
pub(crate) struct RawSubnet {
    /// The label value. Required. Example: `dc-east`.
    #[schemars(with = "kinds::Name")]
    #[serde(deserialize_with = "shapes::named")]
    pub(crate) name: Option<String>,
    /// Its networks, IPv4 or IPv6, as address/prefix length. Required. Example: `[10.1.0.0/16, "fd00:1::/32"]`.
    #[schemars(with = "Vec<kinds::Network>", length(min = 1))]
    pub(crate) cidrs: Vec<String>,
}

/// One entry of `app_protocols`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys name and ports")]
pub(crate) struct RawProtocol {
    /// The label value. Required. Example: `orders-api`.
    #[schemars(with = "kinds::Name")]
    #[serde(deserialize_with = "shapes::named")]
    pub(crate) name: Option<String>,
    /// Its TCP ports on the server. Required. Example: `[8443, 9443]`.
    #[schemars(with = "Vec<kinds::Port>", length(min = 1))]
    pub(crate) ports: Vec<String>,
}

/// One entry of `connection_types`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys type and interfaces")]
pub(crate) struct RawConnectionType {
    /// The label value. Required. Example: `wired`.
    #[schemars(with = "kinds::ConnectionWord")]
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Device names, as patterns. Required. Example: `["bond*", eth0]`.
    #[schemars(with = "Vec<kinds::Device>", length(min = 1, max = OVERRIDES))]
    pub(crate) interfaces: Vec<Option<String>>,
}

/// `tcp`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys detail and memory")]
pub(crate) struct RawTcp {
    /// Level of detail. With essential no program runs for each received segment. Default: `full`. Example: `essential`.
    #[schemars(with = "Option<kinds::DetailWord>")]
    pub(crate) detail: Option<String>,
    /// Whether to read the memory that TCP uses; needs the host's network namespace. Default: `false`. Example: `true`.
    pub(crate) memory: Option<bool>,
}

/// `drops`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys enabled, ignore and classes"
)]
pub(crate) struct RawDrops {
    /// Whether dropped packets are counted. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// Drops that are not counted. Default: `[]`. Example: `[{reason: NOT_SPECIFIED, location: unix_*}]`.
    pub(crate) ignore: Option<Vec<RawRule>>,
    /// Classes that override the built-in table; the first match wins. Default: `[]`. Example: `[{class: benign, reason: TCP_OLD_DATA}]`.
    pub(crate) classes: Option<Vec<RawClass>>,
}

/// One entry of `drops.ignore`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys reason and location")]
#[schemars(transform = kinds::gives_a_part)]
pub(crate) struct RawRule {
    /// The kernel's name of the drop reason, as a pattern; any reason if absent. Example: `TCP_*`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) reason: Option<String>,
    /// The kernel function that dropped the packet, as a pattern; any function if absent. Example: `unix_*`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) location: Option<String>,
}

/// One entry of `drops.classes`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys class, reason and location"
)]
#[schemars(transform = kinds::gives_a_part)]
pub(crate) struct RawClass {
    /// The label value. Required. Example: `benign`.
    #[schemars(with = "kinds::ClassWord")]
    pub(crate) class: String,
    /// As in `drops.ignore`. Example: `TCP_OLD_DATA`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) reason: Option<String>,
    /// As in `drops.ignore`. Example: `"*_enqueue"`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) location: Option<String>,
}

/// `labels`; an empty list leaves a metric without these labels.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys tcp and drops")]
pub(crate) struct RawLabels {
    /// Labels of the TCP metrics. Example: `[subnet, role]`.
    #[schemars(with = "Option<Vec<kinds::TcpLabelWord>>", extend("default" = words(TcpLabel::defaults(), TcpLabel::as_str), "uniqueItems" = true))]
    pub(crate) tcp: Option<Vec<String>>,
    /// Labels of the drop metrics. The programs look up only what these labels and findings need; in the API all other labels are
    /// "other". Example: `[reason, class]`.
    #[schemars(with = "Option<Vec<kinds::DropLabelWord>>", extend("default" = words(DropLabel::defaults(), DropLabel::as_str), "uniqueItems" = true))]
    pub(crate) drops: Option<Vec<String>>,
}

/// Words of a set.
fn words<T>(set: impl Iterator<Item = T>, word: fn(T) -> &'static str) -> Vec<&'static str> {
    set.map(word).collect()
}

/// `metrics`: those that a pattern of `include` matches and none of `exclude`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys include and exclude")]
pub(crate) struct RawMetrics {
    /// Patterns of full metric names, as in a query. Default: `["*"]`. Example: `["tcpvitals_tcp_*"]`.
    #[schemars(with = "Option<Vec<kinds::Glob>>", length(min = 1))]
    pub(crate) include: Option<Vec<String>>,
    /// Patterns of full metric names. Default: `[]`. Example: `["tcpvitals_tcp_rto*"]`.
    #[schemars(with = "Option<Vec<kinds::Glob>>")]
    pub(crate) exclude: Option<Vec<String>>,
}

/// `histograms`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys native and classic")]
pub(crate) struct RawHistograms {
    /// Native buckets, in protobuf. Default: `true`. Example: `false`.
    pub(crate) native: Option<bool>,
    /// Upper bounds of the classic buckets by metric, or all of them. A metric that is not listed has only the +Inf bucket. Example:
    /// `{tcpvitals_tcp_rto_seconds: all, tcpvitals_tcp_handshake_seconds: [0.0625, 1]}`.
    #[schemars(with = "Option<kinds::ClassicBuckets>")]
    pub(crate) classic: Option<Pairs<RawBounds>>,
}

/// One entry of `views`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys name, path, labels, metrics, histograms and series"
)]
pub(crate) struct RawView {
    /// Name of the view, for `otlp.view` and in messages. Required. Example: `fleet`.
    #[schemars(with = "kinds::ViewName")]
    #[serde(deserialize_with = "shapes::named")]
    pub(crate) name: Option<String>,
    /// Path of the view; /metrics/NAME if absent. Example: `/fleet`.
    #[schemars(with = "Option<kinds::ViewPath>")]
    pub(crate) path: Option<String>,
    /// As `labels`. Example: `{tcp: [subnet], drops: [class]}`.
    pub(crate) labels: Option<RawLabels>,
    /// As `metrics`. Example: `{include: ["tcpvitals_tcp_*"]}`.
    pub(crate) metrics: Option<RawMetrics>,
    /// As `histograms`. Example: `{classic: {}}`.
    pub(crate) histograms: Option<RawHistograms>,
    /// As `limits.series`. Example: `500`.
    #[schemars(with = "Option<kinds::Series>")]
    pub(crate) series: Option<String>,
}

/// `limits`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys memory, series, connections_per_peer, subnets and workloads"
)]
pub(crate) struct RawLimits {
    /// Kernel memory for counters. Default: `32MiB`. Example: `64MB`.
    #[schemars(with = "Option<kinds::Memory>")]
    pub(crate) memory: Option<String>,
    /// Maximum number of series of connections, drops and listeners; a histogram counts as one, and the series of `other` are additional.
    /// Default: `10000`. Example: `2000`.
    #[schemars(with = "Option<kinds::Series>")]
    pub(crate) series: Option<String>,
    /// Maximum number of HTTP connections of one peer: an IPv4 address, or an IPv6 network of 64 bits. Loopback addresses may use all
    /// connections. Default: `16`. Example: `64`.
    #[schemars(with = "Option<kinds::ConnectionsPerPeer>")]
    pub(crate) connections_per_peer: Option<String>,
    /// Maximum number of networks (`cidrs`) of all subnets together; each takes memory of the kernel and of the exporter. Default:
    /// `100000`. Example: `200000`.
    #[schemars(with = "Option<kinds::Prefixes>")]
    pub(crate) subnets: Option<String>,
    /// Maximum number of separate workloads until the next start; further ones count as `other`. Default: `1024`. Example: `4096`.
    #[schemars(with = "Option<kinds::MostWorkloads>")]
    pub(crate) workloads: Option<String>,
}

/// `collect`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key max_age")]
pub(crate) struct RawCollect {
    /// Age up to which a scrape may reuse the last snapshot. Default: `1s`. Example: `500ms`.
    #[schemars(with = "Option<kinds::MaxAge>")]
    pub(crate) max_age: Option<String>,
}

/// `otlp`; what is absent here, the `OTEL_*` variables may say.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys enabled, endpoint, protocol, interval, timeout, compression, headers, temporality, names, histograms, view and tls"
)]
pub(crate) struct RawOtlp {
    /// Whether to push at all, whatever the environment says. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// URL of the receiver; without one nothing is pushed. Default: none. Example: `http://localhost:4317`.
    #[schemars(with = "Option<kinds::Endpoint>")]
    pub(crate) endpoint: Option<String>,
    /// Protocol of the requests. Default: `grpc`. Example: `http/protobuf`.
    #[schemars(with = "Option<kinds::ProtocolWord>")]
    pub(crate) protocol: Option<String>,
    /// Time between two pushes. Default: `15s`. Example: `1m`.
    #[schemars(with = "Option<kinds::Interval>")]
    pub(crate) interval: Option<String>,
    /// Timeout of one request. Default: `10s`. Example: `5s`.
    #[schemars(with = "Option<kinds::Timeout>")]
    pub(crate) timeout: Option<String>,
    /// Compression of the requests. Default: `gzip`. Example: `none`.
    #[schemars(with = "Option<kinds::CompressionWord>")]
    pub(crate) compression: Option<String>,
    /// Headers of every request. Default: none. Example: `{x-scope-orgid: fleet}`.
    #[schemars(with = "Option<kinds::Headers>")]
    pub(crate) headers: Option<Pairs<Option<String>>>,
    /// Temporality of counters and histograms. Default: `cumulative`. Example: `delta`.
    #[schemars(with = "Option<kinds::TemporalityWord>")]
    pub(crate) temporality: Option<String>,
    /// Names of metrics and labels: those of the semantic conventions, or those of a scrape. Default: `conventions`. Example: `prometheus`.
    #[schemars(with = "Option<kinds::NamesWord>")]
    pub(crate) names: Option<String>,
    /// Form of histograms: exponential, or explicit with the classic buckets of a scrape. Default: `exponential`. Example: `explicit`.
    #[schemars(with = "Option<kinds::HistogramWord>")]
    pub(crate) histograms: Option<String>,
    /// Name of the view to push; if absent, the exporter pushes what the metrics path shows. Default: none. Example: `fleet`.
    #[schemars(with = "Option<kinds::ViewName>")]
    pub(crate) view: Option<String>,
    /// Keys and certificates. Example: `{ca_file: ca.pem}`.
    pub(crate) tls: Option<RawTls>,
}

/// `otlp.tls`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys ca_file, cert_file and key_file"
)]
#[schemars(transform = kinds::certificate_with_key)]
pub(crate) struct RawTls {
    /// PEM file of the certificates to trust. Default: those of the system. Example: `ca.pem`.
    #[schemars(with = "Option<kinds::File>")]
    pub(crate) ca_file: Option<String>,
    /// PEM file of the exporter's own certificate. Default: none. Example: `client.pem`.
    #[schemars(with = "Option<kinds::File>")]
    pub(crate) cert_file: Option<String>,
    /// PEM file of its key. Default: none. Example: `client.key`.
    #[schemars(with = "Option<kinds::File>")]
    pub(crate) key_file: Option<String>,
}
