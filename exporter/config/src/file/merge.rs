//! Merge keys: `<<: *anchor` and `<<: [*a, *b]`, which readers of YAML 1.1 know (go-yaml among them) and the parser does not. A
//! mapping takes the keys of others that it has not itself; of a list the earlier mapping wins.
//! It must never change a text without them, nor what a value is: plain words stay plain, and quoted ones text.
//! From the text of a file; to a text that means the same, in one line.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The key that merges.
pub(super) const KEY: &str = "<<";

/// Why a text cannot be written out.
pub(super) enum Unmerged {
    /// It is none that can be understood: whoever parses it says why.
    Malformed,
    /// What the key at this path holds is no mapping and no list of mappings.
    NoMapping(String),
    /// The key at this path is given twice.
    Twice(String),
}

/// The text without merge keys; `None` if it has none.
pub(super) fn written_out(text: &str) -> Result<Option<String>, Unmerged> {
    if !text.contains(KEY) {
        return Ok(None);
    }
    let shape = Shaped.deserialize(serde_yaml::Deserializer::from_str(text));
    let shape = shape.map_err(|_said_later| Unmerged::Malformed)?;
    let node = Filled(&shape).deserialize(serde_yaml::Deserializer::from_str(text));
    let mut node = node.map_err(|_said_later| Unmerged::Malformed)?;
    if !node.merge("")? {
        return Ok(None);
    }
    let mut written = String::new();
    node.write(&mut written);
    Ok(Some(written))
}

/// What a value is, without what it says: the parser tells either the type of a plain word or its letters.
enum Shape {
    Null,
    /// A number, `true` or `false`.
    Plain,
    Text,
    List(Vec<Self>),
    Mapping(Vec<Self>),
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Plain(String),
    Text(String),
    List(Vec<Self>),
    Mapping(Vec<(String, Self)>),
}

