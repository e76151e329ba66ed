//! What the host says beside the programs, and how many workloads there are, as one row of a recording, and back.

use super::rows::HostRow;
use crate::{
    host::{
        Host,
        files::{Conntrack, Events, Failures, TcpMemory},
    },
    snapshot::Fill,
};

/// What is recorded of it.
pub(super) fn host_row(host: &Host, workloads: Option<Fill>) -> HostRow {
    let Host {
        // Devices of another machine would be of no use here.
        lost: _,
        over_allowance: _,
        squeezed,
        conntrack,
        memory,
        cookies_sent,
        failed,
    } = host;
    let mut row = HostRow {
        squeezed: (*squeezed).into(),
        cookies_sent: (*cookies_sent).into(),
        readings_failed: (*failed).into(),
        ..HostRow::default()
    };
    if let Some(Conntrack {
        entries,
        limit,
        failures,
    }) = conntrack
    {
        row.conntrack_entries = Some(*entries).into();
        row.conntrack_limit = *limit;
        if let Some(Failures {
            insert_failed,
            drop,
            early_drop,
        }) = *failures
        {
            row.conntrack_insert_failed = Some(insert_failed).into();
            (row.conntrack_drop, row.conntrack_early_drop) = (drop, early_drop);
        }
    }
    if let Some(memory) = memory {
        let TcpMemory {
            held,
            limits,
            is_under_pressure,
            orphans,
            orphans_limit,
            events,
        } = memory;
        row.memory_held = Some(*held).into();
        row.memory_limits = *limits;
        row.is_under_pressure = (*is_under_pressure).into();
        row.orphans = (*orphans).into();
        row.orphans_limit = (*orphans_limit).into();
        let Events {
            pressures,
            collapsed,
            pruned,
            out_of_order_pruned,
            prunes_failed,
            zero_windows,
            window_probes,
        } = *events;
        row.pressures = pressures.into();
        row.collapsed = collapsed.into();
        row.pruned = pruned.into();
        row.out_of_order_pruned = out_of_order_pruned.into();
        row.prunes_failed = prunes_failed.into();
        row.zero_windows = zero_windows.into();
        row.window_probes = window_probes.into();
    }
    if let Some(Fill {
        used,
        capacity,
        refused,
    }) = workloads
    {
        row.workloads_used = Some(used).into();
        (row.workloads_capacity, row.workloads_refused) = (capacity, refused);
    }
    row
}

/// From what was recorded.
pub(super) fn host_of(row: HostRow) -> (Host, Option<Fill>) {
    let HostRow {
        squeezed,
        conntrack_entries,
        conntrack_limit,
        conntrack_insert_failed,
        conntrack_drop,
        conntrack_early_drop,
        memory_held,
        memory_limits,
        is_under_pressure,
        orphans,
        orphans_limit,
        pressures,
        collapsed,
        pruned,
        out_of_order_pruned,
        prunes_failed,
        zero_windows,
        window_probes,
        cookies_sent,
        readings_failed,
        workloads_used,
        workloads_capacity,
        workloads_refused,
    } = row;
    let failures = Option::from(conntrack_insert_failed).map(|insert_failed| Failures {
        insert_failed,
        drop: conntrack_drop,
        early_drop: conntrack_early_drop,
    });
    let conntrack = Option::from(conntrack_entries).map(|entries| Conntrack {
        entries,
        limit: conntrack_limit,
        failures,
    });
    let events = Events {
        pressures: pressures.into(),
        collapsed: collapsed.into(),
        pruned: pruned.into(),
        out_of_order_pruned: out_of_order_pruned.into(),
        prunes_failed: prunes_failed.into(),
        zero_windows: zero_windows.into(),
        window_probes: window_probes.into(),
    };
    let (is_under_pressure, orphans, orphans_limit) = (is_under_pressure.into(), orphans.into(), orphans_limit.into());
    let memory = Option::from(memory_held).map(|held| TcpMemory {
        held,
        limits: memory_limits,
        is_under_pressure,
        orphans,
        orphans_limit,
        events,
    });
    let host = Host {
        squeezed: squeezed.into(),
        conntrack,
        memory,
        cookies_sent: cookies_sent.into(),
        failed: readings_failed.into(),
        ..Host::default()
    };
    let workloads = Option::from(workloads_used).map(|used| Fill {
        used,
        capacity: workloads_capacity,
        refused: workloads_refused,
    });
    (host, workloads)
}
