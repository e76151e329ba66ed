//! Options of a TCP segment, as bytes.

use super::byte;

/// Options of a TCP segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Largest segment that the sender takes; only with SYN.
    pub mss: Option<u16>,
    /// Shift of the sender's window field; only with SYN.
    pub window_scale: Option<u8>,
    /// The sender understands SACK; only with SYN.
    pub sack_permitted: bool,
    /// The sender's clock and the echo of the receiver's.
    pub timestamps: Option<(u32, u32)>,
    /// Ranges that have arrived: first byte, and the byte after the last.
    pub sack: Vec<(u32, u32)>,
}

impl Options {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(mss) = self.mss {
            bytes.extend([2, 4]);
            bytes.extend(mss.to_be_bytes());
        }
        if let Some(shift) = self.window_scale {
            bytes.extend([1, 3, 3, shift]);
        }
        if self.sack_permitted {
            bytes.extend([1, 1, 4, 2]);
        }
        if let Some((value, echo)) = self.timestamps {
            bytes.extend([1, 1, 8, 10]);
            bytes.extend(value.to_be_bytes());
            bytes.extend(echo.to_be_bytes());
        }
        if !self.sack.is_empty() {
            bytes.extend([1, 1, 5, byte(2 + 8 * self.sack.len())]);
            for (from, to) in &self.sack {
                bytes.extend(from.to_be_bytes());
                bytes.extend(to.to_be_bytes());
            }
        }
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Self {
        let mut options = Self::default();
        while let [kind, rest @ ..] = bytes {
            match kind {
                0 => break,
                1 => {
                    bytes = rest;
                    continue;
                }
                _ => {}
            }
            let Some(body) = rest.first().and_then(|&length| bytes.get(2..usize::from(length))) else {
                break;
            };
            let long = |at: usize| {
                body.get(at..at + 4)
                    .and_then(|word| word.try_into().ok())
                    .map(u32::from_be_bytes)
            };
            match (kind, body) {
                (2, &[high, low]) => options.mss = Some(u16::from_be_bytes([high, low])),
                (3, &[shift]) => options.window_scale = Some(shift),
                (4, []) => options.sack_permitted = true,
                (5, blocks) => {
                    options.sack = (0..blocks.len() / 8)
                        .filter_map(|i| Some((long(8 * i)?, long(8 * i + 4)?)))
                        .collect()
                }
                (8, _) => options.timestamps = long(0).zip(long(4)),
                _ => {}
            }
            bytes = &bytes[2 + body.len()..];
        }
        options
    }
}
