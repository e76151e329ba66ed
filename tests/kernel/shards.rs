//! Copies of the counters, one for each processor or shared: drops are counted exactly in both, and the tables take no more memory
//! than they may, however many processors the machine may get.

use std::fs::read_to_string;
use std::thread;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tests::exporter::{Launch, start};
use tests::kernel::kernel_facts::note;
use tests::kernel::processes::maps_memory_of;
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

/// All processors count in one shard.
pub(crate) const ONE_SHARD: (&str, &str) = ("TCPVITALS_TEST_ONE_SHARD", "1");

/// The default of `limits.memory`.
const LIMIT: u64 = 32 << 20;
/// What maps of fixed size take besides.
const FIXED: u64 = 4 << 20;

/// What tables of sockets take besides, where the kernel does not let their storage be walked.
const TABLES: u64 = 5 << 20;

/// Drops of one row, on every processor at once, against the filter's own counter.
fn check_drops(variables: &[(&str, &str)]) -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
    let exporter = Launch::new(pair.config()).variables(variables).start()?;
    let to = pair.to(Family::V4, 4000)?;
    let many = u32::try_from(scaled(50_000))?;
    let processors = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..processors)
            .map(|processor| {
                let pair = &pair;
                scope.spawn(move || {
                    let mut set = CpuSet::new();
                    set.set(processor)?;
                    sched_setaffinity(Pid::from_raw(0), &set)?;
                    send_datagrams(&pair.client, to, many, 100)
                })
            })
            .collect();
        let mut ends = senders
            .into_iter()
            .map(|sender| sender.join().ok().context("a sender panicked")?);
        ends.try_for_each(|end| end)
    })?;
    let dropped = nft::dropped(&pair.server)?;
    assert!(dropped.packets > 0);
    let scrape = exporter.scrape()?;
    let subnet = pair.subnet()?.name();
    let labels = [("subnet", &*subnet), ("reason", "NETFILTER_DROP")];
    let packets = scrape.sum("tcpvitals_dropped_packets_total", &labels)?;
    let lost = scrape.sum("tcpvitals_events_lost_total", &[("program", "kfree_skb")])?;
    assert!(packets <= dropped.packets as f64, "{packets} of {dropped:?}");
    assert!(
        packets + lost >= dropped.packets as f64,
        "{packets} and {lost} of {dropped:?}"
    );
    let bytes = scrape.sum("tcpvitals_dropped_bytes_total", &labels)?;
    let of_each = dropped.bytes / dropped.packets;
    assert_eq!(bytes, packets * of_each as f64, "{dropped:?}");
    Ok(())
}

#[test]
fn drops_on_all_processors_are_counted_exactly() -> Result<()> {
    check_drops(&[])
}

#[test]
fn drops_on_all_processors_are_counted_exactly_where_processors_share_counters() -> Result<()> {
    check_drops(&[ONE_SHARD])
}

#[test]
fn the_default_memory_holds_a_thousand_label_sets() -> Result<()> {
    let _turn = turn::shared()?;
    let exporter = start(String::new())?;
    let scrape = exporter.scrape()?;
    let groups = scrape.sum("tcpvitals_groups_capacity", &[])?;
    let in_table = [("program", "fold_flows"), ("hook", "bpf_map")];
    let has_tables = scrape
        .matching("tcpvitals_program_attached", &in_table)
        .next()
        .is_some();
    let memory = maps_memory_of(exporter.process())?;
    let of = |file: &str| read_to_string(format!("/sys/devices/system/cpu/{file}"));
    let (possible, online) = (of("possible")?, of("online")?);
    note(&format!(
        "processors {} of {}: {groups} label sets, maps of {memory} bytes",
        online.trim(),
        possible.trim()
    ));
    assert!(groups >= 1000.0, "{groups}");
    assert!(
        memory <= LIMIT + FIXED + if has_tables { TABLES } else { 0 },
        "{memory}"
    );
    Ok(())
}
