//! Events of flows: what happened, and what the flow looked like right after.

use crate::tcp::record::FlowRecord;
use zerocopy::FromBytes;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventKind {
    /// The handshake is over.
    Established = 1,
    /// Nothing; it is time to look. Made by user space.
    Periodic = 2,
    /// Segments were sent again in a state other than `TCP_CA_Loss`.
    Retrans = 3,
    /// Segments were sent again in `TCP_CA_Loss`.
    RetransLoss = 4,
    /// The connection is over.
    Close = 5,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Established,
        Self::Periodic,
        Self::Retrans,
        Self::RetransLoss,
        Self::Close,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::Periodic => "periodic",
            Self::Retrans => "retrans",
            Self::RetransLoss => "retrans_loss",
            Self::Close => "close",
        }
    }

    /// The kind of this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// An element of the ring buffer `EVENTS`. Its time is that of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Event {
    /// An [`EventKind`].
    pub kind: u32,
    /// 0.
    pub reserved: u32,
    /// The flow after the event.
    pub record: FlowRecord,
}

const _: () = assert!(align_of::<Event>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_their_numbers() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_number(kind as u32), Some(kind));
        }
        assert_eq!(EventKind::from_number(0), None);
        assert_eq!(EventKind::from_number(6), None);
    }
}
