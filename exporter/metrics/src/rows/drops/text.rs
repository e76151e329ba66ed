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
    let mut lines = vec![
        format!(
            "after {} s: {} packets/s, {} packets in all, {sites} sites",
            elapsed.as_secs(),
            rate(table.rate()),
            table.total()
        ),
        row([
            "RATE/S", "TOTAL", "CLASS", "REASON", "LOCATION", "WAY", "PROTO", "SUBNETS",
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

fn columns(site: &SiteRow) -> [String; 8] {
    let way = if site.direction() == "transmit" { "out" } else { "in" };
    [
        rate(site.rate),
        site.total.packets.to_string(),
        site.class().to_owned(),
        site.reason().to_owned(),
        site.location().to_owned(),
        way.to_owned(),
        site.protocol().to_owned(),
        subnets(&site.subnets),
    ]
}

fn row([rate, total, class, reason, location, way, protocol, subnets]: [String; 8]) -> String {
    format!("{rate:>8} {total:>9} {class:<8} {reason:<18} {location:<22} {way:<3} {protocol:<6} {subnets}")
}

/// The three subnets with the most packets, each with its share.
pub fn subnets(subnets: &[(String, u64)]) -> String {
    let sum: u64 = subnets.iter().map(|(_, packets)| packets).sum();
    let share = |packets: u64| (packets * 100).checked_div(sum).unwrap_or(0);
    let mut text: Vec<String> = subnets
        .iter()
        .take(3)
        .map(|(subnet, packets)| format!("{subnet} {}%", share(*packets)))
        .collect();
    if subnets.len() > 3 {
        text.push(format!("{} more", subnets.len() - 3));
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
    use crate::rows::samples::table;

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
    fn what_does_not_fit_is_cut_and_counted() {
        let text = lines(&table(), Duration::from_secs(4), Size { width: 30, sites: 1 });
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.ends_with("and 1 sites more\n"), "{text}");
    }

    #[test]
    fn small_shares_are_put_together() {
        let many: Vec<(String, u64)> = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), 20)).to_vec();
        assert_eq!(subnets(&many), "a 20%, b 20%, c 20%, 2 more");
        assert_eq!(subnets(&[]), "");
        assert_eq!(subnets(&[("a".to_owned(), 0)]), "a 0%");
    }
}
