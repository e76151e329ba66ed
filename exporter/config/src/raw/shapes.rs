//! Shapes that serde does not derive: mappings of free keys, and values of two forms.

use super::{RawBounds, RawFallback, RawPrefixes};
use serde::{
    Deserialize,
    de::{
        Deserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use std::marker::PhantomData;

/// A value that must be given, but may be YAML's word for nothing: whoever knows its key refuses that, with its line.
pub(super) fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// A mapping of free keys, as a list, so that one given twice is seen.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<V>(pub(crate) Vec<(String, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Mapping<V> {
            type Value = Pairs<V>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a mapping of names to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Mapping(PhantomData))
    }
}

impl<'de> Deserialize<'de> for RawBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Told apart by shape, as a name and a mapping are below.
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
