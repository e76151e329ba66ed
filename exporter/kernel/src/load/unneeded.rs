//! Which maps nobody needs by a plan: those of what is switched off, and of other commands. Pure.

use crate::plan::{Plan, purpose::Part};
use common::{
    kernel::fields::fact,
    map::catalog::{
        ACCEPT_QUEUES, CAPTURE_DRAFTS, CAPTURE_PACKETS, CAPTURE_QUEUE, CAPTURE_SITES, CGROUP_BIRTHS, CGROUPS,
        DROP_SLOTS, DROPS, EVENTS, EVENTS_LOST, INITIAL_NETWORK, LISTENERS, LOSS_CHAINS, LOSS_COUNT, LOSS_DRAFTS,
        LOSS_SEARCHES, LOSSES, NAMED_DROP_SLOTS, NETWORKS, NO_LISTENER, PEAKS, RECENT_DROPS,
    },
};

/// What is needed with a fact alone: without it the verifier of Linux 6.2 and newer leaves out whatever reaches these maps.
const OF_FACTS: [(&[&str], &[&str]); 5] = [
    (
        &[fact::HAS_WORKLOADS],
        &[
            CGROUPS.name(),
            NETWORKS.name(),
            CGROUP_BIRTHS.name(),
            INITIAL_NETWORK.name(),
        ],
    ),
    (
        &[fact::HAS_LISTENERS, fact::HAS_RECEIVING_SOCKET],
        &[ACCEPT_QUEUES.name(), PEAKS.name(), LISTENERS.name(), NO_LISTENER.name()],
    ),
    (
        &[fact::HAS_LOSSES],
        &[
            LOSSES.name(),
            LOSS_CHAINS.name(),
            LOSS_COUNT.name(),
            LOSS_DRAFTS.name(),
            LOSS_SEARCHES.name(),
        ],
    ),
    (
        &[fact::HAS_PACKETS],
        &[
            CAPTURE_SITES.name(),
            CAPTURE_DRAFTS.name(),
            CAPTURE_PACKETS.name(),
            CAPTURE_QUEUE.name(),
        ],
    ),
    (&[fact::HAS_EVENTS], &[EVENTS.name(), EVENTS_LOST.name()]),
];

/// What the programs that see drops reach, and no others.
const OF_DROPS: [&str; 4] = [
    DROPS.name(),
    DROP_SLOTS.name(),
    NAMED_DROP_SLOTS.name(),
    RECENT_DROPS.name(),
];

/// Names of maps that no program of the plan reaches.
pub(super) fn maps(plan: &Plan) -> Vec<&'static str> {
    let is_set = |fact: &&str| plan.facts.contains(&(*fact, 1));
    let without = OF_FACTS.iter().filter(|(facts, _)| !facts.iter().any(is_set));
    let mut maps: Vec<&str> = without.flat_map(|(_, maps)| maps.iter().copied()).collect();
    let sees_drops = plan
        .programs
        .iter()
        .any(|planned| planned.off.is_none() && matches!(planned.program.part, Part::Drops | Part::OtherDrops));
    if !sees_drops {
        maps.extend(OF_DROPS);
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        plan,
        purpose::{Purpose, Selection, Workloads},
        tests::{EVERYTHING, everything},
    };

    fn of(selection: Selection, purpose: Purpose) -> Vec<&'static str> {
        maps(&plan(selection, &everything(), purpose).unwrap())
    }

    #[test]
    fn what_is_off_has_no_map() {
        let of_other_commands = [OF_FACTS[3].1, OF_FACTS[4].1].concat();
        assert_eq!(of(EVERYTHING, Purpose::Serve), of_other_commands);
        for (selection, expected) in [
            (
                Selection {
                    workloads: Workloads::Disabled,
                    ..EVERYTHING
                },
                "CGROUPS",
            ),
            (
                Selection {
                    listeners: false,
                    ..EVERYTHING
                },
                "LISTENERS",
            ),
            (
                Selection {
                    local_loss: false,
                    ..EVERYTHING
                },
                "LOSSES",
            ),
            (
                Selection {
                    drops: false,
                    ..EVERYTHING
                },
                "DROPS",
            ),
        ] {
            assert!(of(selection, Purpose::Serve).contains(&expected));
        }
        assert!(!of(EVERYTHING, Purpose::Capture).contains(&"CAPTURE_SITES"));
        assert!(!of(EVERYTHING, Purpose::Trace).contains(&"EVENTS"));
    }
}
