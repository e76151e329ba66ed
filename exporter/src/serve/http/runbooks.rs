//! The runbooks, as they are in the repository: a host in trouble may have no way to it.

/// The page of an alert.
pub(crate) fn page(alert: &str) -> Option<&'static str> {
    PAGES.iter().find(|(name, _)| *name == alert).map(|(_, page)| *page)
}

/// The alerts that have one, by the alphabet.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}

const fn row(name: &'static str, page: &'static str) -> (&'static str, &'static str) {
    (name, page)
}

const PAGES: &[(&str, &str)] = &[
    row(
        "TcpvitalsAbsent",
        include_str!("../../../../docs/runbooks/TcpvitalsAbsent.md"),
    ),
    row(
        "TcpvitalsAcceptQueueFull",
        include_str!("../../../../docs/runbooks/TcpvitalsAcceptQueueFull.md"),
    ),
    row(
        "TcpvitalsCapacityDrops",
        include_str!("../../../../docs/runbooks/TcpvitalsCapacityDrops.md"),
    ),
    row(
        "TcpvitalsConnectionsBudgetBurns",
        include_str!("../../../../docs/runbooks/TcpvitalsConnectionsBudgetBurns.md"),
    ),
    row(
        "TcpvitalsConnectionsFail",
        include_str!("../../../../docs/runbooks/TcpvitalsConnectionsFail.md"),
    ),
    row(
        "TcpvitalsDown",
        include_str!("../../../../docs/runbooks/TcpvitalsDown.md"),
    ),
    row(
        "TcpvitalsEventsLost",
        include_str!("../../../../docs/runbooks/TcpvitalsEventsLost.md"),
    ),
    row(
        "TcpvitalsFlowsUntracked",
        include_str!("../../../../docs/runbooks/TcpvitalsFlowsUntracked.md"),
    ),
    row(
        "TcpvitalsGroupOverflow",
        include_str!("../../../../docs/runbooks/TcpvitalsGroupOverflow.md"),
    ),
    row(
        "TcpvitalsHandshakesBudgetBurns",
        include_str!("../../../../docs/runbooks/TcpvitalsHandshakesBudgetBurns.md"),
    ),
    row(
        "TcpvitalsLocationsUnnamed",
        include_str!("../../../../docs/runbooks/TcpvitalsLocationsUnnamed.md"),
    ),
    row(
        "TcpvitalsOpensUnanswered",
        include_str!("../../../../docs/runbooks/TcpvitalsOpensUnanswered.md"),
    ),
    row(
        "TcpvitalsOwnDrops",
        include_str!("../../../../docs/runbooks/TcpvitalsOwnDrops.md"),
    ),
    row(
        "TcpvitalsPeerReadsSlowly",
        include_str!("../../../../docs/runbooks/TcpvitalsPeerReadsSlowly.md"),
    ),
    row(
        "TcpvitalsProgramNotAttached",
        include_str!("../../../../docs/runbooks/TcpvitalsProgramNotAttached.md"),
    ),
    row(
        "TcpvitalsReloadFailed",
        include_str!("../../../../docs/runbooks/TcpvitalsReloadFailed.md"),
    ),
    row(
        "TcpvitalsRetransmitRatioAboveBaseline",
        include_str!("../../../../docs/runbooks/TcpvitalsRetransmitRatioAboveBaseline.md"),
    ),
    row(
        "TcpvitalsRetransmitRatioHigh",
        include_str!("../../../../docs/runbooks/TcpvitalsRetransmitRatioHigh.md"),
    ),
    row(
        "TcpvitalsRttAboveBaseline",
        include_str!("../../../../docs/runbooks/TcpvitalsRttAboveBaseline.md"),
    ),
    row(
        "TcpvitalsRttBudgetBurns",
        include_str!("../../../../docs/runbooks/TcpvitalsRttBudgetBurns.md"),
    ),
    row(
        "TcpvitalsSeriesOverflow",
        include_str!("../../../../docs/runbooks/TcpvitalsSeriesOverflow.md"),
    ),
    row(
        "TcpvitalsWorkloadConnectionsFail",
        include_str!("../../../../docs/runbooks/TcpvitalsWorkloadConnectionsFail.md"),
    ),
    row(
        "TcpvitalsWorkloadDrops",
        include_str!("../../../../docs/runbooks/TcpvitalsWorkloadDrops.md"),
    ),
    row(
        "TcpvitalsWorkloadPolicyDrops",
        include_str!("../../../../docs/runbooks/TcpvitalsWorkloadPolicyDrops.md"),
    ),
    row(
        "TcpvitalsWorkloadRetransmits",
        include_str!("../../../../docs/runbooks/TcpvitalsWorkloadRetransmits.md"),
    ),
    row(
        "TcpvitalsWorkloadRttHigh",
        include_str!("../../../../docs/runbooks/TcpvitalsWorkloadRttHigh.md"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};
    use tcpvitals_metrics::findings::rules::RULES;

    #[test]
    fn every_runbook_is_here_and_every_rule_has_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks");
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .into_string()
                    .ok()?
                    .strip_suffix(".md")
                    .map(str::to_owned)
            })
            .filter(|name| name != "README")
            .collect();
        names.sort();
        assert_eq!(
            PAGES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(),
            names
        );
        for rule in RULES {
            assert!(page(rule.runbook).is_some(), "{}", rule.name);
        }
    }
}
