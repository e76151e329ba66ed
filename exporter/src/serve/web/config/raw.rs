//! The web configuration as written: one struct per mapping, one field per key of the exporter-toolkit's format.
//! It must never judge a value, and never show one: what it holds may be secret.
//! Filled by serde in `file` of the configuration; taken apart by the `parse` functions of its siblings.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::fmt;

use super::Secret;

/// The whole file. A key that is absent or empty keeps its default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping of settings")]
pub(crate) struct RawWeb {
    pub(crate) tls_server_config: Option<RawTls>,
    pub(crate) http_server_config: Option<RawHttp>,
    pub(crate) basic_auth_users: Option<Pairs>,
    pub(crate) rate_limit: Option<RawRateLimit>,
}

/// `tls_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys cert_file and key_file")]
pub(crate) struct RawTls {
    pub(crate) cert: Option<String>,
    pub(crate) key: Option<Secret>,
    pub(crate) client_ca: Option<String>,
    pub(crate) cert_file: Option<String>,
    pub(crate) key_file: Option<String>,
    pub(crate) client_auth_type: Option<String>,
    pub(crate) client_ca_file: Option<String>,
    pub(crate) client_allowed_sans: Option<Vec<String>>,
    pub(crate) min_version: Option<String>,
    pub(crate) max_version: Option<String>,
    pub(crate) cipher_suites: Option<Vec<String>>,
    pub(crate) prefer_server_cipher_suites: Option<bool>,
    pub(crate) curve_preferences: Option<Vec<String>>,
}

/// `http_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys http2 and headers")]
pub(crate) struct RawHttp {
    pub(crate) http2: Option<bool>,
    pub(crate) headers: Option<Pairs>,
}

/// `rate_limit`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys interval and burst")]
pub(crate) struct RawRateLimit {
    pub(crate) interval: Option<String>,
    pub(crate) burst: Option<String>,
}

/// A mapping whose keys are the operator's: names with values, each name once.
#[derive(Default)]
pub(crate) struct Pairs(pub(crate) Vec<(String, Secret)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping of names to single values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, Secret)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if pairs.iter().any(|(known, _)| *known == name) {
                        // The words of serde's own, whose keys have to be known at build time.
                        return Err(A::Error::custom(format!("duplicate field `{name}`")));
                    }
                    // As in Go, nothing is an empty text.
                    pairs.push((name, map.next_value::<Option<Secret>>()?.unwrap_or_default()));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}
