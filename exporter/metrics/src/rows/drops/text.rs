//! The table of drop sites as text, as wide and high as wanted. Pure.

use super::table::{SiteRow, SiteTable};
use common::drops::Direction;
use std::{fmt::Write, time::Duration};

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: usize,
    pub sites: usize,
}

/// A column: its title, its least width, and its place among those that go first where there is no room.
struct Column {
    title: &'static str,
    width: usize,
    rank: u8,
    is_number: bool,
    text: fn(&SiteRow) -> String,
}

const fn words(title: &'static str, width: usize, rank: u8, text: fn(&SiteRow) -> String) -> Column {
    Column {
        title,
        width,
        rank,
        is_number: false,
        text,
    }
}

const fn number(title: &'static str, width: usize, text: fn(&SiteRow) -> String) -> Column {
    Column {
        is_number: true,
        ..words(title, width, 0, text)
    }
}

const COLUMNS: [Column; 9] = [
    number("DROPS/S", 8, |site| rate(site.rate)),
    number("TOTAL", 9, |site| site.total.packets.to_string()),
    words("CLASS", 8, 2, |site| site.class().to_owned()),
    words("REASON", 14, 1, |site| site.reason().to_owned()),
    words("LOCATION", 14, 3, |site| site.location().to_owned()),
    words("DIR", 3, 5, |site| way(site).to_owned()),
    words("PROTO", 6, 6, |site| site.protocol().to_owned()),
    words("SUBNETS", 12, 4, |site| shares(&site.subnets)),
    words(WORKLOADS, 12, 7, |site| {
        shares(site.workloads.as_deref().unwrap_or_default())
    }),
];
const WORKLOADS: &str = "WORKLOADS";

/// Lines of text, each with its end. `elapsed` is the time since the start. Columns are as wide as their texts; those that do not fit
/// into the width are left out whole.
pub fn lines(table: &SiteTable, elapsed: Duration, size: Size) -> String {
    let sites = table.sites.len();
    let mut text = format!(
        "after {} s: {} drops/s, {} packets in all, {sites} sites\n",
        elapsed.as_secs(),
        rate(table.rate()),
        table.total()
    );
    let shown = &table.sites[..sites.min(size.sites)];
    let mut columns: Vec<(&Column, Vec<String>, usize)> = COLUMNS
        .iter()
        .filter(|column| column.title != WORKLOADS || table.tells_workloads())
        .map(|column| {
            let texts: Vec<String> = shown.iter().map(column.text).collect();
            let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
            (column, texts, longest.max(column.width))
        })
        .collect();
    let all = |columns: &[(&Column, Vec<String>, usize)]| columns.iter().map(|(_, _, width)| width + 1).sum::<usize>();
    while all(&columns) > size.width.saturating_add(1) && columns.len() > 1 {
        let last = columns.iter().enumerate().max_by_key(|(_, (column, ..))| column.rank);
        let Some((place, _)) = last else { break };
        columns.remove(place);
    }
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, (column, _, width)) in cells.zip(&columns) {
            // Writing to a string does not fail.
            let _infallible = if column.is_number {
                write!(line, "{cell:>width$} ")
            } else {
                write!(line, "{cell:<width$} ")
            };
        }
        text += line.trim_end();
        text.push('\n');
    };
    line(&mut columns.iter().map(|(column, ..)| column.title));
    for place in 0..shown.len() {
        line(&mut columns.iter().map(|(_, texts, _)| texts[place].as_str()));
    }
    if sites > size.sites {
        // As above.
        let _infallible = writeln!(text, "and {} sites more", sites - size.sites);
    }
    text
}

/// Which way the packets of a site went.
pub fn way(site: &SiteRow) -> &'static str {
    if site.direction() == Direction::Transmit.as_str() {
        "out"
    } else {
        "in"
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
after 4 s: 18.5 drops/s, 147 packets in all, 2 sites
 DROPS/S     TOTAL CLASS    REASON         LOCATION       DIR PROTO  SUBNETS
    15.0       140 policy   NETFILTER_DROP nft_do_chain   in  tcp    lab 66%, office 33%
     3.5         7 error    NO_SOCKET      udp_rcv        in  udp    office 100%
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
            " DROPS/S     TOTAL CLASS    REASON         LOCATION       DIR PROTO  SUBNETS             WORKLOADS",
            "     4.0         4 policy   NETFILTER_DROP nft_do_chain   in  tcp    office 75%, lab 25% shop/cart 75%, host 25%",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_counted() {
        let text = lines(&table(), Duration::from_secs(4), Size { width: 45, sites: 1 });
        let expected = "\
after 4 s: 18.5 drops/s, 147 packets in all, 2 sites
 DROPS/S     TOTAL CLASS    REASON
    15.0       140 policy   NETFILTER_DROP
and 1 sites more
";
        assert_eq!(text, expected);
        let narrowest = lines(&table(), Duration::from_secs(4), Size { width: 3, sites: 5 });
        assert!(
            narrowest.contains("15.0") && !narrowest.contains("TOTAL"),
            "{narrowest}"
        );
    }

    #[test]
    fn small_shares_are_put_together() {
        let many: Vec<(String, u64)> = ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), 20)).to_vec();
        assert_eq!(shares(&many), "a 20%, b 20%, c 20%, 2 more");
        assert_eq!(shares(&[]), "");
        assert_eq!(shares(&[("a".to_owned(), 0)]), "a 0%");
    }
}
