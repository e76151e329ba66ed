//! Rows of the view of flows: rates and ratios from two readings of the same flow, order and filter.

use crate::cli::FlowSort;
use common::tcp::record::FlowRecord;
use serde_json::{Map, Value, json};
use std::{cmp::Ordering, collections::HashMap, time::Duration};
use tcpvitals_config::{DropLabel, TcpLabel};
use tcpvitals_metrics::rows::{
    drops::table::{SiteRow, per_second},
    filter::{DropFilter, FlowFilter},
    flows::LiveFlow,
};

/// A flow and what it did in the interval.
#[derive(Clone, Debug)]
pub struct FlowRow {
    /// The flow as it was last.
    pub flow: LiveFlow,
    /// What it did since it was seen before; none for one that was not, unless it began meanwhile.
    pub rates: Option<Rates>,
}

/// What a flow did in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Payload sent, in bytes per second.
    pub transmit: f64,
    /// Payload received, in bytes per second.
    pub receive: f64,
    /// Segments sent again for each segment sent with payload; none while nothing is sent.
    pub retransmit_ratio: Option<f64>,
}

impl FlowRow {
    /// From a flow and what it was before.
    fn new(flow: LiveFlow, before: Option<&FlowRecord>) -> Self {
        let now = &flow.record;
        // Its own clock: flows are read one after the other.
        let begun = FlowRecord {
            now: now.started,
            ..FlowRecord::default()
        };
        let is_new = now.started != 0 && u32::from(now.flags) & common::tcp::flow::ADOPTED == 0;
        let before = before.or(is_new.then_some(&begun));
        let rates = before.map(|before| Rates::between(before, now));
        Self { flow, rates }
    }

    /// Payload in both directions, in bytes per second.
    pub fn throughput(&self) -> f64 {
        self.rates.map_or(0.0, |rates| rates.transmit + rates.receive)
    }

    /// Segments sent again for each one sent, in the interval.
    pub fn retransmit_ratio(&self) -> Option<f64> {
        self.rates?.retransmit_ratio
    }

    /// For programs: the flow as the API has it, and its rates.
    pub fn json(&self) -> Map<String, Value> {
        let mut json = self.flow.json();
        let rates = self.rates;
        for (name, value) in [
            ("transmitted_bytes_per_second", json!(rates.map(|rates| rates.transmit))),
            ("received_bytes_per_second", json!(rates.map(|rates| rates.receive))),
            ("retransmit_ratio", json!(self.retransmit_ratio())),
        ] {
            json.insert(name.to_owned(), value);
        }
        json
    }
}

impl Rates {
    fn between(before: &FlowRecord, after: &FlowRecord) -> Self {
        let interval = Duration::from_nanos(after.now.saturating_sub(before.now));
        let sent = after.data_segs_out.wrapping_sub(before.data_segs_out);
        let again = after.segs_retrans.wrapping_sub(before.segs_retrans);
        let rate = |after: u64, before: u64| per_second(after.saturating_sub(before), interval);
        Self {
            transmit: rate(after.data_octets_out, before.data_octets_out),
            receive: rate(after.data_octets_in, before.data_octets_in),
            retransmit_ratio: (sent != 0).then(|| f64::from(again) / f64::from(sent)),
        }
    }
}

/// Rows of all flows of a reading.
pub fn rows(before: &[LiveFlow], after: &[LiveFlow]) -> Vec<FlowRow> {
    let before: HashMap<u64, &FlowRecord> = before.iter().map(|flow| (flow.record.cookie, &flow.record)).collect();
    let row = |flow: &LiveFlow| FlowRow::new(flow.clone(), before.get(&flow.record.cookie).copied());
    after.iter().map(row).collect()
}

impl FlowSort {
    /// Every key, in the order in which the key `s` goes through them.
    pub const ALL: [Self; 10] = [
        Self::Rate,
        Self::Out,
        Self::In,
        Self::Retransmits,
        Self::Rtt,
        Self::Cwnd,
        Self::Age,
        Self::Subnet,
        Self::Workload,
        Self::Remote,
    ];

