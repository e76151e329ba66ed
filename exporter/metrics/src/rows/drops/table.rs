//! The table of drop sites: rows that differ only in their subnet, connection type or workload become one, with rates from two readings.
//!
//! Pure: from rows of two moments; to text, JSON and the screen of `top`.

use super::Dropped;
use common::drops::{DropCount, DropSource};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tcpvitals_config::{Class, DropLabel};

/// Labels that tell sites apart, in the order of [`SiteRow::key`].
const KEY: [DropLabel; 5] = [
    DropLabel::Reason,
    DropLabel::Class,
    DropLabel::Location,
    DropLabel::Direction,
    DropLabel::Protocol,
];

/// One site: a place, a reason and a kind of packet.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteRow {
    pub source: DropSource,
    key: [String; KEY.len()],
    /// In the interval.
    pub now: DropCount,
    /// Since the start.
    pub total: DropCount,
    /// Packets per second in the interval.
    pub rate: f64,
    /// Subnets by packets, most first: of the interval, or since the start while nothing is dropped.
    pub subnets: Vec<(String, u64)>,
    /// Workloads, likewise; `None` where nobody tells them apart.
    pub workloads: Option<Vec<(String, u64)>>,
}

impl SiteRow {
    /// The kernel's reason, or what stands for it.
    pub fn reason(&self) -> &str {
        &self.key[0]
    }

    /// What it means to an operator.
    pub fn class(&self) -> &str {
        &self.key[1]
    }

    /// The kernel function, or what stands for it.
    pub fn location(&self) -> &str {
        &self.key[2]
    }

    /// `receive` or `transmit`.
    pub fn direction(&self) -> &str {
        &self.key[3]
    }

    /// Whether such drops are normal operation.
    pub fn is_benign(&self) -> bool {
        self.class() == Class::Benign.as_str()
    }

    /// L3 and L4 protocol.
    pub fn protocol(&self) -> &str {
        &self.key[4]
    }

    pub fn json(&self) -> Value {
        let mut json = json!({
            "source": self.source.as_str(),
            "reason": self.reason(),
            "class": self.class(),
            "location": self.location(),
            "direction": self.direction(),
            "protocol": self.protocol(),
            "packets_per_second": self.rate,
            "packets": self.now.packets,
            "bytes": self.now.bytes,
            "total_packets": self.total.packets,
            "total_bytes": self.total.bytes,
            "retransmitted_segments": self.now.repeated,
            "total_retransmitted_segments": self.total.repeated,
            "subnets": shares("subnet", &self.subnets),
        });
        if let Some(workloads) = &self.workloads {
            json["workloads"] = shares("workload", workloads);
        }
        json
    }
}

fn shares(name: &str, packets: &[(String, u64)]) -> Value {
    let share = |(value, packets): &(String, u64)| json!({name: value, "packets": packets});
    packets.iter().map(share).collect()
}

/// The sites of one interval, the busiest first, equal ones by what was dropped since the start; benign ones behind all others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteTable {
    pub sites: Vec<SiteRow>,
    /// Length of the interval.
    pub interval: Duration,
}

impl SiteTable {
    /// From what had been dropped at the beginning of the interval and at its end.
    pub fn new(before: &[Dropped], after: &[Dropped], interval: Duration) -> Self {
        let before: HashMap<u64, DropCount> = before.iter().map(|row| (row.id, row.count)).collect();
        let mut sites: BTreeMap<(DropSource, [String; KEY.len()]), Gathered> = BTreeMap::new();
        for row in after {
            let key = (row.source, KEY.map(|label| row.label(label).to_owned()));
            let earlier = before.get(&row.id).copied().unwrap_or_default();
            let new = DropCount {
                packets: row.count.packets.saturating_sub(earlier.packets),
                bytes: row.count.bytes.saturating_sub(earlier.bytes),
                repeated: row.count.repeated.saturating_sub(earlier.repeated),
            };
            let site = sites.entry(key).or_default();
            site.now.merge(&new);
            site.total.merge(&row.count);
            let packets = (new.packets, row.count.packets);
            add(&mut site.subnets, row.label(DropLabel::Subnet).to_owned(), packets);
            if let Some(workload) = row.workload() {
                add(site.workloads.get_or_insert_default(), workload, packets);
            }
        }
        let mut sites: Vec<SiteRow> = sites
            .into_iter()
            .map(|((source, key), gathered)| gathered.site(source, key, interval))
            .collect();
        sites.sort_by(|one, other| {
            let load = |site: &SiteRow| (site.now.packets, site.total.packets);
            let order = load(other).cmp(&load(one));
            one.is_benign().cmp(&other.is_benign()).then(order)
        });
        Self { sites, interval }
    }

    /// Whether workloads are told apart.
    pub fn tells_workloads(&self) -> bool {
        self.sites.iter().any(|site| site.workloads.is_some())
    }

    /// Packets per second of all sites.
    pub fn rate(&self) -> f64 {
        self.sites.iter().map(|site| site.rate).sum()
    }

    /// Packets since the start of all sites.
    pub fn total(&self) -> u64 {
        self.sites.iter().map(|site| site.total.packets).sum()
    }

