use super::*;
use crate::probe::casts::Casts;
use common::{
    kernel::{
        fields::{FIELDS, FieldOffset, fact},
        programs::{
            CGROUP_GONE, DELETE_STORAGE, DELETE_STORAGE_AGAIN, DUMP_TABLE, FIND_CGROUPS, FOLD_LISTENER_TABLE,
            FOLD_TABLE, SAMPLE_LISTENER_TABLE,
        },
        tracepoints::Tracepoint,
    },
    map::detail::Detail,
};
use std::collections::BTreeMap;

/// All that can be selected.
pub(crate) const EVERYTHING: Selection = Selection {
    detail: Detail::Full,
    drops: true,
    workloads: purpose::Workloads::Apart,
    local_loss: true,
    listeners: true,
};

/// A kernel that has everything.
pub(crate) fn everything() -> Features {
    Features {
        fields: FIELDS
            .iter()
            .map(|field| {
                (
                    field.global,
                    Ok(FieldOffset {
                        offset: 8,
                        shift: 0,
                        width: 0,
                    }),
                )
            })
            .collect(),
        tracepoints: tracepoints().into_iter().map(|hook| (hook.to_owned(), 4)).collect(),
        iterators: iterators().into_iter().map(str::to_owned).collect(),
        drop_reasons: [
            "NOT_SPECIFIED",
            "XDP",
            "QDISC_DROP",
            "CPU_BACKLOG",
            "TCP_CSUM",
            "TCP_FLAGS",
        ]
        .into_iter()
        .zip(2..)
        .map(|(name, number)| (format!("SKB_DROP_REASON_{name}"), number))
        .collect(),
        socket_storage: true,
        one_run_per_cpu: true,
        casts: Some(Casts {
            function: 70_000,
            types: vec![(fact::TYPE_IN6_ADDR, 300), (fact::TYPE_TCP_SOCK, 9_000)],
        }),
        preempt_count: None,
        frees_storage_under_iterators: true,
        hides_storage: false,
        preemptible_tracepoints: true,
    }
}

/// The programs that see drops.
fn drop_programs() -> Vec<&'static str> {
    let of_drops = |program: &&Program| matches!(program.part, Part::Drops | Part::OtherDrops);
    let tracepoints = PROGRAMS.iter().filter(of_drops).filter_map(Program::tracepoint);
    tracepoints
        .flat_map(|tracepoint| [tracepoint.nested(), tracepoint.name()])
        .collect()
}

/// Programs of a plan for a kernel that has everything.
const ALL: usize = PROGRAMS.len() + Tracepoint::COUNT;
/// Those that see cgroups come and go, and find those there are.
const OF_WORKLOADS: usize = 3;

fn off(selection: Selection, features: &Features) -> Vec<(&'static str, String)> {
    let plan = plan(selection, features, Purpose::Serve).unwrap();
    plan.programs
        .into_iter()
        .filter_map(|planned| Some((planned.name(), planned.off?.to_string())))
        .collect()
}

fn by_detail(detail: Detail) -> Selection {
    Selection { detail, ..EVERYTHING }
}

#[test]
fn a_kernel_that_has_everything_runs_everything() {
    assert_eq!(off(EVERYTHING, &everything()), []);
}

#[test]
fn the_configuration_switches_parts_off() {
    assert_eq!(
        off(by_detail(Detail::Essential), &everything()),
        ["tcp_probe_nested", "tcp_probe"].map(|name| (name, "tcp.detail is essential".to_owned()))
    );
    let without_drops = off(
        Selection {
            drops: false,
            ..EVERYTHING
        },
        &everything(),
    );
    let (reason, listeners) = ("drops.enabled is false".to_owned(), [FOLD_LISTENERS]);
    let programs = listeners.into_iter().chain(drop_programs());
    assert_eq!(
        without_drops,
        programs.map(|name| (name, reason.clone())).collect::<Vec<_>>()
    );
    let only_drops = off(by_detail(Detail::Off), &everything());
    // Drops are told apart by workloads, too.
    assert_eq!(only_drops.len(), ALL - drop_programs().len() - OF_WORKLOADS);
    assert!(only_drops.iter().all(|(name, _)| !drop_programs().contains(name)));
}