    /// The word on the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Out => "out",
            Self::In => "in",
            Self::Retransmits => "retransmits",
            Self::Rtt => "rtt",
            Self::Cwnd => "cwnd",
            Self::Age => "age",
            Self::Subnet => "subnet",
            Self::Workload => "workload",
            Self::Remote => "remote",
        }
    }

    fn compare(self, one: &FlowRow, other: &FlowRow) -> Ordering {
        let largest_first = |value: fn(&FlowRow) -> f64| value(other).total_cmp(&value(one));
        let (a, b) = (&one.flow, &other.flow);
        match self {
            Self::Rate => largest_first(FlowRow::throughput),
            Self::Out => largest_first(|row| row.rates.map_or(0.0, |rates| rates.transmit)),
            Self::In => largest_first(|row| row.rates.map_or(0.0, |rates| rates.receive)),
            Self::Retransmits => largest_first(|row| row.retransmit_ratio().unwrap_or(0.0)),
            Self::Rtt => b.record.srtt_us.cmp(&a.record.srtt_us),
            Self::Cwnd => b.record.snd_cwnd.cmp(&a.record.snd_cwnd),
            Self::Age => a.record.started.cmp(&b.record.started),
            Self::Subnet => a.label(TcpLabel::Subnet).cmp(b.label(TcpLabel::Subnet)),
            Self::Workload => a.workload().cmp(&b.workload()),
            Self::Remote => a.remote().cmp(&b.remote()),
        }
    }
}

/// Sorts rows; equal ones by their age, so that the screen stands still.
pub fn sort(rows: &mut [FlowRow], key: FlowSort, reversed: bool) {
    rows.sort_by(|one, other| {
        let order = key.compare(one, other);
        let order = if reversed { order.reverse() } else { order };
        order.then_with(|| one.flow.age().cmp(&other.flow.age()))
    });
}

/// The same of drops, by the labels that both have.
pub fn of_drops(FlowFilter { values, patterns }: &FlowFilter) -> DropFilter {
    fn common<V: Clone>(of_flows: &[(TcpLabel, V)]) -> Vec<(DropLabel, V)> {
        let same = |(label, values): &(TcpLabel, V)| {
            let mut labels = DropLabel::ALL.into_iter();
            let same = labels.find(|own| own.label() == label.label())?;
            Some((same, values.clone()))
        };
        of_flows.iter().filter_map(same).collect()
    }
    DropFilter {
        values: common(values),
        patterns: common(patterns),
    }
}

