//! What a path calls a pod.

use crate::workloads::name;
use std::fmt;

/// What a path calls a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodId {
    /// Its UID.
    Uid(u128),
    /// The hash of its manifest, for a static pod: the annotation `kubernetes.io/config.hash` of its mirror.
    ConfigHash(u128),
}

impl PodId {
    /// A UID as the API writes it or a slice does, with underscores; else a hash of 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if name::uuid(text) == Some(text.len()) {
            let digits: String = text.replace("\\x2d", "-").split(['-', '_']).collect();
            return u128::from_str_radix(&digits, 16).ok().map(Self::Uid);
        }
        let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = is_hash.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        hash.map(Self::ConfigHash)
    }
}

impl fmt::Display for PodId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigHash(hash) => write!(out, "{hash:032x}"),
            Self::Uid(uid) => {
                let digits = format!("{uid:032x}");
                let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
                out.write_str(&parts.join("-"))
            }
        }
    }
}
