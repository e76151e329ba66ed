//! The configuration file as written: one struct per mapping, one field per key, every value still text.
//! It must never judge a value; only unknown, doubled and missing keys and wrong shapes are refused here.
//! Filled by serde in `document`; taken apart by the `parse` functions of its siblings.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// The whole file. A key that is absent or empty keeps its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of settings")]
pub(crate) struct RawConfig {
    /// Named remote networks; the longest prefix wins.
    /// Default: loopback, link-local, private-10, private-172, private-192, cgnat, ula.
    /// Example: `[{name: dc-east, cidrs: [10.1.0.0/16]}]`.
    pub(crate) subnets: Option<Vec<RawSubnet>>,
    /// What an address outside all subnets is called. Default: `internet`. Example: `{auto: {ipv4: 24, ipv6: 48}}`.
    pub(crate) subnets_fallback: Option<RawFallback>,
    /// Server ports with a name, on top of the built-in table. Default: none.
    /// Example: `[{name: orders-api, ports: [8443]}]`.
    pub(crate) app_protocols: Option<Vec<RawProtocol>>,
    /// Connection types by device name; the first match wins. Default: none.
    /// Example: `[{type: wired, interfaces: ["bond*"]}]`. At most 32 patterns in all.
    pub(crate) connection_types: Option<Vec<RawConnectionType>>,
    /// What is measured of TCP. Example: `{detail: essential}`.
    pub(crate) tcp: Option<RawTcp>,
    /// What is measured of dropped packets. Example: `{enabled: false}`.
    pub(crate) drops: Option<RawDrops>,
    /// Labels that the metrics carry. Example: `{tcp: [subnet, role]}`.
    pub(crate) labels: Option<RawLabels>,
    /// Bounds of memory and series. Example: `{memory: 64MiB}`.
    pub(crate) limits: Option<RawLimits>,
    /// When to collect. Example: `{max_age: 5s}`.
    pub(crate) collect: Option<RawCollect>,
    /// Push over OTLP. Example: `{endpoint: "http://localhost:4317"}`.
    pub(crate) otlp: Option<RawOtlp>,
}

/// One entry of `subnets`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys name and cidrs")]
pub(crate) struct RawSubnet {
    /// The label value. Required. Example: `dc-east`.
    pub(crate) name: String,
    /// Its networks, IPv4 or IPv6, as address/prefix length. Required. Example: `[10.1.0.0/16, "fd00:1::/32"]`.
    pub(crate) cidrs: Vec<String>,
}

/// `subnets_fallback`: one name for the rest, or a name made from the address.
#[derive(Clone, Debug)]
pub(crate) enum RawFallback {
    Name(String),
    Auto(RawPrefixes),
}

/// The prefix lengths of `subnets_fallback.auto`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys ipv4 and ipv6")]
pub(crate) struct RawPrefixes {
    /// Bits of an IPv4 address to keep, 1 to 32. Default: 24. Example: `16`.
    pub(crate) ipv4: Option<String>,
    /// Bits of an IPv6 address to keep, 1 to 128. Default: 48. Example: `64`.
    pub(crate) ipv6: Option<String>,
}

/// One entry of `app_protocols`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys name and ports")]
pub(crate) struct RawProtocol {
    /// The label value. Required. Example: `orders-api`.
    pub(crate) name: String,
    /// Its TCP ports on the server, 1 to 65535. Required. Example: `[8443, 9443]`.
    pub(crate) ports: Vec<String>,
}

/// One entry of `connection_types`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys type and interfaces")]
pub(crate) struct RawConnectionType {
    /// The label value: unknown, wired, wifi, cell, loopback, tunnel or virtual. Required. Example: `wired`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Device names; `?` is any character, `*` at the end any rest. Required. Example: `["bond*", eth0]`.
    pub(crate) interfaces: Vec<String>,
}

/// `tcp`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key detail")]
pub(crate) struct RawTcp {
    /// How much is measured: full, essential or off. Default: `full`. Example: `essential`.
    pub(crate) detail: Option<String>,
}

/// `drops`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys enabled, ignore and classes"
)]
pub(crate) struct RawDrops {
    /// Whether dropped packets are counted. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// Drops that are not counted. Default: none. Example: `[{reason: NOT_SPECIFIED, location: unix_*}]`.
    pub(crate) ignore: Option<Vec<RawRule>>,
    /// Classes that win over the shipped table; the first match wins. Default: none.
    /// Example: `[{class: benign, reason: TCP_OLD_DATA}]`.
    pub(crate) classes: Option<Vec<RawClass>>,
}

