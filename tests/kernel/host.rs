//! What the exporter reads of the host beside its programs, against `ip`, the files of /proc and its own rows of drops. Devices and limits
//! are those of the machine, so that nothing else may run meanwhile where they are changed.

use std::collections::BTreeMap;
use std::fs::{read_to_string, write};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::exporter::{Exporter, Launch, run, start};
use tests::kernel::kernel_facts::{note, skip};
use tests::machine::turn;
use tests::machine::wait::{until, until_stable};
use tests::net::namespace::{Namespace, host};
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

use crate::privileges::{as_nobody, public_binary, words};

const LOST: &str = "tcpvitals_device_dropped_packets_total";
const DROPPED: &str = "tcpvitals_dropped_packets_total";
const CONFIG: &str = "{devices: {enabled: true}, tcp: {memory: true}, collect: {max_age: 1ms}}\n";

/// Way, cause, and the key of `ip -s -s -j link`.
const CAUSES: [(&str, &str, &str); 10] = [
    ("receive", "missed", "missed_errors"),
    ("receive", "fifo", "fifo_errors"),
    ("receive", "over", "over_errors"),
    ("receive", "crc", "crc_errors"),
    ("receive", "frame", "frame_errors"),
    ("receive", "length", "length_errors"),
    ("transmit", "carrier", "carrier_errors"),
    ("transmit", "aborted", "aborted_errors"),
    ("transmit", "window", "window_errors"),
    ("transmit", "fifo", "fifo_errors"),
];

/// What `ip` says a device has lost, by way and cause, and the driver of what is behind it.
struct Shown {
    driver: Option<String>,
    lost: BTreeMap<(&'static str, &'static str), u64>,
}

fn shown_by_ip() -> Result<BTreeMap<String, Shown>> {
    let links: Vec<Value> = serde_json::from_str(&host("ip -s -s -j link")?)?;
    let shown = links.iter().map(|link| {
        let name = link["ifname"].as_str().context("a device without a name")?.to_owned();
        let lost = CAUSES.iter().map(|&(direction, cause, key)| {
            let part = if direction == "receive" { "rx" } else { "tx" };
            let count = link["stats64"][part][key].as_u64();
            Ok((
                (direction, cause),
                count.with_context(|| format!("{name} has no {key}"))?,
            ))
        });
        let device = Path::new("/sys/class/net").join(&name).join("device");
        let driver = device.exists().then(|| {
            let driver = device.join("driver").read_link().ok();
            driver.and_then(|driver| Some(driver.file_name()?.to_string_lossy().into_owned()))
        });
        let lost = lost.collect::<Result<_>>()?;
        Ok((
            name,
            Shown {
                driver: driver.map(Option::unwrap_or_default),
                lost,
            },
        ))
    });
    shown.collect()
}

/// The reason for which devices are not read here; says so.
fn is_elsewhere() -> bool {
    let is = !Path::new("/proc/sys/net/core/netdev_max_backlog").exists();
    if is {
        skip("devices: the tests are in a network namespace of their own");
    }
    is
}

