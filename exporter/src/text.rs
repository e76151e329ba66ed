//! Text that others wrote, in lines of ours. It must never change what it is given.

/// Characters that do something to a line or a terminal rather than stand in it: control characters, line separators, and those
/// that turn the direction of text.
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