#[test]
fn what_the_kernel_lacks_is_off_with_its_reason() {
    let mut features = everything();
    features.tracepoints.remove("tcp_cong_state_set");
    features.iterators.retain(|target| target != "tcp");
    features.fields.insert(
        global::SK_BUFF_IIF,
        Err("struct sk_buff has no member skb_iif".to_owned()),
    );
    assert_eq!(
        off(EVERYTHING, &features),
        [
            (
                "tcp_cong_state_set_nested",
                "this kernel has no tracepoint tcp_cong_state_set".to_owned()
            ),
            (
                "tcp_cong_state_set",
                "this kernel has no tracepoint tcp_cong_state_set".to_owned()
            ),
            (
                "kfree_skb_nested",
                "the field SK_BUFF_IIF is missing: struct sk_buff has no member skb_iif".to_owned()
            ),
            (
                "kfree_skb",
                "the field SK_BUFF_IIF is missing: struct sk_buff has no member skb_iif".to_owned()
            ),
            ("adopt_flows", "this kernel has no iterator tcp".to_owned()),
        ]
    );
}

#[test]
fn listeners_need_a_kernel_that_names_the_receiving_socket() {
    let mut features = everything();
    features.tracepoints.insert("kfree_skb".to_owned(), 3);
    assert_eq!(
        off(EVERYTHING, &features),
        [(
            FOLD_LISTENERS,
            "this kernel's tracepoint kfree_skb has no argument rx_sk".to_owned()
        )]
    );
}

#[test]
fn helpers_run_only_where_the_kernel_needs_them() {
    let features = Features {
        frees_storage_under_iterators: false,
        preemptible_tracepoints: false,
        ..everything()
    };
    let plan = plan(EVERYTHING, &features, Purpose::Serve).unwrap();
    assert_eq!(plan.programs.len(), ALL - HELPERS.len());
    let mut names = plan.programs.iter().map(Planned::name);
    assert!(names.all(|name| !HELPERS.contains(&name)));
}

#[test]
fn where_storage_is_hidden_sockets_are_kept_in_tables() {
    let features = Features {
        frees_storage_under_iterators: false,
        hides_storage: true,
        ..everything()
    };
    let plan_of = |features: &Features| plan(Selection::default(), features, Purpose::Serve).unwrap();
    let tables = plan_of(&features);
    assert!(tables.keeps_tables && tables.facts.contains(&(fact::KEEPS_TABLES, 1)));
    assert!(tables.facts.contains(&(fact::HAS_RECEIVING_SOCKET, 1)));
    let function = |name: &str| {
        let mut planned = tables.programs.iter();
        let planned = planned.find(|planned| planned.name() == name)?;
        planned.off.is_none().then(|| planned.function())
    };
    for (name, expected) in [
        (FOLD, FOLD_TABLE),
        (FOLD_LISTENERS, FOLD_LISTENER_TABLE),
        (SAMPLE_LISTENERS, SAMPLE_LISTENER_TABLE),
        (DUMP, DUMP_TABLE),
        (DELETE_STORAGE, DELETE_STORAGE),
        (DELETE_STORAGE_AGAIN, DELETE_STORAGE_AGAIN),
    ] {
        assert_eq!(function(name), Some(expected));
    }
    let untyped = plan_of(&Features {
        casts: None,
        ..features
    });
    assert_eq!(untyped.why_off(FOLD), Some(&Off::NoCasts));
    assert!(!plan_of(&everything()).keeps_tables);
}

#[test]
fn first_programs_are_alone_where_nothing_is_skipped_or_nobody_can_tell() {
    let alone = |change: &dyn Fn(&mut Features)| {
        let mut features = everything();
        change(&mut features);
        let mut off = off(EVERYTHING, &features);
        off.dedup_by(|(_, one), (_, other)| one == other);
        off
    };
    let first = "inet_sock_set_state_nested";
    assert_eq!(alone(&|_| {}), []);
    assert_eq!(
        alone(&|features| features.one_run_per_cpu = false),
        [(
            first,
            "this kernel skips no run of a program and needs no second one".to_owned()
        )]
    );
    assert_eq!(
        alone(&|features| features.iterators.retain(|target| target != PROGRAMS_OF_KERNEL)),
        [(first, "this kernel has no iterator bpf_prog".to_owned())]
    );
    let missing = |features: &mut Features| {
        features.fields.insert(global::TASK_PREEMPT_COUNT, Err("no".to_owned()));
    };
    assert_eq!(
        alone(&|features| missing(features)),
        [(
            first,
            "this kernel's type information does not say whether a task can be preempted within a tracepoint"
                .to_owned()
        )]
    );
    let told = |features: &mut Features| {
        missing(features);
        features.preempt_count = Some(8427);
    };
    assert_eq!(alone(&|features| told(features)), []);
}

