//! Files of /proc and /proc/sys: softnet, connection tracking, and the memory of TCP. Columns are found by their names where a file
//! names them, as they differ from kernel to kernel. What is not there, or no number, is `None`.

use std::collections::BTreeMap;

/// The table of connections (nf_conntrack).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// `nf_conntrack_count`
    pub entries: u64,
    /// `nf_conntrack_max`
    pub limit: u64,
    /// What went wrong, since the boot or since the exporter began; none where the kernel has no `/proc/net/stat/nf_conntrack`.
    pub failures: Option<Failures>,
}

/// Columns of `/proc/net/stat/nf_conntrack`, summed over CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Connections that could not be entered, mostly because another packet had entered the same.
    pub insert_failed: u64,
    /// Packets dropped because the table was full or memory was short.
    pub drop: u64,
    /// Entries that were removed to make room for new ones.
    pub early_drop: u64,
}

/// The memory that TCP holds in all network namespaces, in bytes, and what comes of too little of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpMemory {
    /// `mem` of TCP in `/proc/net/sockstat`.
    pub held: u64,
    /// `net.ipv4.tcp_mem`: no pressure below the first, pressure from the second on until it is below the first, none beyond the third.
    pub limits: [u64; 3],
    /// `press` of TCP in `/proc/net/protocols`.
    pub is_under_pressure: Option<bool>,
    /// Sockets without a process; `net.ipv4.tcp_max_orphans`.
    pub orphans: Option<u64>,
    pub orphans_limit: Option<u64>,
    pub events: Events,
}

/// Counters of `/proc/net/netstat`, of the network namespace that they are read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// `TCPMemoryPressures`
    pub pressures: Option<u64>,
    /// `TCPRcvCollapsed`
    pub collapsed: Option<u64>,
    /// `PruneCalled`
    pub pruned: Option<u64>,
    /// `OfoPruned`
    pub out_of_order_pruned: Option<u64>,
    /// `RcvPruned`
    pub prunes_failed: Option<u64>,
    /// `TCPToZeroWindowAdv`
    pub zero_windows: Option<u64>,
    /// `TCPWinProbe`
    pub window_probes: Option<u64>,
}

/// `time_squeeze` by CPU, of `/proc/net/softnet_stat`: the third column; the thirteenth is the CPU, on older kernels the line is.
pub fn squeezed(text: &str) -> Option<BTreeMap<u32, u64>> {
    let rows = (0..).zip(text.lines()).map(|(line, row)| {
        let mut columns = row.split_ascii_whitespace();
        let squeezed = hexadecimal(columns.nth(2)?)?;
        let cpu = match columns.nth(9) {
            Some(cpu) => u32::try_from(hexadecimal(cpu)?).ok()?,
            None => line,
        };
        Some((cpu, squeezed))
    });
    rows.collect()
}

/// From the files of the counts, and that of what went wrong where there is one.
pub fn conntrack(count: &str, max: &str, statistics: Option<&str>) -> Option<Conntrack> {
    Some(Conntrack {
        entries: number(count)?,
        limit: number(max)?,
        failures: statistics.and_then(failures),
    })
}

fn failures(text: &str) -> Option<Failures> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    let place = |name| names.iter().position(|own| *own == name);
    let (insert_failed, drop, early_drop) = (place("insert_failed")?, place("drop")?, place("early_drop")?);
    let mut failures = Failures::default();
    for line in lines {
        let row: Option<Vec<u64>> = line.split_ascii_whitespace().map(hexadecimal).collect();
        let row = row?;
        let column = |place: usize| row.get(place).copied();
        failures.insert_failed += column(insert_failed)?;
        failures.drop += column(drop)?;
        failures.early_drop += column(early_drop)?;
    }
    Some(failures)
}

/// The files that [`tcp_memory`] reads.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    pub sockstat: String,
    pub tcp_mem: String,
    pub protocols: Option<String>,
    pub netstat: Option<String>,
    pub max_orphans: Option<String>,
}

/// The kernel counts pages of so many bytes.
pub fn tcp_memory(files: &MemoryFiles, page: u64) -> Option<TcpMemory> {
    let MemoryFiles {
        sockstat,
        tcp_mem,
        protocols,
        netstat,
        max_orphans,
    } = files;
    let of_tcp = |name| value_after(sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?, name);
    let limits: Option<Vec<u64>> = tcp_mem
        .split_ascii_whitespace()
        .map(|pages| Some(number(pages)?.saturating_mul(page)))
        .collect();
    Some(TcpMemory {
        held: of_tcp("mem")?.saturating_mul(page),
        limits: limits?.try_into().ok()?,
        is_under_pressure: protocols.as_deref().and_then(is_under_pressure),
        orphans: of_tcp("orphan"),
        orphans_limit: max_orphans.as_deref().and_then(number),
        events: netstat.as_deref().map(events).unwrap_or_default(),
    })
}

/// The number after a word.
fn value_after(line: &str, name: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace().skip_while(|word| *word != name);
    number(words.nth(1)?)
}