/// One entry of `drops.ignore`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys reason and location")]
pub(crate) struct RawRule {
    /// The kernel's name of the drop reason; `*` is any text. Default: any. Example: `TCP_*`.
    pub(crate) reason: Option<String>,
    /// The kernel function that dropped; `*` is any text. Default: any. Example: `unix_*`.
    pub(crate) location: Option<String>,
}

/// One entry of `drops.classes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys class, reason and location"
)]
pub(crate) struct RawClass {
    /// The label value: benign, policy, error or capacity. Required. Example: `benign`.
    pub(crate) class: String,
    /// As in `drops.ignore`.
    pub(crate) reason: Option<String>,
    /// As in `drops.ignore`.
    pub(crate) location: Option<String>,
}

/// `labels`; an empty list leaves a metric without these labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys tcp and drops")]
pub(crate) struct RawLabels {
    /// Labels of the TCP metrics. Default: all of them. Example: `[subnet, role]`.
    pub(crate) tcp: Option<Vec<String>>,
    /// Labels of the drop metrics. Default: all of them. Example: `[reason, class]`.
    pub(crate) drops: Option<Vec<String>>,
}

/// `limits`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys memory and series")]
pub(crate) struct RawLimits {
    /// Kernel memory for counters, in bytes, 16KiB to 4GiB. Default: `32MiB`. Example: `64MB`.
    pub(crate) memory: Option<String>,
    /// Most series in all (a histogram counts as one), 100 to 10000000. Default: `10000`. Example: `2000`.
    pub(crate) series: Option<String>,
}

/// `collect`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key max_age")]
pub(crate) struct RawCollect {
    /// Age up to which a scrape may reuse the last snapshot, 0 to 1h. Default: `1s`. Example: `500ms`.
    pub(crate) max_age: Option<String>,
}

/// `otlp`; what is absent here, the `OTEL_*` variables may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys endpoint, protocol, interval, timeout, compression, headers, temporality and tls"
)]
pub(crate) struct RawOtlp {
    /// URL of the receiver; without one nothing is pushed. Default: none. Example: `http://localhost:4317`.
    pub(crate) endpoint: Option<String>,
    /// How requests travel: grpc or http/protobuf. Default: `grpc`. Example: `http/protobuf`.
    pub(crate) protocol: Option<String>,
    /// Time between two pushes, 1s to 1h. Default: `15s`. Example: `1m`.
    pub(crate) interval: Option<String>,
    /// Longest time for one request, 100ms to 10m. Default: `10s`. Example: `5s`.
    pub(crate) timeout: Option<String>,
    /// How requests are compressed: gzip or none. Default: `gzip`. Example: `none`.
    pub(crate) compression: Option<String>,
    /// Headers of every request. Default: none. Example: `{x-scope-orgid: fleet}`.
    pub(crate) headers: Option<RawHeaders>,
    /// What counters and histograms mean: cumulative or delta. Default: `cumulative`. Example: `delta`.
    pub(crate) temporality: Option<String>,
    /// Keys and certificates. Example: `{ca_file: ca.pem}`.
    pub(crate) tls: Option<RawTls>,
}

/// `otlp.tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys ca_file, cert_file and key_file"
)]
pub(crate) struct RawTls {
    /// PEM file of the certificates to trust. Default: those of the system. Example: `ca.pem`.
    pub(crate) ca_file: Option<String>,
    /// PEM file of the exporter's own certificate. Default: none. Example: `client.pem`.
    pub(crate) cert_file: Option<String>,
    /// PEM file of its key. Default: none. Example: `client.key`.
    pub(crate) key_file: Option<String>,
}

/// `otlp.headers`: a list, so that a name given twice is seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawHeaders(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for RawHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = RawHeaders;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a mapping of names to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeaders, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(RawHeaders(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for RawFallback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Told apart by shape: an untagged enum would hide which key is wrong.
        struct NameOrMapping;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Mapping {
            auto: RawPrefixes,
        }

        impl<'de> Visitor<'de> for NameOrMapping {
            type Value = RawFallback;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a name or {auto: {ipv4: 24, ipv6: 48}}")
            }

            fn visit_str<E>(self, name: &str) -> Result<RawFallback, E> {
                Ok(RawFallback::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFallback, A::Error> {
                let Mapping { auto } = Mapping::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawFallback::Auto(auto))
            }
        }

        deserializer.deserialize_any(NameOrMapping)
    }
}