#[test]
fn only_what_a_command_reads_runs() {
    let runs = |purpose| {
        let plan = plan(EVERYTHING, &everything(), purpose).unwrap();
        let on = plan.programs.iter().filter(|planned| planned.off.is_none());
        let on: Vec<_> = on.map(Planned::name).collect();
        let facts: BTreeMap<_, _> = plan.facts.into_iter().collect();
        (on, [facts[fact::HAS_EVENTS], facts[fact::HAS_PACKETS]])
    };
    let of_workloads = [CGROUP_MADE, CGROUP_GONE, FIND_CGROUPS];
    let of_capture: Vec<_> = of_workloads.into_iter().chain(drop_programs()).take(7).collect();
    assert_eq!(runs(Purpose::Capture), (of_capture, [0, 1]));
    let (serve, facts) = runs(Purpose::Serve);
    assert_eq!((serve.len(), facts), (ALL, [0, 0]));
    let (trace, facts) = runs(Purpose::Trace);
    assert_eq!((trace.len(), facts), (ALL - 4, [1, 0]));
    assert!(!trace.contains(&FOLD) && !trace.contains(&FOLD_LISTENERS));
}

#[test]
fn arguments_of_hooks_become_facts() {
    let facts = |arguments| {
        let mut features = everything();
        features.tracepoints.insert("kfree_skb".to_owned(), arguments);
        plan(EVERYTHING, &features, Purpose::Serve).unwrap().facts[0]
    };
    assert_eq!(facts(2), ("HAS_DROP_REASON", 0));
    assert_eq!(facts(3), ("HAS_DROP_REASON", 1));
}

#[test]
fn counts_of_one_program_need_atomics_unless_the_kernel_runs_it_once_at_a_time() {
    let fact = |one_run_per_cpu| {
        let features = Features {
            one_run_per_cpu,
            ..everything()
        };
        let plan = plan(EVERYTHING, &features, Purpose::Serve).unwrap();
        plan.facts.contains(&(fact::HAS_ONE_RUN_PER_CPU, 1))
    };
    assert_eq!([fact(false), fact(true)], [false, true]);
}

#[test]
fn types_are_given_to_addresses_until_the_kernel_refuses_that() {
    let typed = plan(EVERYTHING, &everything(), Purpose::Serve).unwrap();
    assert!(typed.facts.contains(&(fact::TYPE_IN6_ADDR, 300)));
    assert!(typed.runs(FOLD_LISTENERS));
    let features = Features {
        casts: None,
        ..everything()
    };
    let untyped = plan(EVERYTHING, &features, Purpose::Serve).unwrap();
    let refused = typed.without_casts();
    assert_eq!(refused.why_off(FOLD_LISTENERS), untyped.why_off(FOLD_LISTENERS));
    assert!(!refused.runs(FOLD_LISTENERS));
    assert_eq!((refused.casts, refused.facts), (None, untyped.facts));
    assert_eq!(
        (refused.fields, refused.missing_fields),
        (untyped.fields, untyped.missing_fields)
    );
}

#[test]
fn a_reason_is_looked_at_twice_only_where_another_program_knows_more() {
    let facts = |lacking: &[&str]| {
        let mut features = everything();
        features.tracepoints.retain(|hook, _| !lacking.contains(&hook.as_str()));
        let facts: BTreeMap<_, _> = plan(EVERYTHING, &features, Purpose::Serve)
            .unwrap()
            .facts
            .into_iter()
            .collect();
        [fact::REASON_XDP, fact::HAS_QDISC_REASONS].map(|fact| facts[fact])
    };
    assert_eq!(facts(&[]), [3, 1]);
    assert_eq!(facts(&["qdisc_drop"]), [3, 0]);
    assert_eq!(facts(&["xdp_exception"]), [3, 1]);
    assert_eq!(facts(&["xdp_exception", "xdp_redirect_err"]), [0, 1]);
}

#[test]
fn a_refused_segment_path_is_told_to_the_other_programs() {
    let mut plan = plan(EVERYTHING, &everything(), Purpose::Serve).unwrap();
    assert!(!plan.needs_reload_without_segment_path());
    plan.give_up("tcp_probe", Off::Refused("refused".to_owned()));
    assert!(plan.needs_reload_without_segment_path());
    assert!(!plan.without_segment_path().needs_reload_without_segment_path());
}

#[test]
fn a_kernel_below_the_floor_is_refused() {
    let features = Features {
        socket_storage: false,
        ..everything()
    };
    assert_eq!(
        plan(EVERYTHING, &features, Purpose::Serve).unwrap_err(),
        Unsupported::NoSocketStorage
    );
}