#[test]
fn devices_with_hardware_are_those_of_ip_with_its_numbers_and_need_no_capability() -> Result<()> {
    let _turn = turn::shared()?;
    if is_elsewhere() {
        return Ok(());
    }
    let before = shown_by_ip()?;
    let folder = public_binary()?;
    let exporter = Launch::new(CONFIG)
        .binary(&folder.path().join("tcpvitals"))
        .wrapped_in(&words(&as_nobody("+bpf,+perfmon")))
        .start()?;
    let scrape = exporter.scrape()?;
    let after = shown_by_ip()?;
    let mut expected = BTreeMap::new();
    for (name, Shown { driver, lost }) in &after {
        let (Some(driver), Some(earlier)) = (driver, before.get(name)) else {
            continue;
        };
        for ((direction, cause), count) in lost {
            // What virtio_net counts there is freed as a drop.
            if (driver.as_str(), *direction, *cause) != ("virtio_net", "transmit", "fifo") {
                let grown = count - earlier.lost[&(*direction, *cause)];
                expected.insert(
                    (name.clone(), (*direction).to_owned(), (*cause).to_owned()),
                    grown as f64,
                );
            }
        }
    }
    if expected.is_empty() {
        note("devices: none here has hardware behind it");
    }
    let of = |labels: &BTreeMap<String, String>| ["device", "direction", "cause"].map(|label| labels[label].clone());
    let found = scrape.matching(LOST, &[]).map(|(series, value)| {
        let [device, direction, cause] = of(&series.labels);
        ((device, direction, cause), value)
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(scrape.value("tcpvitals_host_readings_failed_total", &[])?, 0.0);
    Ok(())
}

/// A device of software counts as errors what the kernel frees as drops: each would be counted twice.
#[test]
fn what_a_device_of_software_loses_is_a_row_of_drops_and_of_no_device() -> Result<()> {
    let _turn = turn::alone()?;
    if is_elsewhere() {
        return Ok(());
    }
    let exporter = start(CONFIG)?;
    let device = Unreachable::new()?;
    let Some(device) = device else {
        skip("devices of software: this kernel has no vxlan");
        return Ok(());
    };
    let read = || -> Result<(u64, f64)> {
        let carrier = shown_by_ip()?[DEVICE].lost[&("transmit", "carrier")];
        let scrape = exporter.scrape()?;
        assert_eq!(scrape.matching(LOST, &[("device", DEVICE)]).count(), 0);
        Ok((carrier, scrape.sum(DROPPED, &[("location", "vxlan_xmit_one")])?))
    };
    let quiet = Duration::from_millis(300);
    let (carrier, rows) = until_stable("the device", quiet, read)?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    for _ in 0..7 {
        socket.send_to(b"x", (Ipv4Addr::new(198, 51, 100, 2), 9))?;
    }
    let (carrier_now, rows_now) = until_stable("the device", quiet, read)?;
    let grown = carrier_now - carrier;
    // A group that the device joins is said again after a while.
    ensure!(grown >= 7, "the device has lost {grown}");
    assert_eq!(rows_now - rows, grown as f64);
    drop(device);
    Ok(())
}

/// The device of [`Unreachable`].
const DEVICE: &str = "tcpvitals-vxlan";

/// A tunnel where the tests run whose other end no route leads to.
struct Unreachable;

impl Unreachable {
    /// `None` on a kernel without such tunnels.
    fn new() -> Result<Option<Self>> {
        if host(&format!(
            "ip link add {DEVICE} type vxlan id 77 remote 203.0.113.77 dstport 4789"
        ))
        .is_err()
        {
            return Ok(None);
        }
        let device = Self;
        for line in [
            "ip route add unreachable 203.0.113.77".to_owned(),
            // Else IPv6 says something by itself.
            format!("ip link set {DEVICE} addrgenmode none up"),
            format!("ip address add 198.51.100.1/24 dev {DEVICE}"),
            format!("ip neighbor add 198.51.100.2 lladdr 02:00:00:00:00:02 dev {DEVICE}"),
        ] {
            host(&line)?;
        }
        Ok(Some(device))
    }
}

impl Drop for Unreachable {
    fn drop(&mut self) {
        host("ip route delete unreachable 203.0.113.77").ok();
        host(&format!("ip link delete {DEVICE}")).ok();
    }
}

/// A setting of the whole machine, which has its old value again when this is dropped.
struct Setting {
    path: String,
    before: String,
}

impl Setting {
    fn set(name: &str, value: &str) -> Result<Self> {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let before = read_to_string(&path).with_context(|| format!("read {path}"))?;
        write(&path, value).with_context(|| format!("write {value} to {path}"))?;
        Ok(Self { path, before })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // The test's own outcome must not change.
        write(&self.path, self.before.trim()).ok();
    }
}

/// A column of `/proc/net/softnet_stat`, over all CPUs that are there.
fn softnet(column: usize) -> Result<u64> {
    let text = read_to_string("/proc/net/softnet_stat")?;
    let values = text.lines().map(|line| {
        let value = line.split_whitespace().nth(column).context("a row is too short")?;
        Ok(u64::from_str_radix(value, 16)?)
    });
    values.sum()
}

#[test]
fn softnet_is_squeezed_as_often_as_its_file_says() -> Result<()> {
    let _turn = turn::alone()?;
    if is_elsewhere() {
        return Ok(());
    }
    let pair = Pair::new()?;
    let begun = softnet(2)?;
    let exporter = start(CONFIG)?;
    {
        // The smallest budget: whoever has two packets to take is squeezed.
        let _small = Setting::set("net.core.netdev_budget", "1")?;
        let to = pair.to(Family::V4, 9)?;
        for _ in 0..20 {
            send_datagrams(&pair.client, to, 50, 100)?;
            if softnet(2)? > begun + 5 {
                break;
            }
        }
    }
    let squeezed = || -> Result<(u64, f64)> {
        let count = softnet(2)?;
        Ok((
            count,
            exporter.scrape()?.value("tcpvitals_softnet_squeezes_total", &[])?,
        ))
    };
    let (count, shown) = until_stable("softnet", Duration::from_millis(300), squeezed)?;
    ensure!(count > begun, "nothing was squeezed");
    assert_eq!(shown, (count - begun) as f64);
    Ok(())
}

fn file(path: &str) -> Result<u64> {
    let text = read_to_string(path).with_context(|| format!("read {path}"))?;
    Ok(text.trim().parse()?)
}

/// Columns of `/proc/net/stat/nf_conntrack`, over all CPUs.
fn conntrack(column: &str) -> Result<u64> {
    let text = read_to_string("/proc/net/stat/nf_conntrack")?;
    let mut lines = text.lines();
    let names = lines.next().context("no names")?;
    let place = names
        .split_whitespace()
        .position(|name| name == column)
        .context("no such column")?;
    let values = lines.map(|line| {
        let value = line.split_whitespace().nth(place).context("a row is too short")?;
        Ok(u64::from_str_radix(value, 16)?)
    });
    values.sum()
}

/// A table of nftables where the tests run, which lets connection tracking see the loopback device only.
struct Tracked;

impl Tracked {
    fn new() -> Result<Self> {
        for line in [
            "add table inet tcpvitals_tracked",
            "add chain inet tcpvitals_tracked in { type filter hook prerouting priority -300 ; }",
            "add rule inet tcpvitals_tracked in iif != lo notrack",
            "add chain inet tcpvitals_tracked out { type filter hook output priority -300 ; }",
            "add rule inet tcpvitals_tracked out oif != lo notrack",
            "add chain inet tcpvitals_tracked seen { type filter hook input priority 0 ; }",
            "add rule inet tcpvitals_tracked seen ct state new accept",
        ] {
            host(&format!("nft {line}"))?;
        }
        Ok(Self)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        host("nft delete table inet tcpvitals_tracked").ok();
    }
}

#[test]
fn connection_tracking_is_as_full_as_its_files_say_and_what_it_drops_is_counted() -> Result<()> {
    let _turn = turn::alone()?;
    if is_elsewhere() {
        return Ok(());
    }
    let tracked = Tracked::new()?;
    if !Path::new("/proc/net/stat/nf_conntrack").exists() {
        note("connection tracking: this kernel has no file of its statistics");
        return Ok(());
    }
    let columns = ["drop", "early_drop", "insert_failed"];
    let begun = columns.map(|column| Ok((column, conntrack(column)?)));
    let begun: BTreeMap<&str, u64> = begun.into_iter().collect::<Result<_>>()?;
    let exporter = start(CONFIG)?;
    let before = exporter.scrape()?.sum(DROPPED, &[("location", "nf_hook_slow")])?;
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut refused = 0;
    {
        let _small = Setting::set("net.netfilter.nf_conntrack_max", "1")?;
        for _ in 0..20 {
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            refused += u64::from(sender.send_to(b"x", receiver.local_addr()?).is_err());
        }
    }
    let drops = conntrack("drop")? - begun["drop"];
    ensure!(drops > 0, "the table was never full");
    let scrape = until("entries of one moment", || {
        let path = "/proc/sys/net/netfilter/nf_conntrack_count";
        let before = file(path)?;
        let scrape = exporter.scrape()?;
        // The scrape is a connection of its own over the loopback device.
        let shown = scrape.value("tcpvitals_conntrack_entries", &[])?;
        let is_between = before as f64 <= shown && shown <= file(path)? as f64;
        Ok(is_between.then_some(scrape))
    })?;
    let limit = file("/proc/sys/net/netfilter/nf_conntrack_max")?;
    assert_eq!(scrape.value("tcpvitals_conntrack_entries_limit", &[])?, limit as f64);
    for (metric, column) in [
        ("tcpvitals_conntrack_full_drops_total", "drop"),
        ("tcpvitals_conntrack_early_drops_total", "early_drop"),
        ("tcpvitals_conntrack_failed_inserts_total", "insert_failed"),
    ] {
        let grown = conntrack(column)? - begun[column];
        assert_eq!(scrape.value(metric, &[])?, grown as f64, "{column}");
    }
    // Each of them is a row of drops: no device may have it too.
    let rows = scrape.sum(DROPPED, &[("location", "nf_hook_slow")])? - before;
    ensure!(
        rows >= refused as f64 && refused > 0,
        "{refused} refused, {rows} in rows"
    );
    drop(tracked);
    Ok(())
}

fn netstat() -> Result<BTreeMap<String, u64>> {
    let text = read_to_string("/proc/net/netstat")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next().context("no names")?, lines.next().context("no values")?);
    let pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs
        .map(|(name, value)| Ok((name.to_owned(), value.parse()?)))
        .collect()
}

/// Sends in small pieces what nobody reads, until the receive queue is full.
fn fill(stream: &mut TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut attempts = 0;
    while attempts < 200 {
        if stream.write(&[0; 100]).is_err() {
            attempts += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// A metric, its labels, and the kernel's counter.
type Event = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const EVENTS: [Event; 7] = [
    ("tcpvitals_tcp_memory_pressures_total", &[], "TCPMemoryPressures"),
    ("tcpvitals_tcp_collapsed_segments_total", &[], "TCPRcvCollapsed"),
    ("tcpvitals_tcp_prunes_total", &[("step", "called")], "PruneCalled"),
    ("tcpvitals_tcp_prunes_total", &[("step", "out_of_order")], "OfoPruned"),
    ("tcpvitals_tcp_prunes_total", &[("step", "failed")], "RcvPruned"),
    ("tcpvitals_tcp_announced_zero_windows_total", &[], "TCPToZeroWindowAdv"),
    ("tcpvitals_tcp_window_probes_total", &[], "TCPWinProbe"),
];

fn require_events(exporter: &Exporter<'_>, begun: &BTreeMap<String, u64>) -> Result<BTreeMap<String, u64>> {
    until("counters and metrics of one moment", || {
        let before = netstat()?;
        let scrape = exporter.scrape()?;
        let after = netstat()?;
        if EVENTS.iter().any(|(.., name)| before[*name] != after[*name]) {
            return Ok(None);
        }
        let mut grown = BTreeMap::new();
        for (metric, labels, name) in EVENTS {
            let since = after[name] - begun[name];
            assert_eq!(scrape.value(metric, labels)?, since as f64, "{name}");
            grown.insert(name.to_owned(), since);
        }
        Ok(Some(grown))
    })
}

#[test]
fn tcp_memory_its_limits_and_its_pressure_are_the_kernels() -> Result<()> {
    let _turn = turn::alone()?;
    if is_elsewhere() {
        return Ok(());
    }
    let begun = netstat()?;
    let exporter = start(CONFIG)?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.context("no page size")? as f64;
    let limits = read_to_string("/proc/sys/net/ipv4/tcp_mem")?;
    let scrape = exporter.scrape()?;
    for (limit, pages) in ["low", "pressure", "high"].iter().zip(limits.split_whitespace()) {
        let bytes = pages.parse::<f64>()? * page;
        assert_eq!(
            scrape.value("tcpvitals_tcp_memory_limit_bytes", &[("limit", limit)])?,
            bytes
        );
    }
    let orphans = file("/proc/sys/net/ipv4/tcp_max_orphans")? as f64;
    assert_eq!(scrape.value("tcpvitals_tcp_orphans_limit", &[])?, orphans);
    assert_eq!(scrape.value("tcpvitals_tcp_memory_pressure", &[])?, 0.0);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    // Smaller than the window that the client has been given.
    socket2::SockRef::from(&server).set_recv_buffer_size(1)?;
    fill(&mut client)?;
    {
        // Whatever is sent is too much; the third limit stays, so that nobody is refused.
        let high = limits.split_whitespace().nth(2).context("three limits")?;
        let _low = Setting::set("net.ipv4.tcp_mem", &format!("0 1 {high}"))?;
        let mut others = Vec::new();
        until("pressure", || {
            let mut one = TcpStream::connect(listener.local_addr()?)?;
            one.set_nonblocking(true)?;
            let _sent = one.write(&[0; 1 << 20]);
            others.push((one, listener.accept()?));
            let protocols = read_to_string("/proc/net/protocols")?;
            let line = protocols.lines().find(|line| line.starts_with("TCP "));
            let is_under = line.context("no TCP")?.split_whitespace().nth(4) == Some("yes");
            Ok(is_under.then_some(()))
        })?;
        let scrape = exporter.scrape()?;
        assert_eq!(scrape.value("tcpvitals_tcp_memory_pressure", &[])?, 1.0);
        ensure!(scrape.value("tcpvitals_tcp_memory_bytes", &[])? > 0.0);
        let held = || -> Result<Option<()>> {
            let of = || -> Result<f64> {
                let text = read_to_string("/proc/net/sockstat")?;
                let line = text.lines().find(|line| line.starts_with("TCP:")).context("no TCP")?;
                let pages = line.split_whitespace().last().context("no memory")?;
                Ok(pages.parse::<f64>()? * page)
            };
            let before = of()?;
            let shown = exporter.scrape()?.value("tcpvitals_tcp_memory_bytes", &[])?;
            Ok((before == shown && before == of()?).then_some(()))
        };
        until("memory that stays", held)?;
    }
    let grown = require_events(&exporter, &begun)?;
    ensure!(grown["TCPMemoryPressures"] > 0 && grown["PruneCalled"] > 0, "{grown:?}");
    server.set_nonblocking(true)?;
    let _read = server.read(&mut [0; 1 << 16]);
    Ok(())
}

/// Closes the window twice, and leaves it closed until the sender has asked for it.
#[test]
fn windows_that_close_and_the_probes_of_them_are_the_kernels() -> Result<()> {
    let _turn = turn::alone()?;
    if is_elsewhere() {
        return Ok(());
    }
    let begun = netstat()?;
    let exporter = start(CONFIG)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    for stream in [&client, &server] {
        stream.set_nonblocking(true)?;
    }
    for closed in 1..=2 {
        let probes = netstat()?["TCPWinProbe"];
        until("a closed window, and a probe of it", || {
            while client.write(&[0; 1 << 16]).is_ok() {}
            let now = netstat()?;
            let times = now["TCPToZeroWindowAdv"] - begun["TCPToZeroWindowAdv"];
            Ok((times >= closed && now["TCPWinProbe"] > probes).then_some(()))
        })?;
        let grown = require_events(&exporter, &begun)?;
        ensure!(
            grown["TCPToZeroWindowAdv"] >= closed && grown["TCPWinProbe"] >= closed,
            "{grown:?}"
        );
        // The window opens when much is read.
        let opened = netstat()?["TCPFromZeroWindowAdv"];
        until("an open window", || {
            while server.read(&mut [0; 1 << 16]).is_ok_and(|read| read > 0) {}
            Ok((netstat()?["TCPFromZeroWindowAdv"] > opened).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn elsewhere_nothing_of_the_host_is_read_and_log_readiness_and_doctor_say_why() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let exporter = Launch::new(CONFIG).inside(&namespace).start()?;
    let reason = "hostNetwork: true in the Helm chart";
    let scrape = exporter.scrape()?;
    for metric in [
        LOST,
        "tcpvitals_tcp_memory_bytes",
        "tcpvitals_host_readings_failed_total",
    ] {
        assert_eq!(scrape.matching(metric, &[]).count(), 0, "{metric}");
    }
    let ready = exporter.get("/readyz", "*/*")?.body;
    for metric in [LOST, "tcpvitals_conntrack_entries", "tcpvitals_tcp_memory_bytes"] {
        let line = ready.lines().find(|line| line.starts_with(&format!("{metric}: off: ")));
        ensure!(line.is_some_and(|line| line.contains(reason)), "{metric}: {ready}");
    }
    for key in ["devices.enabled", "tcp.memory"] {
        let said = format!("{key} is true, but nothing is read: ");
        ensure!(exporter.stderr().contains(&said), "{}", exporter.stderr());
    }
    let off = start("{}\n")?;
    let ready = off.get("/readyz", "*/*")?.body;
    ensure!(
        ready.contains(&format!("{LOST}: off: devices.enabled is false in the configuration")),
        "{ready}"
    );
    let doctor = run(&["doctor", "--verbose"])?;
    ensure!(
        doctor.stdout.contains("tcp.memory is false in the configuration"),
        "{doctor:?}"
    );
    Ok(())
}