impl Node {
    /// Resolves all merge keys at and below a path; whether there were any.
    fn merge(&mut self, path: &str) -> Result<bool, Unmerged> {
        let mut found = false;
        match self {
            Self::Plain(_) | Self::Text(_) => {}
            Self::List(list) => {
                for (index, node) in list.iter_mut().enumerate() {
                    found |= node.merge(&format!("{path}[{index}]"))?;
                }
            }
            Self::Mapping(pairs) => {
                let below = |key: &str| {
                    if path.is_empty() {
                        key.to_owned()
                    } else {
                        format!("{path}.{key}")
                    }
                };
                for (key, node) in pairs.iter_mut() {
                    found |= node.merge(&below(key))?;
                }
                while let Some(at) = pairs.iter().position(|(key, _)| key == KEY) {
                    let (_, merged) = pairs.remove(at);
                    if pairs.iter().any(|(key, _)| key == KEY) {
                        return Err(Unmerged::Twice(below(KEY)));
                    }
                    found = true;
                    let others = merged.mappings().ok_or_else(|| Unmerged::NoMapping(below(KEY)))?;
                    for (key, value) in others.into_iter().flatten() {
                        if pairs.iter().all(|(own, _)| *own != key) {
                            pairs.push((key, value));
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// The mappings that it is or lists.
    fn mappings(self) -> Option<Vec<Vec<(String, Self)>>> {
        match self {
            Self::Mapping(pairs) => Some(vec![pairs]),
            Self::List(list) => list
                .into_iter()
                .map(|node| match node {
                    Self::Mapping(pairs) => Some(pairs),
                    Self::Plain(_) | Self::Text(_) | Self::List(_) => None,
                })
                .collect(),
            Self::Plain(_) | Self::Text(_) => None,
        }
    }

    fn write(&self, to: &mut String) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Plain(word) => to.push_str(word),
            Self::Text(text) => to.push_str(&quoted(text)),
            Self::List(list) => {
                to.push('[');
                for node in list {
                    node.write(to);
                    to.push_str(", ");
                }
                to.push(']');
            }
            Self::Mapping(pairs) => {
                to.push('{');
                for (key, node) in pairs {
                    to.push_str(&quoted(key));
                    to.push_str(": ");
                    node.write(to);
                    to.push_str(", ");
                }
                to.push('}');
            }
        }
    }
}

/// Reads a shape.
#[derive(Clone, Copy)]
struct Shaped;

impl<'de> DeserializeSeed<'de> for Shaped {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shaped {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Plain)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut shapes = Vec::new();
        while let Some(shape) = list.next_element_seed(self)? {
            shapes.push(shape);
        }
        Ok(Shape::List(shapes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Shape, A::Error> {
        let mut shapes = Vec::new();
        while mapping.next_key::<String>()?.is_some() {
            shapes.push(mapping.next_value_seed(self)?);
        }
        Ok(Shape::Mapping(shapes))
    }
}

/// Reads a value whose shape is known.
struct Filled<'a>(&'a Shape);

impl<'de> DeserializeSeed<'de> for Filled<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.0 {
            Shape::List(_) => deserializer.deserialize_seq(self),
            Shape::Mapping(_) => deserializer.deserialize_map(self),
            Shape::Null | Shape::Plain | Shape::Text => deserializer.deserialize_str(self),
        }
    }
}

impl<'de> Visitor<'de> for Filled<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("what was there before")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        match self.0 {
            Shape::Null => Ok(Node::Plain("null".to_owned())),
            Shape::Plain => Ok(Node::Plain(text.to_owned())),
            Shape::Text => Ok(Node::Text(text.to_owned())),
            Shape::List(_) | Shape::Mapping(_) => Err(E::custom("another shape")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let Self(Shape::List(shapes)) = self else {
            return Err(A::Error::custom("another shape"));
        };
        let mut nodes = Vec::with_capacity(shapes.len());
        for shape in shapes {
            nodes.extend(list.next_element_seed(Filled(shape))?);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Node, A::Error> {
        let Self(Shape::Mapping(shapes)) = self else {
            return Err(A::Error::custom("another shape"));
        };
        let mut pairs = Vec::with_capacity(shapes.len());
        for shape in shapes {
            if let Some(key) = mapping.next_key()? {
                pairs.push((key, mapping.next_value_seed(Filled(shape))?));
            }
        }
        Ok(Node::Mapping(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text becomes; an error by its letters.
    fn check(text: &str, expected: Option<&str>) {
        let written = written_out(text).unwrap_or_else(|unmerged| {
            Some(match unmerged {
                Unmerged::Malformed => "malformed".to_owned(),
                Unmerged::NoMapping(path) => format!("no mapping: {path}"),
                Unmerged::Twice(path) => format!("twice: {path}"),
            })
        });
        assert_eq!(written.as_deref(), expected, "{text}");
    }

    #[test]
    fn own_keys_win_then_the_earlier_of_a_list() {
        check(
            "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {z: 0, <<: *a}\nd: {<<: [*a, *b], w: 5}\n",
            Some(
                r#"{"a": {"x": 1, "y": 2, }, "b": {"y": 3, "z": 4, }, "c": {"z": 0, "x": 1, "y": 2, }, "d": {"w": 5, "x": 1, "y": 2, "z": 4, }, }"#,
            ),
        );
        // What is merged has merge keys of its own.
        check(
            "- &a {x: 1}\n- &b {<<: *a, y: 2}\n- {<<: *b}\n- <<: {v: w}",
            Some(r#"[{"x": 1, }, {"y": 2, "x": 1, }, {"y": 2, "x": 1, }, {"v": "w", }, ]"#),
        );
    }

    #[test]
    fn values_stay_what_they_are() {
        check(
            "<<: {a: 1.50, b: 'on', c: true, d: ~, e: , f: \"~\", g: 0x10, h: é, i: !!str 5}\nj: |\n  k\n  l\n",
            Some(
                r#"{"j": "k\nl\n", "a": 1.50, "b": "on", "c": true, "d": null, "e": null, "f": "~", "g": 0x10, "h": "é", "i": "5", }"#,
            ),
        );
    }

    #[test]
    fn what_is_no_merge_is_left_alone_and_what_cannot_be_is_told() {
        check("a: b", None);
        check("a: '<<'", None);
        check("# <<\na: <<", None);
        check("a: {b: {<<: c}}", Some("no mapping: a.b.<<"));
        check("- <<: [{a: b}, c]", Some("no mapping: [0].<<"));
        check("a: {<<: {b: c}, <<: {d: e}}", Some("twice: a.<<"));
        check("a: {<<: *b}", Some("malformed"));
    }
}
