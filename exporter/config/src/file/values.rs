//! How many values a document has, those of aliases each time that they are repeated: a short text can mean more than there is memory for.
//! It must never hold a value. From the parser of YAML; to whoever reads a document.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::{cell::Cell, fmt};

/// Why they are not counted.
#[derive(Debug)]
pub(super) enum Uncounted {
    TooMany,
    /// It is no YAML.
    Malformed(serde_yaml::Error),
}

/// Whether a document has at most so many values; keys count too.
pub(super) fn count(document: serde_yaml::Deserializer<'_>, most: usize) -> Result<(), Uncounted> {
    let left = Cell::new(Some(most));
    Values(&left).deserialize(document).map_err(|error| match left.get() {
        None => Uncounted::TooMany,
        Some(_) => Uncounted::Malformed(error),
    })
}

/// Reads values, as long as there are some left.
#[derive(Clone, Copy)]
struct Values<'a>(&'a Cell<Option<usize>>);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let left = self.0.get().and_then(|left| left.checked_sub(1));
        self.0.set(left);
        if left.is_none() {
            return Err(D::Error::custom("too many"));
        }
        deserializer.deserialize_any(self)
    }
}

/// Single values say nothing here.
macro_rules! single {
    ($($visit:ident: $kind:ty),+ $(,)?) => {
        $(fn $visit<E>(self, _: $kind) -> Result<(), E> {
            Ok(())
        })+
    };
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    single! {
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_i128: i128,
        visit_u128: u128,
        visit_f64: f64,
        visit_str: &str,
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// An empty document.
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<(), A::Error> {
        while mapping.next_key_seed(self)?.is_some() {
            mapping.next_value_seed(self)?;
        }
        Ok(())
    }

    /// A value with a tag.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_tag, value) = tagged.variant::<serde::de::IgnoredAny>()?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a text with `most` values at most.
    fn check(text: &str, most: usize, expected: &str) {
        let said = match count(serde_yaml::Deserializer::from_str(text), most) {
            Ok(()) => "counted",
            Err(Uncounted::TooMany) => "too many",
            Err(Uncounted::Malformed(_)) => "malformed",
        };
        assert_eq!(said, expected, "{text} {most}");
    }

    #[test]
    fn each_value_and_each_key_counts() {
        for (text, values) in [
            ("a", 1),
            ("~", 1),
            ("", 1),
            ("[a, 1, -1, 1.5, true, ~]", 7),
            ("{a: b, c: {d: e}}", 7),
            ("!tag [a, b]", 4),
            ("a: !tag b", 4),
            ("? [a, b]\n: c\n", 5),
        ] {
            check(text, values, "counted");
            check(text, values - 1, "too many");
        }
        check("[a", 100, "malformed");
        check("*a", 100, "malformed");
    }

    #[test]
    fn what_aliases_repeat_counts_each_time() {
        let text = "- &a [x, x, x, x]\n- [*a, *a, *a]\n- *a\n";
        check(text, 27, "counted");
        check(text, 26, "too many");
        let mut bomb = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = format!("*a{}, ", level - 1).repeat(10);
            bomb += &format!("- &a{level} [{aliases}]\n");
        }
        // The parser itself refuses a hundred times what the text has.
        check(&bomb, usize::MAX, "malformed");
    }
}
