//! What is switched off has no program and no map in the kernel, no thread and no series, and the programs that stay do not look for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};

use anyhow::{Result, ensure};
use tests::exporter::{Exporter, start};
use tests::kernel::processes::{maps_of, programs_of};
use tests::machine::turn;

/// Everything that can be switched on.
const ON: &str = "tcp: {memory: true}\ndevices: {enabled: true}\nworkloads: {source: cgroup}\n\
                  labels: {tcp: [subnet, role, workload], drops: [reason, class, workload]}\n";

/// A capability: what it has that nothing else has.
struct Switch {
    /// What turns it off in [`ON`]: a line there, and the one in its place.
    line: (&'static str, &'static str),
    /// Its key, as `/readyz` and `doctor` have it, and why it is off.
    says: &'static str,
    /// Programs, as far as the kernel keeps their names; no kernel lacks all of them, nor all maps.
    programs: &'static [&'static str],
    /// Maps, likewise.
    maps: &'static [&'static str],
    /// Programs that others need too, and that are shorter without it.
    shorter: &'static [&'static str],
    /// Beginnings of the names of its families.
    families: &'static [&'static str],
    /// Names of its threads.
    threads: &'static [&'static str],
}

const NOTHING: Switch = Switch {
    line: ("", ""),
    says: "",
    programs: &[],
    maps: &[],
    shorter: &[],
    families: &[],
    threads: &[],
};

const SWITCHES: &[Switch] = &[
    Switch {
        line: ("", "listeners: {enabled: false}\n"),
        says: "listeners: off: listeners.enabled is false",
        programs: &["fold_listeners", "sample_listener"],
        maps: &["LISTENERS", "ACCEPT_QUEUES", "PEAKS", "NO_LISTENER"],
        shorter: &["inet_sock_set_s", "kfree_skb"],
        families: &["tcpvitals_tcp_accept_queue_", "tcpvitals_tcp_syn_cookies"],
        ..NOTHING
    },
    Switch {
        line: ("", "local_loss: {enabled: false}\n"),
        says: "local_loss: off: local_loss.enabled is false",
        maps: &["LOSSES", "LOSS_CHAINS", "LOSS_COUNT", "LOSS_DRAFTS", "LOSS_SEARCHES"],
        shorter: &["tcp_retransmit_", "kfree_skb"],
        families: &[
            "tcpvitals_tcp_retransmitted_segments_after_local_drop",
            "tcpvitals_dropped_segments_retransmitted",
            "tcpvitals_local_losses_forgotten",
        ],
        ..NOTHING
    },
    Switch {
        line: (
            "workloads: {source: cgroup}\n",
            "workloads: {source: cgroup, enabled: false}\n",
        ),
        says: "workloads: off: workloads.enabled is false",
        programs: &["cgroup_mkdir", "cgroup_release", "find_cgroups"],
        maps: &["CGROUPS", "CGROUP_BIRTHS", "NETWORKS", "INITIAL_NETWORK"],
        shorter: &["inet_sock_set_s", "kfree_skb"],
        families: &[
            "tcpvitals_workloads_source",
            "tcpvitals_workloads_capacity",
            "tcpvitals_workloads_refused",
            "tcpvitals_workloads_unresolved",
            "tcpvitals_cgroups_untracked",
        ],
        threads: &["tcpvitals-owner"],
    },
    Switch {
        line: ("", "drops: {enabled: false}\n"),
        says: "drops: off: drops.enabled is false",
        programs: &["kfree_skb", "xdp_exception"],
        maps: &["DROPS", "DROP_SLOTS", "NAMED_DROP_SLOT", "RECENT_DROPS", "LOSSES"],
        families: &["tcpvitals_dropped_packets", "tcpvitals_dropped_bytes"],
        ..NOTHING
    },
    Switch {
        line: (
            "tcp: {memory: true}\ndevices: {enabled: true}\n",
            "listeners: {enabled: false}\n",
        ),
        says: "devices: off: devices.enabled is false in the configuration",
        families: &["tcpvitals_conntrack_", "tcpvitals_tcp_memory_"],
        threads: &["tcpvitals-host"],
        ..NOTHING
    },
    Switch {
        line: ("", "findings: {enabled: false}\n"),
        says: "findings: off: findings.enabled is false in the configuration",
        families: &["tcpvitals_findings"],
        ..NOTHING
    },
];