    /// For programs: one object. `elapsed` is the time since the start.
    pub fn json(&self, elapsed: Duration, limit: usize) -> Value {
        json!({
            "elapsed_seconds": elapsed.as_secs_f64(),
            "interval_seconds": self.interval.as_secs_f64(),
            "packets_per_second": self.rate(),
            "total_packets": self.total(),
            "total_sites": self.sites.len(),
            "sites": self.sites.iter().take(limit).map(SiteRow::json).collect::<Vec<_>>(),
        })
    }
}

/// Packets of the interval and since the start, by the value of a label.
type Packets = BTreeMap<String, (u64, u64)>;

fn add(packets: &mut Packets, value: String, (new, ever): (u64, u64)) {
    let known = packets.entry(value).or_default();
    known.0 += new;
    known.1 += ever;
}

#[derive(Debug, Default)]
struct Gathered {
    now: DropCount,
    total: DropCount,
    subnets: Packets,
    workloads: Option<Packets>,
}

impl Gathered {
    fn site(self, source: DropSource, key: [String; KEY.len()], interval: Duration) -> SiteRow {
        let Self {
            now,
            total,
            subnets,
            workloads,
        } = self;
        let live = now.packets != 0;
        let most_first = |packets: Packets| {
            let mut sorted: Vec<(String, u64)> = packets
                .into_iter()
                .map(|(value, (new, ever))| (value, if live { new } else { ever }))
                .filter(|(_, packets)| *packets != 0)
                .collect();
            sorted.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
            sorted
        };
        SiteRow {
            source,
            key,
            now,
            total,
            rate: per_second(now.packets, interval),
            subnets: most_first(subnets),
            workloads: workloads.map(most_first),
        }
    }
}

/// How many a second; 0 for an interval without length.
pub fn per_second(count: u64, interval: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rates are for people")]
    let count = count as f64;
    if interval.is_zero() {
        0.0
    } else {
        count / interval.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples::{FILTER, dropped, owned, table};

    #[test]
    fn rows_of_one_site_become_one_with_its_subnets() {
        let table = table();
        let [filter, udp] = table.sites.as_slice() else {
            panic!("{table:?}")
        };
        let name = |name: &str| name.to_owned();
        assert_eq!((filter.reason(), filter.location()), ("NETFILTER_DROP", "nft_do_chain"));
        assert_eq!(
            (filter.class(), filter.direction(), filter.protocol()),
            ("policy", "receive", "tcp")
        );
        assert_eq!(
            (filter.now.packets, filter.now.bytes, filter.total.packets),
            (30, 3000, 140)
        );
        assert!((filter.rate - 15.0).abs() < f64::EPSILON);
        assert_eq!(filter.subnets, [(name("lab"), 20), (name("office"), 10)]);
        // It was not there before, so all of it is new.
        assert_eq!((udp.now.packets, udp.total.packets), (7, 7));
        assert_eq!(table.total(), 147);
    }

    #[test]
    fn without_new_drops_subnets_are_those_since_the_start() {
        let rows = [dropped(1, &format!("{FILTER} office wired"), 5)];
        let table = SiteTable::new(&rows, &rows, Duration::from_secs(1));
        assert_eq!(table.sites[0].now, DropCount::default());
        assert_eq!(table.sites[0].subnets, [("office".to_owned(), 5)]);
    }

    #[test]
    fn workloads_are_told_as_subnets_are_and_only_where_they_are_told_apart() {
        let of = |id, workload: &str, packets| owned(dropped(id, &format!("{FILTER} office wired"), packets), workload);
        let before = [of(1, "shop cart", 5), of(2, "- host", 1)];
        let after = [of(1, "shop cart", 6), of(2, "- host", 4), of(3, "shop web", 0)];
        let site = &SiteTable::new(&before, &after, Duration::from_secs(1)).sites[0];
        let expected = json!([{"workload": "host", "packets": 3}, {"workload": "shop/cart", "packets": 1}]);
        assert_eq!(site.json()["workloads"], expected);
        assert!(!table().tells_workloads());
        assert_eq!(table().sites[0].json().get("workloads"), None);
    }

    #[test]
    fn an_object_has_all_numbers_in_base_units() {
        let json = table().json(Duration::from_millis(4500), 1);
        assert_eq!(
            (&json["elapsed_seconds"], &json["interval_seconds"]),
            (&json!(4.5), &json!(2.0))
        );
        assert_eq!((&json["total_packets"], &json["total_sites"]), (&json!(147), &json!(2)));
        assert_eq!(json["sites"].as_array().unwrap().len(), 1);
        let site = &json["sites"][0];
        assert_eq!(
            (&site["packets_per_second"], &site["total_bytes"]),
            (&json!(15.0), &json!(14000))
        );
        assert_eq!(site["subnets"][0], json!({"subnet": "lab", "packets": 20}));
    }

    #[test]
    fn benign_sites_stand_last_however_busy() {
        let benign = "sk_stream_kill_queues QUEUE_PURGE benign tcp transmit office wired";
        let rows = [
            dropped(1, benign, 5000),
            dropped(2, &format!("{FILTER} office wired"), 1),
        ];
        let table = SiteTable::new(&[], &rows, Duration::from_secs(1));
        let classes: Vec<&str> = table.sites.iter().map(SiteRow::class).collect();
        assert_eq!(classes, ["policy", "benign"]);
    }

    #[test]
    fn no_time_has_no_rate() {
        assert!(per_second(5, Duration::ZERO).abs() < f64::EPSILON);
    }
}
