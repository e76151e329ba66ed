//! The exporter as a contestant, by its configuration. Its programs are taken over from a process that has filled its maps and is
//! then ended: they stay in the kernel as long as somebody holds them, and the product needs no switch for benches.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::exporter::{Exporter, Launch};
use tests::kernel::tracing::{Traced, of_process};
use tests::machine::cgroups::Cgroup;

use crate::context::Context;
use crate::pairs::Contestant;
use crate::work::Ends;

/// What `essential` leaves out is the segment path.
pub(crate) const ESSENTIAL: &str = "tcp: {detail: essential}\n";
/// The default, said aloud.
pub(crate) const FULL: &str = "tcp: {detail: full}\n";
/// What counts openings.
const OPENED: &str = "tcpvitals_tcp_connections_opened_total";
/// All that can be switched on: metrics on demand, labels that are off by default, workloads, devices and TCP's memory.
pub(crate) const EVERYTHING: &str = "\
tcp: {memory: true}
devices: {enabled: true}
workloads: {source: cgroup}
labels:
  tcp: [subnet, connection_type, app_protocol, role, workload, workload_kind, workload_namespace]
  drops: [location, reason, class, protocol, direction, subnet, connection_type, app_protocol, workload, workload_namespace]
metrics: {include: ['*', 'tcpvitals_*']}
";
/// Nobody looks for retransmissions after drops of this host.
pub(crate) const NO_LOCAL_LOSS: &str = "local_loss: {enabled: false}\n";
/// What [`storage_alone`] is called.
pub(crate) const STORAGE: &str = "socket storage alone";
/// Drops by site and reason only.
pub(crate) const SITE_AND_REASON: &str = "labels: {drops: [location, reason]}\nfindings: {enabled: false}\n";

/// The exporter's programs with this configuration.
pub(crate) fn ours(context: &Context, label: &str, config: &str) -> Result<Contestant> {
    of_exporter(&context.exporter, label, config)
}

/// An older exporter's programs with this configuration, where one takes part.
pub(crate) fn older(context: &Context, label: &str, config: &str) -> Result<Option<Contestant>> {
    let older = context.older.as_deref();
    let programs = older.map(|exporter| of_exporter(exporter, label, config));
    // It may have other hooks, so that the empty programs are not its floor.
    let programs = programs.transpose()?.map(|contestant| Contestant {
        is_on_floor: false,
        ..contestant
    });
    Ok(programs)
}

fn of_exporter(exporter: &Path, label: &str, config: &str) -> Result<Contestant> {
    let programs = taken_over(exporter, config, |_, programs| Ok(programs))?;
    Ok(Contestant {
        label: label.to_owned(),
        programs,
        is_on_floor: true,
    })
}

/// The same where workloads are told apart: the exporter has met the unit of this cgroup by this name.
pub(crate) fn ours_of_a_unit(
    context: &Context,
    label: &str,
    config: &str,
    cgroup: &Cgroup,
    unit: &str,
) -> Result<Contestant> {
    let config = format!("{config}collect: {{max_age: 1ms}}\n");
    let programs = taken_over(&context.exporter, &config, |exporter, programs| {
        let flow = cgroup.run(|| Ends::open(Ipv4Addr::LOCALHOST.into()))?;
        let opened = exporter.scrape()?.sum(OPENED, &[("workload", unit)])?;
        // Both ends are the unit's.
        ensure!(opened == 2.0, "{opened} connections of {unit}, not 2");
        drop(flow);
        Ok(programs)
    })?;
    Ok(Contestant {
        label: label.to_owned(),
        programs,
        is_on_floor: true,
    })
}

/// What is taken of an exporter's programs while it runs; it is ended then.
fn taken_over(
    exporter: &Path,
    config: &str,
    take: impl FnOnce(&Exporter<'_>, Vec<Traced>) -> Result<Vec<Traced>>,
) -> Result<Vec<Traced>> {
    let launch = Launch::new(config).binary(exporter);
    let exporter = launch.arguments(&["--log.level=error"]).start()?;
    let programs = of_process(exporter.process(), None)?;
    ensure!(!programs.is_empty(), "the exporter has attached no tracepoint");
    let taken = take(&exporter, programs)?;
    exporter.stop(Signal::SIGKILL)?;
    Ok(taken)
}

/// The map in which the exporter keeps the state of a flow.
const FLOWS: &str = "FLOWS";
/// The hook that makes storage.
const HOOK: &str = "inet_sock_set_s";

/// Socket storage alone: the least that a state for each connection costs, whoever keeps it.
pub(crate) fn storage_alone(context: &Context) -> Result<Contestant> {
    let programs = taken_over(&context.exporter, FULL, |exporter, programs| {
        let hook = programs.iter().find(|program| program.name() == HOOK);
        let hook = hook.context("the exporter does not look at changes of state")?;
        Ok(vec![hook.storing(exporter.process(), FLOWS)?])
    })?;
    Ok(Contestant {
        label: STORAGE.to_owned(),
        programs,
        is_on_floor: false,
    })
}
