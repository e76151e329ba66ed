//! What a drop reason means, its usual causes, and the command to begin with. Reasons are the kernel's (`enum skb_drop_reason`); a
//! kernel has more or fewer of them, and what the table does not have is explained by its name.

mod table;

use std::borrow::Cow;
pub use table::Entry;
use tcpvitals_config::Glob;

/// Every entry; the first whose reason fits is that of a reason.
pub const ENTRIES: &[Entry] = table::ENTRIES;

/// What is known of a reason; `None` of one that the table does not have.
pub fn look_up(reason: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| fits(entry.reason, reason))
}

fn fits(pattern: &str, reason: &str) -> bool {
    Glob::new(pattern).is_ok_and(|glob| glob.matches(reason))
}

/// A reason's name in words, for one that the table does not have: `TCP_INVALID_SYN` is "tcp invalid syn".
pub fn in_words(reason: &str) -> String {
    reason.to_lowercase().replace('_', " ")
}

/// What a reason means: by the table, else by its name.
pub fn meaning(reason: &str) -> Cow<'static, str> {
    look_up(reason).map_or_else(|| Cow::Owned(in_words(reason)), |entry| Cow::Borrowed(entry.meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_once_and_before_the_patterns_that_fit_it() {
        for (place, entry) in ENTRIES.iter().enumerate() {
            let reason = entry.reason.trim_end_matches('*');
            assert_eq!(
                ENTRIES.iter().position(|other| fits(other.reason, reason)),
                Some(place),
                "{reason}"
            );
            for text in [entry.meaning, entry.causes, entry.first] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{reason}: {text}");
            }
        }
    }

    #[test]
    fn a_reason_without_an_entry_has_its_name() {
        assert_eq!(look_up("TCP_FUTURE_REASON").map(|entry| entry.reason), None);
        assert_eq!(in_words("TCP_FUTURE_REASON"), "tcp future reason");
        assert_eq!(look_up("QDISC_DROP").map(|entry| entry.reason), Some("QDISC_*"));
    }
}
