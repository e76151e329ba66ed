//! Values of two forms, told apart by their shape: a word or a list, a name or a mapping.

use crate::kinds;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize,
    de::{
        Deserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use std::borrow::Cow;

/// `subnets_fallback`: one name for the rest, or a name made from the address.
#[derive(Clone, Debug)]
pub(crate) enum RawFallback {
    Name(String),
    Auto(RawPrefixes),
}

impl JsonSchema for RawFallback {
    fn schema_name() -> Cow<'static, str> {
        "Fallback".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        kinds::name_or_auto(generator.subschema_for::<Option<RawPrefixes>>())
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

/// The prefix lengths of `subnets_fallback.auto`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys ipv4 and ipv6")]
pub(crate) struct RawPrefixes {
    /// Bits of an IPv4 address to keep. Default: `24`. Example: `16`.
    #[schemars(with = "Option<kinds::Ipv4Bits>")]
    pub(crate) ipv4: Option<String>,
    /// Bits of an IPv6 address to keep. Default: `48`. Example: `64`.
    #[schemars(with = "Option<kinds::Ipv6Bits>")]
    pub(crate) ipv6: Option<String>,
}

/// The classic buckets of one metric.
#[derive(Clone, Debug)]
pub(crate) enum RawBounds {
    /// A word.
    Word(String),
    /// Upper bounds in the unit of the metric.
    These(Vec<String>),
}

impl<'de> Deserialize<'de> for RawBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Told apart by shape, as a name and a mapping are above.
        struct WordOrList;

        impl<'de> Visitor<'de> for WordOrList {
            type Value = RawBounds;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of upper bounds or the word all")
            }

            fn visit_str<E>(self, word: &str) -> Result<RawBounds, E> {
                Ok(RawBounds::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawBounds, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawBounds::These)
            }
        }

        deserializer.deserialize_any(WordOrList)
    }
}
