//! A fault in words: the finding that a rule makes of its size.

use crate::{
    findings::{
        flows::worst_flows,
        report::{Finding, Seen, Since},
        rules::{Floor, Part, Rule},
    },
    labels::NO_SUBNET,
};
use std::{borrow::Cow, time::Duration};

/// What a fault is, before it has words.
#[derive(Default)]
pub(super) struct Size {
    pub(super) part: Part,
    pub(super) services: Vec<String>,
    pub(super) workloads: Vec<String>,
    pub(super) sites: Vec<Seen>,
}

/// What is found of a subnet.
pub(super) fn finding(rule: &'static Rule, says: &str, floor: Floor, rate: f64, subnet: &str, size: Size) -> Finding {
    let Size {
        part,
        services,
        workloads,
        sites,
    } = size;
    let share = part.share();
    let above = |value: f64, floor: f64| if floor > 0.0 { value / floor } else { 1.0 };
    Finding {
        finding: Cow::Borrowed(rule.name),
        whose: rule.whose,
        // The subnet of peers that a listener turned away is unknown.
        subnet: if subnet == NO_SUBNET {
            String::new()
        } else {
            subnet.to_owned()
        },
        // How far above its floors it is, in both respects.
        severity: above(rate, floor.rate).min(1e3) * above(share, floor.share).clamp(1.0, 1e3),
        rate,
        share,
        says: in_words(says, rate, share),
        services,
        workloads,
        sites,
        flows: worst_flows(rule.name, subnet),
        next: Cow::Borrowed(rule.next),
        runbook: Cow::Borrowed(rule.runbook),
        since: Since {
            at: Duration::ZERO,
            or_before: true,
        },
    }
}

/// The sentence of a rule with its numbers.
fn in_words(says: &str, rate: f64, share: f64) -> String {
    let percent = 100.0 * share;
    let percent = if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    };
    let rate = if rate < 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    };
    says.replace("{share}", &percent).replace("{rate}", &rate)
}
