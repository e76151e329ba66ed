//! Which dropped packets are counted, and which class the operator gives them.
//! It must never know a reason or a location itself: the kernel names them, the shipped class table is elsewhere.
//! From `drops` of the file; to the labelling of snapshots.

use crate::{
    file::{Problem, choose},
    kinds::sets::Class,
    raw::{RawClass, RawDrops, RawRule},
};
use std::fmt;

/// What is measured of dropped packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops {
    /// Whether they are counted at all.
    pub enabled: bool,
    /// Drops that are not counted.
    pub ignore: Vec<Rule>,
    /// Classes that win over the shipped table; the first match wins.
    pub classes: Vec<(Rule, Class)>,
}

impl Default for Drops {
    fn default() -> Self {
        Self {
            enabled: true,
            ignore: Vec::new(),
            classes: Vec::new(),
        }
    }
}

impl Drops {
    pub(crate) fn parse(raw: &RawDrops) -> Result<Self, Problem> {
        let RawDrops {
            enabled,
            ignore,
            classes,
        } = raw;
        let mut drops = Self::default();
        if let Some(enabled) = enabled {
            drops.enabled = *enabled;
        }
        for (index, RawRule { reason, location }) in ignore.iter().flatten().enumerate() {
            let key = format!("drops.ignore[{index}]");
            let rule = Rule::parse(&key, reason.as_deref(), location.as_deref())?;
            drops.ignore.push(rule);
        }
        for (index, entry) in classes.iter().flatten().enumerate() {
            let RawClass {
                class,
                reason,
                location,
            } = entry;
            let key = format!("drops.classes[{index}]");
            let class = choose(&format!("{key}.class"), class, "a class", &Class::ALL, Class::as_str)?;
            let rule = Rule::parse(&key, reason.as_deref(), location.as_deref())?;
            drops.classes.push((rule, class));
        }
        Ok(drops)
    }
}

/// Which drops are meant: those that match every part given, and at least one part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    reason: Option<Glob>,
    location: Option<Glob>,
}

impl Rule {
    fn parse(key: &str, reason: Option<&str>, location: Option<&str>) -> Result<Self, Problem> {
        if reason.is_none() && location.is_none() {
            let what = "the rule would match every drop; give a reason, a location or both";
            return Err(Problem::new(key, what));
        }
        let glob =
            |part: &str, text: Option<&str>| text.map(|text| Glob::parse(&format!("{key}.{part}"), text)).transpose();
        Ok(Self {
            reason: glob("reason", reason)?,
            location: glob("location", location)?,
        })
    }

    /// A rule of the shipped table; `None` when a part is no pattern.
    pub fn shipped(reason: &str, location: &str) -> Option<Self> {
        Self::parse("", Some(reason), Some(location)).ok()
    }

    /// Whether a drop with this reason at this kernel function is meant.
    pub fn matches(&self, reason: &str, location: &str) -> bool {
        let fits = |glob: &Option<Glob>, text| glob.as_ref().is_none_or(|glob| glob.matches(text));
        fits(&self.reason, reason) && fits(&self.location, location)
    }
}

/// A pattern in which `*` stands for any text, also none; upper and lower case differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What stands before, between and behind the stars: one part more than there are stars.
    parts: Vec<String>,
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("*"))
    }
}

impl Glob {
    fn parse(key: &str, text: &str) -> Result<Self, Problem> {
        Self::new(text).map_err(|what| Problem::new(key, what))
    }

    /// A pattern.
    ///
    /// # Errors
    /// A sentence that says what a pattern is.
    pub fn new(text: &str) -> Result<Self, String> {
        let known = |byte: u8| byte.is_ascii_graphic() && !b"?[]{}\\".contains(&byte);
        if text.is_empty() || !text.bytes().all(known) {
            return Err(format!(
                "{text:?} is not a pattern; write a name without spaces, in which * stands for any text and \
                 nothing else is special, for example tcp_*"
            ));
        }
        Ok(Self {
            parts: text.split('*').map(str::to_owned).collect(),
        })
    }

    /// Whether the pattern covers any text: `*`.
    pub(crate) fn is_any(&self) -> bool {
        self.parts.iter().all(String::is_empty)
    }

    /// Whether the pattern covers all of `text`.
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, parts)) = self.parts.split_last() else {
            return false;
        };
        let Some((first, between)) = parts.split_first() else {
            return text == last;
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in between {
            let Some((_, behind)) = rest.split_once(part.as_str()) else {
                return false;
            };
            rest = behind;
        }
        rest.ends_with(last.as_str())
    }
}
