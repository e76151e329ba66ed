//! Regular expressions for decimal numbers in a range: a schema knows ranges of numbers only, and ours have units.
//! They must match exactly the numbers of the range, without leading zeros.
//! From a range; to a pattern without anchors.

use std::ops::RangeInclusive;

/// Numbers of the range.
pub(crate) fn pattern(range: &RangeInclusive<u64>) -> String {
    let (mut least, most) = (*range.start(), *range.end());
    let mut alternatives = Vec::new();
    // One length after the other: 8 to 120 is 8 to 9, 10 to 99 and 100 to 120.
    while least <= most {
        let longest = 10_u64
            .checked_pow(least.max(1).ilog10() + 1)
            .map_or(u64::MAX, |next| next - 1);
        alternatives.extend(same_length(&least.to_string(), &longest.min(most).to_string()));
        let Some(next) = longest.checked_add(1) else { break };
        least = next;
    }
    alternatives.join("|")
}

/// Numbers between two of the same length.
fn same_length(least: &str, most: &str) -> Vec<String> {
    let (Some((a, least)), Some((b, most))) = (first(least), first(most)) else {
        return vec![String::new()];
    };
    if a == b {
        return prefixed(a, same_length(least, most));
    }
    let rest = least.len();
    let mut alternatives = Vec::new();
    let (mut from, mut to) = (a, b);
    if least.bytes().any(|digit| digit != b'0') {
        alternatives.extend(prefixed(a, same_length(least, &"9".repeat(rest))));
        from += 1;
    }
    let rises = most.bytes().any(|digit| digit != b'9');
    if rises {
        to -= 1;
    }
    if from <= to {
        let digits = if from == to {
            from.to_string()
        } else {
            format!("[{from}-{to}]")
        };
        alternatives.push(match rest {
            0 => digits,
            1 => format!("{digits}[0-9]"),
            more => format!("{digits}[0-9]{{{more}}}"),
        });
    }
    if rises {
        alternatives.extend(prefixed(b, same_length(&"0".repeat(rest), most)));
    }
    alternatives
}

fn first(digits: &str) -> Option<(u32, &str)> {
    let digit = digits.chars().next()?.to_digit(10)?;
    Some((digit, &digits[1..]))
}

fn prefixed(digit: u32, alternatives: Vec<String>) -> Vec<String> {
    alternatives.into_iter().map(|rest| format!("{digit}{rest}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn patterns_are_short_where_they_can_be() {
        assert_eq!(pattern(&(0..=9)), "[0-9]");
        assert_eq!(pattern(&(1..=32)), "[1-9]|[1-2][0-9]|3[0-2]");
        assert_eq!(
            pattern(&(100..=10_000_000)),
            "[1-9][0-9]{2}|[1-9][0-9]{3}|[1-9][0-9]{4}|[1-9][0-9]{5}|[1-9][0-9]{6}|10000000"
        );
        assert_eq!(pattern(&(7..=7)), "7");
    }

    proptest! {
        #[test]
        fn exactly_the_numbers_of_the_range_match(
            least in 0u64..2000, width in 0u64..5000, near in any::<prop::sample::Index>(), shift in 0u32..40
        ) {
            let (least, most) = (least << shift, (least + width) << shift);
            let schema = json!({"pattern": format!("^(?:{})$", pattern(&(least..=most)))});
            let validator = jsonschema::validator_for(&schema).unwrap();
            let samples = [least, most, least.saturating_sub(1), most + 1, near.index(1 << 40) as u64, near.index(7000) as u64];
            for number in samples {
                let matches = validator.is_valid(&json!(number.to_string()));
                prop_assert_eq!(matches, (least..=most).contains(&number), "{} in {} to {}", number, least, most);
            }
        }
    }
}
