//! The table of drop sites as text, as wide and high as wanted. Pure.

use super::table::{SiteRow, SiteTable};
use std::{fmt::Write, time::Duration};

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: usize,
    pub sites: usize,
}

/// Lines of text, each with its end. `elapsed` is the time since the start.
pub fn lines(table: &SiteTable, elapsed: Duration, size: Size) -> String {
    let sites = table.sites.len();
    let tells_workloads = table.tells_workloads();
    let row = |columns| row(columns, tells_workloads);
    let mut lines = vec![
        format!(
            "after {} s: {} packets/s, {} packets in all, {sites} sites",
            elapsed.as_secs(),
            rate(table.rate()),
            table.total()
        ),
        row([
            "RATE/S",
            "TOTAL",
            "CLASS",
            "REASON",
            "LOCATION",
            "WAY",
            "PROTO",
            "SUBNETS",
            "WORKLOADS",
        ]
        .map(String::from)),
    ];
    lines.extend(table.sites.iter().take(size.sites).map(|site| row(columns(site))));
    if sites > size.sites {
        lines.push(format!("and {} sites more", sites - size.sites));
    }
    lines.iter().fold(String::new(), |mut text, line| {
        let cut: String = line.chars().take(size.width).collect();
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{}", cut.trim_end());
        text
    })
}

fn columns(site: &SiteRow) -> [String; 9] {
    let way = if site.direction() == "transmit" { "out" } else { "in" };
    [
        rate(site.rate),
        site.total.packets.to_string(),
        site.class().to_owned(),
        site.reason().to_owned(),
        site.location().to_owned(),
        way.to_owned(),
        site.protocol().to_owned(),
        shares(&site.subnets),
        shares(site.workloads.as_deref().unwrap_or_default()),
    ]
}

fn row(
    [rate, total, class, reason, location, way, protocol, subnets, workloads]: [String; 9],
    tells_workloads: bool,
) -> String {
    let begin = format!("{rate:>8} {total:>9} {class:<8} {reason:<18} {location:<22} {way:<3} {protocol:<6}");
    if tells_workloads {
        format!("{begin} {subnets:<24} {workloads}")
    } else {
        format!("{begin} {subnets}")
    }
}

/// The three subnets or workloads with the most packets, each with its share.
pub fn shares(packets: &[(String, u64)]) -> String {
    let sum: u64 = packets.iter().map(|(_, packets)| packets).sum();
    let share = |packets: u64| (packets * 100).checked_div(sum).unwrap_or(0);
    let mut text: Vec<String> = packets
        .iter()
        .take(3)
        .map(|(value, packets)| format!("{value} {}%", share(*packets)))
        .collect();
    if packets.len() > 3 {
        text.push(format!("{} more", packets.len() - 3));
    }
    text.join(", ")
}

/// A rate with three digits that matter.
pub fn rate(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else if rate < 100.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples::{FILTER, dropped, owned, table};

    #[test]
    fn a_table_has_a_line_for_each_site() {
        let text = lines(&table(), Duration::from_secs(4), Size { width: 120, sites: 5 });
        let expected = "\
after 4 s: 18.5 packets/s, 147 packets in all, 2 sites
  RATE/S     TOTAL CLASS    REASON             LOCATION               WAY PROTO  SUBNETS
    15.0       140 policy   NETFILTER_DROP     nft_do_chain           in  tcp    lab 66%, office 33%
     3.5         7 error    NO_SOCKET          udp_rcv                in  udp    office 100%
";
        assert_eq!(text, expected);
    }

    #[test]
    fn workloads_have_a_column_where_they_are_told_apart() {
        let rows = [
            owned(dropped(1, &format!("{FILTER} office wired"), 3), "shop cart"),
            owned(dropped(2, &format!("{FILTER} lab wired"), 1), "- host"),
        ];
        let table = SiteTable::new(&[], &rows, Duration::from_secs(1));
        let text = lines(&table, Duration::from_secs(1), Size { width: 200, sites: 5 });
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let expected = [
            "  RATE/S     TOTAL CLASS    REASON             LOCATION               WAY PROTO  SUBNETS                  WORKLOADS",
            "     4.0         4 policy   NETFILTER_DROP     nft_do_chain           in  tcp    office 75%, lab 25%      shop/cart 75%, host 25%",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_counted() {
        let text = lines(&table(), Duration::from_secs(4), Size { width: 30, sites: 1 });
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.ends_with("and 1 sites more\n"), "{text}");
    }

    #[test]
    fn small_shares_are_put_together() {
        let many: Vec<(String, u64)> = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), 20)).to_vec();
        assert_eq!(shares(&many), "a 20%, b 20%, c 20%, 2 more");
        assert_eq!(shares(&[]), "");
        assert_eq!(shares(&[("a".to_owned(), 0)]), "a 0%");
    }
}