fn is_under_pressure(protocols: &str) -> Option<bool> {
    let mut lines = protocols.lines();
    let place = lines
        .next()?
        .split_ascii_whitespace()
        .position(|name| name == "press")?;
    let tcp = lines.find(|line| line.split_ascii_whitespace().next() == Some("TCP"))?;
    match tcp.split_ascii_whitespace().nth(place)? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// SYN cookies that the network namespace has sent, by the text of `/proc/net/netstat`: each is an answer to a SYN for which the SYN
/// queue had no room.
pub fn cookies_sent(netstat: &str) -> Option<u64> {
    number(extensions(netstat).get("SyncookiesSent")?)
}

/// The counters of `TcpExt`, by name.
fn extensions(netstat: &str) -> BTreeMap<&str, &str> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace())
        .collect()
}

fn events(netstat: &str) -> Events {
    let pairs = extensions(netstat);
    let value = |name| pairs.get(name).and_then(|value| number(value));
    Events {
        pressures: value("TCPMemoryPressures"),
        collapsed: value("TCPRcvCollapsed"),
        pruned: value("PruneCalled"),
        out_of_order_pruned: value("OfoPruned"),
        prunes_failed: value("RcvPruned"),
        zero_windows: value("TCPToZeroWindowAdv"),
        window_probes: value("TCPWinProbe"),
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softnet_has_a_row_for_each_cpu_that_is_there() {
        let new = "0000a 0 00000003 0 0 0 0 0 0 0 0 0 00000000 0 0\n0000b 0 00000010 0 0 0 0 0 0 0 0 0 00000002 0 0\n";
        assert_eq!(squeezed(new), Some([(0, 3), (2, 16)].into()));
        let old = "0000a 0 00000003 0 0 0 0 0 0 0 0\n0000b 0 00000001 0 0 0 0 0 0 0 0\n";
        assert_eq!(squeezed(old), Some([(0, 3), (1, 1)].into()));
        assert_eq!(squeezed("0000a 0\n"), None);
    }

    #[test]
    fn cookies_are_found_by_their_name() {
        let text = "TcpExt: A SyncookiesSent B\nTcpExt: 1 22 3\nIpExt: A\nIpExt: 4\n";
        assert_eq!(cookies_sent(text), Some(22));
        assert_eq!(cookies_sent("TcpExt: A\nTcpExt: 1\n"), None);
    }

    #[test]
    fn columns_of_connection_tracking_are_found_by_their_names() {
        let new = "entries  clashres found insert insert_failed drop early_drop icmp_error\n\
                   0000000a 1 2 3 00000010 5 6 7\n0000000a 1 2 3 00000001 1 1 1\n";
        let expected = Failures {
            insert_failed: 17,
            drop: 6,
            early_drop: 7,
        };
        assert_eq!(conntrack("5\n", "9\n", Some(new)).unwrap().failures, Some(expected));
        let without = conntrack("5\n", "9\n", None).unwrap();
        assert_eq!((without.entries, without.limit, without.failures), (5, 9, None));
        assert_eq!(conntrack("", "9\n", None), None);
        assert_eq!(failures("entries insert_failed drop early_drop\n1 2 3\n"), None);
    }

    #[test]
    fn memory_is_in_bytes_and_events_are_found_by_their_names() {
        let files = MemoryFiles {
            sockstat: "sockets: used 29\nTCP: inuse 2 orphan 3 tw 0 alloc 2 mem 239\nUDP: inuse 0 mem 4\n".to_owned(),
            tcp_mem: "10\t20\t30\n".to_owned(),
            protocols: Some(
                "protocol  size sockets  memory press maxhdr\nTCPv6 1 1 239 no 0\nTCP 2304 2 239 yes 192\n".to_owned(),
            ),
            netstat: Some(
                "TcpExt: PruneCalled RcvPruned OfoPruned TCPRcvCollapsed TCPMemoryPressures New TCPWinProbe TCPToZeroWindowAdv\n\
                 TcpExt: 1 2 3 4 5 6 7 8\nIpExt: A\nIpExt: 1\n"
                    .to_owned(),
            ),
            max_orphans: Some("65536\n".to_owned()),
        };
        let memory = tcp_memory(&files, 4096).unwrap();
        assert_eq!((memory.held, memory.limits), (239 * 4096, [40_960, 81_920, 122_880]));
        assert_eq!(memory.is_under_pressure, Some(true));
        assert_eq!((memory.orphans, memory.orphans_limit), (Some(3), Some(65536)));
        let expected = Events {
            pressures: Some(5),
            collapsed: Some(4),
            pruned: Some(1),
            out_of_order_pruned: Some(3),
            prunes_failed: Some(2),
            zero_windows: Some(8),
            window_probes: Some(7),
        };
        assert_eq!(memory.events, expected);
        let bare = MemoryFiles {
            protocols: None,
            netstat: None,
            max_orphans: None,
            ..files
        };
        let memory = tcp_memory(&bare, 4096).unwrap();
        assert_eq!((memory.is_under_pressure, memory.events), (None, Events::default()));
        assert_eq!(tcp_memory(&MemoryFiles::default(), 4096), None);
    }
}
