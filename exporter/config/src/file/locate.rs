//! The line of a key: walks the text again along a key's path and fails there on purpose.
//! It must never be run for a configuration that is good: it costs a second parse.
//! From the text and a path such as `subnets[1].cidrs[0]` or `users["a.b"]`; the answer is the position in the parser's error.

use super::merge;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The line where `key` stands for the `occurrence`th time in its mapping (counted from 1), or where a mapping that is merged into
/// one on its way has it.
pub(super) fn line_of(text: &str, key: &str, occurrence: usize) -> Option<usize> {
    let steps = steps(key);
    let walk = |steps: &[Step<'_>]| {
        let walk = Walk { steps, occurrence };
        line_after(walk, serde_yaml::Deserializer::from_str(text))
    };
    walk(&steps).or_else(|| {
        if !text.contains(merge::KEY) {
            return None;
        }
        ways_through_merges(&steps).find_map(|steps| walk(&steps))
    })
}

/// The ways that go through one merge key, the longest before it first: through a mapping, or through one of a list.
fn ways_through_merges<'a>(steps: &[Step<'a>]) -> impl Iterator<Item = Vec<Step<'a>>> {
    /// Most mappings of a list that are looked into.
    const MOST: usize = 8;
    let ways = move |at: usize| {
        let (before, behind) = steps.split_at(at);
        let by = move |item: Option<usize>| {
            let merged = std::iter::once(Step::Key(merge::KEY)).chain(item.map(Step::Item));
            before
                .iter()
                .copied()
                .chain(merged)
                .chain(behind.iter().copied())
                .collect()
        };
        std::iter::once(None).chain((0..MOST).map(Some)).map(by)
    };
    (0..steps.len()).rev().flat_map(ways)
}

/// The line where a document's content starts.
pub(super) fn first_line(document: serde_yaml::Deserializer<'_>) -> Option<usize> {
    let steps = &[];
    let occurrence = 1;
    line_after(Walk { steps, occurrence }, document)
}

fn line_after(walk: Walk<'_>, document: serde_yaml::Deserializer<'_>) -> Option<usize> {
    let arrived = walk.deserialize(document).err()?;
    Some(arrived.location()?.line())
}

/// One part of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

fn steps(mut path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        let (step, rest) = if let Some((name, rest)) = path.strip_prefix("[\"").and_then(|path| path.split_once("\"]"))
        {
            (Step::Key(name), rest)
        } else if let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
            (index.parse().map_or(Step::Key(index), Step::Item), rest)
        } else {
            // Whatever the first character is, it is part of the name: every step takes something.
            let mut ends = path
                .char_indices()
                .skip(1)
                .filter(|(_, char)| matches!(char, '.' | '['));
            let (name, rest) = path.split_at(ends.next().map_or(path.len(), |(at, _)| at));
            (Step::Key(name), rest)
        };
        steps.push(step);
        path = rest.strip_prefix('.').unwrap_or(rest);
    }
    steps
}

/// The rest of the way.
struct Walk<'a> {
    steps: &'a [Step<'a>],
    occurrence: usize,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What has no method here fails by serde's default: at the end of the way that is what is wanted.
impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the next step")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(name), steps)) = self.steps.split_first() else {
            return Err(A::Error::custom("here"));
        };
        let mut seen = 0;
        loop {
            let key = Key {
                name,
                fail: steps.is_empty() && seen + 1 == self.occurrence,
            };
            match map.next_key_seed(key)? {
                None => return Ok(()),
                Some(true) if !steps.is_empty() => {
                    let occurrence = self.occurrence;
                    return map.next_value_seed(Walk { steps, occurrence });
                }
                Some(found) => {
                    seen += usize::from(found);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((Step::Item(index), steps)) = self.steps.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..*index {
            list.next_element::<IgnoredAny>()?;
        }
        let occurrence = self.occurrence;
        list.next_element_seed(Walk { steps, occurrence })?;
        Ok(())
    }
}

/// Whether a mapping's key is `name`; fails on it if asked to.
struct Key<'a> {
    name: &'a str,
    fail: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        if self.fail && text == self.name {
            return Err(E::custom("here"));
        }
        Ok(text == self.name)
    }
}
