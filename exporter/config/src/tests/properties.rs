//! What holds for any input.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{
    Config, SAMPLE,
    kinds::units::{COUNT, DURATION, SIZE},
};

/// Takes any text; what it refuses it refuses in one line that starts with the file, at a line the text has.
fn survive(text: &str) {
    let Err(error) = Config::from_yaml(text, "t.yaml") else {
        return;
    };
    let sentence = error.to_string();
    assert!(!sentence.contains(char::is_control), "{sentence}");
    let rest = sentence.strip_prefix("t.yaml:").unwrap();
    if let Some((line, _)) = rest.split_once(": ")
        && let Ok(line) = line.parse::<usize>()
    {
        let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
        assert!((1..=lines + 1).contains(&line), "{sentence}");
    }
}

/// The sample, with its examples in place of the values they are examples for.
fn valid_text() -> impl Strategy<Value = String> {
    let mut texts: Vec<String> = SAMPLE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("# example: "))
        .map(str::to_owned)
        .collect();
    let values = SAMPLE.lines().filter(|line| !line.trim().starts_with('#'));
    texts.push(values.collect::<Vec<_>>().join("\n"));
    select(texts)
}

/// What this configuration gives a meaning to.
const WORDS: &str = "subnets name cidrs subnets_fallback auto ipv4 app_protocols ports connection_types type \
    interfaces tcp detail full drops enabled ignore classes class reason labels limits memory collect otlp 10.0.0.0/8 \
    ::ffff:1.2.3.4/100 fd00::/8 32MiB 1h 65536 -1 other ~ true 0x1F 1e9 << !!str";

/// What YAML gives a meaning to.
const MARKS: &[&str] = &[
    ": ", ":", "- ", "-", "[", "]", "{", "}", ", ", "\n", "\n  ", "\n    ", " ", "\t", "\"", "'", "#", "&a ", "*a",
    "*", "!", "? ", "|\n", ">\n", "---\n", "...\n", "%", "@", "`", "\\", "\u{feff}", "\r", "\0", "é", "\u{2028}", "🦀",
];

fn fragment() -> impl Strategy<Value = String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    prop_oneof![select(words), select(MARKS)].prop_map(str::to_owned)
}

fn network() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0..=32u8)
        .prop_map(|(address, prefix)| IpNet::from(Ipv4Net::new(address.into(), prefix).unwrap()).trunc());
    // Not in ::/8, where the mapped addresses are.
    let v6 = (any::<u128>(), 8..=128u8)
        .prop_map(|(address, prefix)| IpNet::from(Ipv6Net::new((address | 1 << 127).into(), prefix).unwrap()).trunc());
    prop_oneof![v4, v6]
}

proptest! {
    #[test]
    fn any_text_is_accepted_or_refused(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn anything_like_yaml_is_accepted_or_refused(parts in vec(fragment(), 0..40)) {
        survive(&parts.concat());
    }

    #[test]
    fn a_mutated_file_is_accepted_or_refused(
        text in valid_text(),
        edits in vec((any::<Index>(), 0..4usize, fragment()), 1..6),
    ) {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, removed, added) in edits {
            let start = at.index(chars.len() + 1);
            let end = (start + removed).min(chars.len());
            chars.splice(start..end, added.chars());
        }
        survive(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn numbers_survive_a_round_trip(number in any::<u64>(), shift in 0..64u32) {
        for quantity in [SIZE, COUNT, DURATION] {
            let number = number >> shift;
            prop_assert_eq!(quantity.parse(&quantity.format(number)), Some(number));
        }
    }

    #[test]
    fn every_network_is_returned_exactly_once(subnets in vec(btree_set(network(), 1..6), 0..8)) {
        let mut seen = BTreeSet::new();
        let mut expected = Vec::new();
        let mut yaml = "subnets:\n".to_owned();
        let mut id = 0;
        for networks in subnets {
            let fresh: Vec<IpNet> = networks.into_iter().filter(|network| seen.insert(*network)).collect();
            if !fresh.is_empty() {
                writeln!(yaml, "- name: s{id}\n  cidrs:").unwrap();
                for network in fresh {
                    writeln!(yaml, "  - '{network}'").unwrap();
                    expected.push((network, id));
                }
                id += 1;
            }
        }
        if id == 0 {
            yaml = "subnets: []".to_owned();
        }
        let config = Config::from_yaml(&yaml, "t.yaml").unwrap();
        prop_assert_eq!(config.subnets.networks().collect::<Vec<_>>(), expected);
        prop_assert_eq!(config.subnets.names().len(), id as usize);
    }

    #[test]
    fn globs_agree_with_a_plain_definition(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
        let yaml = format!("drops: {{ignore: [{{location: '{pattern}'}}]}}");
        let config = Config::from_yaml(&yaml, "t.yaml").unwrap();
        let expected = covers(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(config.drops.ignore[0].matches("X", &text), expected);
    }
}

fn covers(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => covers(rest, text) || (!text.is_empty() && covers(pattern, &text[1..])),
        (Some((p, rest)), Some((t, tail))) => p == t && covers(rest, tail),
        _ => false,
    }
}
