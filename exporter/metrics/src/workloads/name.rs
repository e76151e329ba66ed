//! Names that labels can bear: bounded, printable, and without what comes and goes.

use common::text::is_unprintable;

/// The longest name, in bytes. Kubernetes allows 253, a folder has 255.
const LONGEST: usize = 128;

/// Where a name was cut.
const CUT: char = '…';

/// What stands for an id.
const ID: char = '*';

/// A name of at most [`LONGEST`] bytes; characters that nobody can print are replaced.
pub(super) fn bounded(name: &str) -> String {
    bounded_to(name, LONGEST)
}

/// The same of at most so many bytes.
pub(super) fn bounded_to(name: &str, longest: usize) -> String {
    let printable = |letter: char| {
        if is_unprintable(letter) {
            char::REPLACEMENT_CHARACTER
        } else {
            letter
        }
    };
    let mut bounded: String = name.chars().map(printable).collect();
    if bounded.len() > longest {
        let room = longest - CUT.len_utf8();
        let end = (0..=room).rev().find(|end| bounded.is_char_boundary(*end));
        bounded.truncate(end.unwrap_or(0));
        bounded.push(CUT);
    }
    bounded
}

/// Whether a name is nothing but an id that a program made up: a UUID, at least 12 hexadecimal digits, 25 letters and digits as the
/// Docker engine's builder makes them, or a number.
pub(super) fn is_id(name: &str) -> bool {
    uuid(name) == Some(name.len()) || hex_run(name) == Some(name.len()) || is_built(name) || is_number(name)
}

/// Whether a name is a decimal number.
pub(super) fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The id of a build of the Docker engine: 25 small letters and digits (identity.NewID of BuildKit).
fn is_built(name: &str) -> bool {
    let has_digit = name.bytes().any(|byte| byte.is_ascii_digit());
    name.len() == 25
        && has_digit
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The length of the UUID that a text begins with. Its parts are joined by hyphens, by underscores as the kubelet writes them in
/// slices, or by hyphens as systemd escapes them.
pub(super) fn uuid(text: &str) -> Option<usize> {
    let mut rest = text;
    for (part, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if part > 0 {
            rest = ["-", "_", "\\x2d"].iter().find_map(|joint| rest.strip_prefix(joint))?;
        }
        let digits = rest.get(..length)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        rest = rest.get(length..)?;
    }
    let more = rest.bytes().next().is_some_and(|byte| byte.is_ascii_hexdigit());
    (!more).then_some(text.len() - rest.len())
}

/// The length of the run of hexadecimal digits that a text begins with, if it is an id: 12 or more, of which 1 is no letter, or 32.
fn hex_run(text: &str) -> Option<usize> {
    let run = text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let has_digit = text.bytes().take(run).any(|byte| byte.is_ascii_digit());
    (run >= 32 || (run >= 12 && has_digit)).then_some(run)
}

/// Which numbers in a name come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Those of six digits or more, such as dates and process ids.
    Long,
    /// All that stand alone, as in scopes, which are never configured.
    All,
}

/// A name with a star for each id in it.
pub(super) fn without_ids(name: &str, numbers: Numbers) -> String {
    let mut kept = String::new();
    let mut rest = name;
    let mut starts_word = true;
    while let Some(first) = rest.chars().next() {
        // A letter that systemd escapes ends a word as any other sign does.
        let escaped =
            rest.starts_with("\\x") && rest.get(2..4).is_some_and(|code| u8::from_str_radix(code, 16).is_ok());
        let id = uuid(rest)
            .or_else(|| hex_run(rest))
            .or_else(|| number(rest, starts_word, numbers))
            .or_else(|| word(rest).filter(|word| starts_word && is_built(word)).map(str::len));
        let taken = id.unwrap_or(if escaped { 4 } else { first.len_utf8() });
        let (head, tail) = rest.split_at(taken);
        if id.is_some() {
            kept.push(ID);
        } else {
            kept.push_str(head);
        }
        starts_word = id.is_some() || escaped || !first.is_alphanumeric();
        rest = tail;
    }
    kept
}

/// The length of the number that a text begins with, if it comes and goes and ends its word.
fn number(text: &str, starts_word: bool, numbers: Numbers) -> Option<usize> {
    let run = text.bytes().take_while(u8::is_ascii_digit).count();
    let ends_word = !text[run..].starts_with(char::is_alphanumeric);
    let alone = starts_word && numbers == Numbers::All && run > 0;
    (ends_word && (run >= 6 || alone)).then_some(run)
}

/// The letters and digits that a text begins with.
fn word(text: &str) -> Option<&str> {
    text.split(|letter: char| !letter.is_alphanumeric()).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_names_are_cut_with_a_mark() {
        assert_eq!(bounded("nginx.service"), "nginx.service");
        assert_eq!(bounded(&"a".repeat(128)).len(), 128);
        let cut = bounded(&"a".repeat(129));
        assert_eq!((cut.len(), cut.chars().last()), (128, Some('…')));
        // A control character, and one that turns the direction of text.
        assert_eq!(bounded("a\nb\u{202e}c"), "a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn ids_are_told_from_names() {
        for id in [
            "c155dbae-1f2c-4f0e-9d0a-b52f4e2b1c3d",
            "c155dbae_1f2c_4f0e_9d0a_b52f4e2b1c3d",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "9f86d081884c",
            "osh60k53lspy0g0cjo94ur00h",
            "1234",
        ] {
            assert!(is_id(id), "{id}");
        }
        for name in [
            "",
            "web",
            "facade",
            "deadbeefcafe",
            "redis7",
            "a-1",
            "internationalisationworks",
        ] {
            assert!(!is_id(name), "{name}");
        }
    }

    #[test]
    fn only_what_comes_and_goes_is_folded() {
        for (name, folded) in [
            ("postgresql@14-main", "postgresql@14-main"),
            ("vte-spawn-c155dbae-1f2c-4f0e-9d0a-b52f4e2b1c3d", "vte-spawn-*"),
            (
                "pods-c155dbae\\x2d1f2c\\x2d4f0e\\x2d9d0a\\x2db52f4e2b1c3d-x",
                "pods-*-x",
            ),
            ("backup-20260101", "backup-*"),
            ("c155dbae-1f2c-4f0e-9d0a-b52f4e2b1c3dosh60k53lspy0g0cjo94ur00h", "**"),
            ("backup20260101", "backup*"),
            ("instance-0000000a", "instance-0000000a"),
            ("my\\x2dapp", "my\\x2dapp"),
            ("pod_9f86d081884c7d659a2feaa0c55ad015", "pod_*"),
            ("ünït-1", "ünït-1"),
        ] {
            assert_eq!(without_ids(name, Numbers::Long), folded, "{name}");
        }
        for (name, folded) in [("app-firefox-12", "app-firefox-*"), ("compose-v2", "compose-v2")] {
            assert_eq!(without_ids(name, Numbers::All), folded, "{name}");
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_and_settle(name in "\\PC{0,200}") {
            let once = bounded(&name);
            prop_assert!(once.len() <= LONGEST);
            prop_assert_eq!(bounded(&once), once);
        }

        #[test]
        fn folding_settles(name in "[-a-z0-9._@:\\\\x]{0,80}") {
            let once = without_ids(&name, Numbers::All);
            prop_assert_eq!(without_ids(&once, Numbers::All), once);
        }
    }
}
