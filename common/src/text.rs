//! Names in the kernel, packed into words and shown as text, and the characters that no line of ours shows as they are.

use core::fmt::{self, Display, Write as _};

/// Characters that do something to a line or a terminal rather than stand in it: control characters, line separators, and those
/// that turn the direction of text.
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A name in the kernel, NUL-padded; a longer one is cut.
pub type Text<const WORDS: usize> = [u64; WORDS];

/// Packs a name; a longer one is cut.
pub const fn named<const WORDS: usize>(name: &str) -> Text<WORDS> {
    let bytes = name.as_bytes();
    let mut words = [0; WORDS];
    let mut at = 0;
    while at < bytes.len() && at < 8 * WORDS {
        words[at / 8] |= (bytes[at] as u64) << (8 * (at % 8));
        at += 1;
    }
    words
}

/// A NUL-padded name, as the programs keep those of the kernel. What is not UTF-8 in it shows as U+FFFD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<const WORDS: usize>(pub Text<WORDS>);

impl<const WORDS: usize> Display for Name<WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(words) = self;
        let bytes = words.map(u64::to_le_bytes);
        let bytes = bytes.as_flattened();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        for chunk in bytes.get(..end).unwrap_or_default().utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn a_name_ends_at_its_first_nul_and_is_always_text() {
        for (bytes, expected) in [
            (*b"cubic\0\0\0reno\0\0\0\0", "cubic"),
            (*b"0123456789abcdef", "0123456789abcdef"),
            (*b"a\xff\xfeb\xe2\x82\0\0\0\0\0\0\0\0\0\0", "a\u{fffd}\u{fffd}b\u{fffd}"),
            ([0; 16], ""),
        ] {
            let (words, _) = bytes.as_chunks::<8>();
            let words = [words[0], words[1]].map(u64::from_le_bytes);
            assert_eq!(Name(words).to_string(), expected);
        }
    }
}
