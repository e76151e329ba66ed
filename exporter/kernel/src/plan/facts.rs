//! What the programs are told about the kernel, and about each other. Pure.

use super::{
    planned::Planned,
    purpose::{Part, Purpose},
};
use crate::probe::features::Features;
use common::kernel::{
    fields::fact,
    programs::{CGROUP_MADE, DROPS, FOLD_LISTENERS, QDISC, RETRANSMIT, SAMPLE_LISTENERS, XDP, XDP_REDIRECT},
};

/// The facts that are set only where listeners are looked after, or dropped data is remembered, which both takes types for addresses.
pub(super) const OF_CASTS: [&str; 7] = [
    fact::HAS_LOSSES,
    fact::REASON_PKT_TOO_BIG,
    fact::REASON_TCP_OLD_DATA,
    fact::REASON_TCP_OLD_SEQUENCE,
    fact::REASON_TCP_OFOMERGE,
    fact::HAS_RECEIVING_SOCKET,
    fact::REASON_TCP_CSUM,
];

/// The facts, by the names of their globals; `remembers` is whether drops of TCP's data are remembered.
pub(super) fn of(
    programs: &[Planned],
    features: &Features,
    purpose: Purpose,
    remembers: bool,
) -> Vec<(&'static str, u64)> {
    let arguments = |hook: &str| features.tracepoints.get(hook).copied().unwrap_or(0);
    let segment_path = programs
        .iter()
        .any(|planned| planned.program.part == Part::SegmentPath && planned.off.is_none());
    let runs = |name: &str| {
        programs
            .iter()
            .any(|planned| planned.name() == name && planned.off.is_none())
    };
    // The fact is called as the reason is. A reason that the kernel does not have is 0, which is none; so is one that no program needs.
    let reason = |fact: &'static str, is_needed: bool| {
        let number = features.drop_reasons.get(&format!("SKB_DROP_{fact}"));
        let number = number.filter(|_| is_needed).copied().unwrap_or(0);
        (fact, u64::from(number))
    };
    let receiving_socket = runs(FOLD_LISTENERS);
    let xdp = runs(XDP) || runs(XDP_REDIRECT);
    let mut facts = vec![
        (fact::HAS_DROP_REASON, u64::from(arguments(DROPS) > 2)),
        (fact::HAS_RETRANSMIT_ERROR, u64::from(arguments(RETRANSMIT) > 2)),
        (fact::KEEPS_TABLES, u64::from(features.hides_storage)),
        (fact::HAS_RECEIVING_SOCKET, u64::from(receiving_socket)),
        (fact::NAMES_RECEIVING_SOCKET, u64::from(arguments(DROPS) > 3)),
        (fact::HAS_LISTENERS, u64::from(runs(SAMPLE_LISTENERS))),
        (fact::HAS_WORKLOADS, u64::from(runs(CGROUP_MADE))),
        (fact::HAS_LOSSES, u64::from(remembers)),
        reason(fact::REASON_PKT_TOO_BIG, remembers),
        reason(fact::REASON_TCP_OLD_DATA, remembers),
        reason(fact::REASON_TCP_OLD_SEQUENCE, remembers),
        reason(fact::REASON_TCP_OFOMERGE, remembers),
        reason(fact::REASON_TCP_CSUM, receiving_socket),
        (fact::HAS_REDIRECT_ERRORS, u64::from(runs(XDP_REDIRECT))),
        reason(fact::REASON_NOT_SPECIFIED, true),
        reason(fact::REASON_CPU_BACKLOG, true),
        reason(fact::REASON_XDP, xdp),
        reason(fact::REASON_QDISC_DROP, true),
        reason(fact::REASON_DEV_READY, true),
        reason(fact::REASON_NO_TX_TARGET, true),
        reason(fact::REASON_TUNNEL_TXINFO, true),
        reason(fact::REASON_NO_SOCKET, true),
        reason(fact::REASON_TCP_FLAGS, true),
        reason(fact::REASON_TCP_INVALID_SYN, true),
        reason(fact::REASON_IP_INNOROUTES, true),
        reason(fact::REASON_IP_OUTNOROUTES, true),
        (fact::HAS_QDISC_REASONS, u64::from(runs(QDISC))),
        (fact::HAS_SEGMENT_PATH, u64::from(segment_path)),
        (
            fact::HAS_PREEMPTIBLE_TRACEPOINTS,
            u64::from(features.preemptible_tracepoints),
        ),
        (fact::HAS_PREEMPT_COUNT, u64::from(features.preempt_count.is_some())),
        (fact::HAS_ONE_RUN_PER_CPU, u64::from(features.one_run_per_cpu)),
    ];
    facts.extend(purpose.facts());
    if let Some(casts) = &features.casts {
        facts.extend(casts.types.iter().map(|(fact, number)| (*fact, u64::from(*number))));
    }
    facts
}
