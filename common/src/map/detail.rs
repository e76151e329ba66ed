//! How much is measured of TCP: what the operator chooses, and by which the programs to run are chosen.

/// How much is measured of TCP, and so what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Every received segment is seen: RTT per ACK, duplicate ACKs, SACKs.
    #[default]
    Full,
    /// No program runs on the segment path.
    Essential,
    /// No TCP program runs at all.
    Off,
}

impl Detail {
    /// Every level, from most to least.
    pub const ALL: [Self; 3] = [Self::Full, Self::Essential, Self::Off];

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Essential => "essential",
            Self::Off => "off",
        }
    }
}
