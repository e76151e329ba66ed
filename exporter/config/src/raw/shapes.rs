//! Shapes that serde does not derive: mappings of free keys, and values that must be there.

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
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
