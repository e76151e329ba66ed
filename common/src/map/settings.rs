//! What user space tells the programs and may change while they run.

use crate::net::connection::{ConnectionType, Name, NamePattern};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Most device-name patterns a configuration may have.
pub const OVERRIDES: usize = 32;

/// A device-name pattern and the connection type it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Override {
    /// Which devices.
    pub pattern: NamePattern,
    /// A [`ConnectionType`].
    pub connection: u64,
}

/// The single value of the map `SETTINGS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Settings {
    /// Number of the configuration, low 16 bits: a flow whose slot was chosen by another one gets its labels anew.
    pub generation: u64,
    /// Prefix to which an IPv4 address without a configured subnet is cut, in bits; 0: use the fallback name.
    pub auto_ipv4: u32,
    /// The same for IPv6.
    pub auto_ipv6: u32,
    /// What need not be looked for in dropped packets, bits of [`crate::drops::skip`].
    pub skipped_of_drops: u64,
    /// How many of `overrides` are in use.
    pub override_count: u64,
    /// Tried in order; the first match wins.
    pub overrides: [Override; OVERRIDES],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            generation: 0,
            auto_ipv4: 0,
            auto_ipv6: 0,
            skipped_of_drops: 0,
            override_count: 0,
            overrides: [Override::default(); OVERRIDES],
        }
    }
}

impl Settings {
    /// The connection type that the pattern at `index` gives a device of this name; the first that gives one wins.
    #[inline(always)]
    pub fn overridden_by(&self, index: usize, name: Name) -> Option<ConnectionType> {
        let entry = self.overrides.get(index)?;
        let applies = (index as u64) < self.override_count && entry.pattern.matches(name);
        applies.then_some(ConnectionType::from_number((entry.connection & 0xff) as u8))
    }
}

const _: () = assert!(size_of::<Settings>() == 32 + OVERRIDES * 40);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::connection::name;

    #[test]
    fn the_first_matching_pattern_wins_and_unused_entries_do_not_match() {
        let overridden =
            |settings: &Settings, device| (0..OVERRIDES).find_map(|i| settings.overridden_by(i, name(device)));
        let mut settings = Settings::default();
        assert_eq!(overridden(&settings, "eth0"), None);
        for (i, (pattern, connection)) in [("eth0.*", ConnectionType::Tunnel), ("eth*", ConnectionType::Cell)]
            .into_iter()
            .enumerate()
        {
            settings.overrides[i] = Override {
                pattern: NamePattern::new(pattern).unwrap(),
                connection: connection as u64,
            };
        }
        settings.override_count = 2;
        assert_eq!(overridden(&settings, "eth0.7"), Some(ConnectionType::Tunnel));
        assert_eq!(overridden(&settings, "eth0"), Some(ConnectionType::Cell));
        assert_eq!(overridden(&settings, ""), None);
    }
}