/// Whether each word of a filter is found in the texts of a row, upper and lower case alike.
fn matches(filter: &str, texts: &[String]) -> bool {
    let text = texts.join(" ").to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// Whether a filter chooses a flow: by its ends, labels, pod, container, algorithm and limit.
pub fn flow_matches(filter: &str, row: &FlowRow) -> bool {
    // Flows may be many, and mostly there is no filter.
    if filter.trim().is_empty() {
        return true;
    }
    let flow = &row.flow;
    let ends = [flow.local(), flow.remote()]
        .into_iter()
        .flatten()
        .map(|end| end.to_string());
    let labels = flow.labels.iter().map(|(_, value)| value.clone());
    let instance = flow.instance.iter().flat_map(|instance| instance.words());
    let texts: Vec<String> = ends
        .chain(labels)
        .chain(instance.map(|(_, word)| word.to_owned()))
        .chain([flow.algorithm(), flow.limit().to_owned()])
        .collect();
    matches(filter, &texts)
}

/// Whether a filter chooses a drop site: by its names, subnets and workloads.
pub fn site_matches(filter: &str, site: &SiteRow) -> bool {
    let names = [
        site.reason(),
        site.class(),
        site.location(),
        site.direction(),
        site.protocol(),
        site.source.as_str(),
    ];
    let values = site.subnets.iter().chain(site.workloads.iter().flatten());
    let values = values.map(|(value, _)| value.clone());
    let texts: Vec<String> = names.into_iter().map(str::to_owned).chain(values).collect();
    matches(filter, &texts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tcpvitals_config::Glob;
    use tcpvitals_metrics::rows::samples::{FILTER, dropped, flow, flow_of, in_pod, owned, table};

    const SECOND: u64 = 1_000_000_000;

    /// A flow with so many bytes and segments sent, and so many of them again, at a second.
    fn at(cookie: u64, second: u64, [bytes, sent, again]: [u32; 3]) -> LiveFlow {
        let mut flow = flow(cookie, [192, 0, 2, 9], 443, "office");
        let record = &mut flow.record;
        (record.now, record.data_octets_out) = (second * SECOND, bytes.into());
        (record.data_segs_out, record.segs_retrans) = (sent, again);
        flow
    }

    /// Three flows: one sends fast, one sends again, one is new and idle.
    pub(crate) fn three() -> Vec<FlowRow> {
        let before = [at(1, 10, [1000, 10, 0]), at(2, 10, [0, 0, 0])];
        let mut new = at(3, 12, [0, 0, 0]);
        new.record.started = 11 * SECOND;
        new.record.snd_cwnd = 10;
        let mut second = at(2, 12, [100, 8, 2]);
        second.record.srtt_us = 1500;
        rows(&before, &[at(1, 12, [9000, 90, 0]), second, new])
    }

    #[test]
    fn rates_are_differences_over_the_flows_own_time() {
        let rows = three();
        assert_eq!(
            rows[0].rates,
            Some(Rates {
                transmit: 4000.0,
                receive: 0.0,
                retransmit_ratio: Some(0.0)
            })
        );
        assert_eq!(rows[1].retransmit_ratio(), Some(0.25));
        assert_eq!(rows[2].retransmit_ratio(), None);
        assert!(rows[2].rates.is_some());
        let json = rows[1].json();
        assert_eq!(
            (&json["transmitted_bytes_per_second"], &json["retransmit_ratio"]),
            (&json!(50.0), &json!(0.25))
        );
    }

    #[test]
    fn a_flow_that_was_only_found_has_no_rates_yet() {
        let mut found = at(5, 12, [1 << 20, 900, 1]);
        (found.record.flags, found.record.started) = (common::tcp::flow::ADOPTED.try_into().unwrap(), 11 * SECOND);
        assert_eq!(rows(&[], &[found.clone()])[0].rates, None);
        found.record.started = 0;
        assert_eq!(rows(&[], &[found])[0].rates, None);
    }

    #[test]
    fn counters_may_wrap() {
        let (before, after) = (at(1, 10, [0, u32::MAX - 1, u32::MAX]), at(1, 11, [0, 2, 0]));
        assert_eq!(rows(&[before], &[after])[0].retransmit_ratio(), Some(0.25));
    }

    #[test]
    fn every_key_has_its_order() {
        let check = |key, reversed, expected: [u64; 3]| {
            let mut rows = three();
            sort(&mut rows, key, reversed);
            let cookies: Vec<u64> = rows.iter().map(|row| row.flow.record.cookie).collect();
            assert_eq!(cookies, expected, "{key:?}");
        };
        check(FlowSort::Rate, false, [1, 2, 3]);
        check(FlowSort::Rate, true, [3, 2, 1]);
        check(FlowSort::Retransmits, false, [2, 1, 3]);
        check(FlowSort::Rtt, false, [2, 1, 3]);
        check(FlowSort::Cwnd, false, [3, 1, 2]);
        for key in FlowSort::ALL {
            let mut rows = three();
            sort(&mut rows, key, false);
            assert_eq!(rows.len(), 3);
        }
    }

    #[test]
    fn flows_are_sorted_and_found_by_their_workload() {
        let of = |row: &FlowRow, owner| FlowRow {
            flow: flow_of(row.flow.clone(), owner),
            rates: row.rates,
        };
        let [first, second, third] = three().try_into().unwrap();
        let mut rows = vec![
            of(&first, ["shop", "Deployment", "web"]),
            of(&second, ["", "unit", "nginx.service"]),
            of(&third, ["shop", "StatefulSet", "cart"]),
        ];
        sort(&mut rows, FlowSort::Workload, false);
        let shown: Vec<_> = rows.iter().map(|row| row.flow.workload().unwrap()).collect();
        assert_eq!(shown, ["nginx.service", "shop/cart", "shop/web"]);
        assert!(flow_matches("shop statefulset", &rows[1]) && !flow_matches("shop", &rows[0]));
        rows[0].flow = in_pod(rows[0].flow.clone(), "cart-0");
        assert!(flow_matches("cart-0", &rows[0]) && !flow_matches("cart-0", &rows[1]));
    }

    #[test]
    fn drops_are_chosen_by_the_labels_that_they_share_with_flows() {
        let filter = FlowFilter {
            values: vec![(TcpLabel::Role, vec!["client".to_owned()])],
            patterns: vec![(TcpLabel::Workload, vec![Glob::new("ca*").unwrap()])],
        };
        let drops = of_drops(&filter);
        assert_eq!(drops.labels().collect::<Vec<_>>(), [DropLabel::Workload]);
        let row = |workload| owned(dropped(1, &format!("{FILTER} office wired"), 1), workload);
        let matches = |workload| drops.matches(|label| row(workload).label(label).to_owned());
        assert!(matches("shop cart") && !matches("shop web"));
    }

    #[test]
    fn a_filter_finds_words_anywhere() {
        let row = &three()[0];
        for (filter, expected) in [
            ("", true),
            ("192.0.2.9:443", true),
            ("OFFICE https", true),
            ("office ssh", false),
            ("idle", true),
        ] {
            assert_eq!(flow_matches(filter, row), expected, "{filter}");
        }
        let site = &table().sites[0];
        assert!(site_matches("netfilter lab", site) && !site_matches("udp", site));
    }
}