/// What a running exporter has.
struct Held {
    /// Bytes of programs by name.
    programs: BTreeMap<String, u32>,
    /// Names of all maps that it or its programs hold.
    maps: BTreeSet<String>,
    threads: BTreeSet<String>,
    families: BTreeSet<String>,
    ready: String,
}

fn held(exporter: &Exporter<'_>) -> Result<Held> {
    let process = exporter.process();
    let numbers = programs_of(process)?;
    let mut programs = BTreeMap::new();
    for program in aya::programs::loaded_programs().flatten() {
        if numbers.contains(&program.id()) {
            let name = program.name_as_str().unwrap_or_default().to_owned();
            // Several may have one name, as far as the kernel keeps it.
            *programs.entry(name).or_default() += program.size_translated().unwrap_or_default();
        }
    }
    let mut maps: BTreeSet<u32> = maps_of(&numbers)?.into_keys().collect();
    for entry in read_dir(format!("/proc/{process}/fdinfo"))? {
        let text = read_to_string(entry?.path()).unwrap_or_default();
        let number = text.lines().find_map(|line| line.strip_prefix("map_id:"));
        maps.extend(number.and_then(|number| number.trim().parse::<u32>().ok()));
    }
    let named = aya::maps::loaded_maps().flatten();
    let named = named.filter(|map| maps.contains(&map.id()));
    let maps = named.filter_map(|map| Some(map.name_as_str()?.to_owned())).collect();
    let threads = read_dir(format!("/proc/{process}/task"))?
        .flatten()
        .filter_map(|task| read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect();
    let text = exporter.get("/metrics", "text/plain")?.body;
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = families
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    Ok(Held {
        programs,
        maps,
        threads,
        families,
        ready: exporter.get("/readyz", "*/*")?.body,
    })
}

#[test]
fn what_is_off_is_neither_in_the_kernel_nor_looked_for() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(ON)?;
    let on = held(&exporter)?;
    drop(exporter);
    for switch in SWITCHES {
        let Switch {
            line: (line, instead),
            says,
            programs,
            maps,
            shorter,
            families,
            threads,
        } = *switch;
        let config = if line.is_empty() {
            format!("{ON}{instead}")
        } else {
            ON.replace(line, instead)
        };
        let exporter = start(config)?;
        let off = held(&exporter)?;
        ensure!(off.ready.contains(says), "{says}: {}", off.ready);
        let has = |program: &&str| on.programs.contains_key(*program);
        ensure!(
            programs.is_empty() || programs.iter().any(has),
            "{says}: {:?}",
            on.programs
        );
        for program in programs {
            ensure!(!off.programs.contains_key(*program), "{says}: {program} is loaded");
        }
        let has = |map: &&str| on.maps.contains(*map);
        ensure!(maps.is_empty() || maps.iter().any(has), "{says}: {:?}", on.maps);
        for map in maps {
            ensure!(!off.maps.contains(*map), "{says}: {map} is there");
        }
        for program in shorter {
            let (long, short) = (on.programs.get(*program), off.programs.get(*program));
            ensure!(
                short < long && short.is_some(),
                "{says}: {program} has {short:?} bytes, {long:?} with it"
            );
        }
        for thread in threads {
            ensure!(on.threads.contains(*thread), "{says}: {thread} of {:?}", on.threads);
            ensure!(!off.threads.contains(*thread), "{says}: {thread} runs");
        }
        for family in families {
            let has = |held: &Held| held.families.iter().any(|name| name.starts_with(family));
            ensure!(!has(&off), "{says}: {family} is shown");
        }
    }
    Ok(())
}

#[test]
fn maps_that_were_left_out_go_at_once() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start("")?;
    let maps = held(&exporter)?.maps;
    // Those of other commands, and of workloads, which are off by themselves.
    for map in ["CAPTURE_SITES", "CAPTURE_PACKETS", "EVENTS", "CGROUPS", "NETWORKS"] {
        assert!(!maps.contains(map), "{map} is among {maps:?}");
    }
    Ok(())
}
