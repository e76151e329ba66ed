//! IPv6 extension headers: what the way from the fixed header to the transport's looks like.

/// Most headers that are gone through. RFC 8200 has each of six once, and destination options twice.
pub const MOST: u32 = 8;

/// Bytes of the fixed header of IPv6.
pub const FIXED_HEADER: u32 = 40;

/// "No next header" (RFC 8200, 4.7): of the transport nothing is there, as in a fragment other than the first.
pub const NO_NEXT_HEADER: u8 = 59;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// Whether a `nexthdr` is an extension header that another header follows.
#[inline(always)]
pub const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION)
}

/// Whether this is the header of a fragment other than the first: what lies behind is no header.
#[inline(always)]
pub const fn is_later_fragment(next: u8, words: [u32; 2]) -> bool {
    next == FRAGMENT && u32::from_be(words[0]) & OFFSET != 0
}

/// The offset above the reserved bits and the flag "more fragments".
const OFFSET: u32 = 0xfff8;

/// What follows an extension header of the kind `next` that begins with these words, as they lie in memory: the kind of the header
/// behind it, and its own length in bytes. Of a fragment, `nexthdr` is that of the whole packet, whose first header only the first
/// fragment has.
#[inline(always)]
pub const fn step(next: u8, words: [u32; 2]) -> (u8, u32) {
    let first = u32::from_be(words[0]);
    let [following, length, ..] = first.to_be_bytes();
    match next {
        FRAGMENT => {
            if first & OFFSET != 0 && is_extension(following) {
                (NO_NEXT_HEADER, 0)
            } else {
                (following, 8)
            }
        }
        AUTHENTICATION => (following, (length as u32 + 2) * 4),
        _ => (following, (length as u32 + 1) * 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(next: u8, bytes: [u8; 4], expected: (u8, u32)) {
        assert_eq!(
            step(next, [u32::from_ne_bytes(bytes), 7]),
            expected,
            "{next}: {bytes:?}"
        );
    }

    #[test]
    fn a_later_fragment_is_told_by_its_offset() {
        let fragment = |bytes| is_later_fragment(FRAGMENT, [u32::from_ne_bytes(bytes), 7]);
        assert!(!fragment([17, 0, 0, 1]) && fragment([17, 0, 0, 9]) && fragment([17, 0, 5, 0xb0]));
        assert!(!is_later_fragment(ROUTING, [u32::from_ne_bytes([17, 0, 0, 9]), 7]));
    }

    #[test]
    fn each_header_says_what_follows_and_where() {
        check(HOP_BY_HOP, [6, 0, 5, 2], (6, 8));
        check(DESTINATION, [17, 3, 1, 4], (17, 32));
        check(ROUTING, [60, 2, 4, 0], (60, 24));
        // Its length counts words of four bytes, and leaves two out.
        check(AUTHENTICATION, [6, 4, 0, 0], (6, 24));
    }

    #[test]
    fn a_later_fragment_has_its_transport_in_the_header_only() {
        check(FRAGMENT, [17, 0, 0, 1], (17, 8));
        check(FRAGMENT, [17, 0, 0, 8], (17, 8));
        check(FRAGMENT, [60, 0, 0, 1], (60, 8));
        check(FRAGMENT, [60, 0, 0, 9], (NO_NEXT_HEADER, 0));
    }

    #[test]
    fn only_headers_that_another_follows_are_extensions() {
        let known: std::vec::Vec<u8> = (0..=u8::MAX).filter(|next| is_extension(*next)).collect();
        assert_eq!(known, [0, 43, 44, 51, 60]);
        assert!(!is_extension(NO_NEXT_HEADER));
    }
}
