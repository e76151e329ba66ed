//! A line for people: when, what, between whom, and the numbers that are not 0, as far as they fit.

use super::item::{self, Item, LostEvents, Setting};
use crate::commands::{
    top::format,
    words::{add_word, printable},
};
use common::tcp::{event::EventKind, record::FlowRecord};
use std::{fmt::Write as _, time::Duration};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::{labels::KeyNames as _, workloads::qualified};

/// Columns of a line.
const WIDTH: usize = 100;

/// Which values a line has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// The usual ones, as far as they fit.
    #[default]
    Usual,
    /// All that are not 0, by their names.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

/// The line of an item, with its end.
pub fn line(item: &Item, setting: &Setting, values: &Values) -> String {
    let line = match item {
        // Shown with the events.
        Item::Workload(_) | Item::Instance(_) => return String::new(),
        Item::Lost(LostEvents { now, count }) => {
            format!("{} {:12} {count} events found no room", clock(setting, *now), "LOST")
        }
        Item::Event(kind, record) => event(*kind, record, setting, values),
    };
    // Names in a file may be anything.
    let mut line = printable(&line, &[]);
    line.push('\n');
    line
}

/// The time of day in UTC, to the millisecond.
fn clock(setting: &Setting, now: u64) -> String {
    let time = Duration::from_nanos(setting.wall_clock(now));
    format!("{}.{:03}", format::clock(time), time.subsec_millis())
}

fn event(kind: EventKind, record: &FlowRecord, setting: &Setting, values: &Values) -> String {
    let (local, remote) = (item::local(record), item::remote(record));
    let label = |label| setting.names.value(label, &record.key());
    let mut line = format!(
        "{} {:12} {local} > {remote}  {} {}",
        clock(setting, record.now),
        kind.as_str().to_uppercase(),
        label(TcpLabel::Subnet),
        label(TcpLabel::AppProtocol),
    );
    match values {
        Values::Usual => {
            let owner = setting.names.workloads.as_ref();
            let owner = owner.map(|_| qualified(&label(TcpLabel::WorkloadNamespace), &label(TcpLabel::Workload)));
            for part in usual(kind, record).into_iter().chain(owner) {
                if line.chars().count() + 2 + part.chars().count() <= WIDTH {
                    line += "  ";
                    line += &part;
                }
            }
        }
        Values::All => {
            for (name, number) in numbers(record).filter(|(_, number)| *number != 0) {
                add_number(&mut line, name, number);
            }
            let words = item::words(record, &setting.names);
            words.for_each(|(name, word)| add_word(&mut line, name, &word));
        }
        Values::Named(names) => {
            for wanted in names {
                let number = numbers(record).find(|(name, _)| name == wanted);
                let word = item::words(record, &setting.names).find(|(name, _)| name == wanted);
                match (number, word) {
                    (Some((name, number)), _) => add_number(&mut line, name, number),
                    (None, Some((name, word))) => add_word(&mut line, name, &word),
                    // Of workloads, where nobody tells them apart.
                    (None, None) => {}
                }
            }
        }
    }
    line
}

fn numbers(record: &FlowRecord) -> impl Iterator<Item = item::Number> {
    let of_seed = item::basic(record).into_iter().chain(item::statistics(record));
    of_seed.chain(item::further(record))
}

fn add_number(line: &mut String, name: &str, number: u64) {
    // Writing to a string cannot fail.
    write!(line, " {name}={number}").ok();
}

/// What matters of an event, the most important first.
fn usual(kind: EventKind, record: &FlowRecord) -> Vec<String> {
    let is_retransmission = matches!(kind, EventKind::Retrans | EventKind::RetransLoss);
    let is_account = matches!(kind, EventKind::Periodic | EventKind::Close);
    let count = |what: &str, count: u32| (count != 0).then(|| format!("{what} {count}"));
    let bytes = |what: &str, bytes: u64| {
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let text = || format!("{what} {}B", format::short(bytes as f64));
        (is_account && bytes != 0).then(text)
    };
    let time = |what: &str, micros: u32| (micros != 0).then(|| format!("{what} {}", format::time(micros)));
    let age = Duration::from_nanos(record.now.saturating_sub(record.started)).as_secs_f64();
    let waits = |what: &str, part: u64| {
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let share = part as f64 / record.busy_us.max(1) as f64;
        (is_account && share >= 0.01).then(|| format!("waits for {what} {}", format::percent(Some(share))))
    };
    let parts = [
        (is_account && record.started != 0).then(|| format!("open {}", format::span(age))),
        count("retr", record.segs_retrans),
        count("dropped here", record.locally_dropped),
        (kind != EventKind::Close)
            .then(|| count("cwnd", record.snd_cwnd))
            .flatten(),
        time("rtt", record.srtt_us),
        is_retransmission
            .then(|| time("rto", record.rto_ms.saturating_mul(1000)))
            .flatten(),
        bytes("out", record.data_octets_out),
        bytes("in", record.data_octets_in),
        waits("peer", record.receive_window_us),
        waits("buffer", record.send_buffer_us),
        is_retransmission
            .then(|| count("in flight", record.in_flight))
            .flatten(),
        count("dsacks", record.dsacks_in),
        count("mss", record.mss),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::trace::names::TraceNames;
    use tcpvitals_config::{Config, numbering::Numbering};

    const SECOND: u64 = 1_000_000_000;

    fn record() -> FlowRecord {
        FlowRecord {
            family: 4,
            local: [u32::from_ne_bytes([10, 214, 2, 1]), 0, 0, 0],
            remote: [u32::from_ne_bytes([10, 214, 2, 2]), 0, 0, 0],
            local_port: 50_378,
            remote_port: 443,
            now: 12 * SECOND + 412_000_000,
            started: 2 * SECOND,
            snd_cwnd: 14,
            srtt_us: 11_900,
            rto_ms: 216,
            segs_retrans: 1,
            locally_dropped: 156,
            data_octets_out: 4_200_000,
            busy_us: 1000,
            receive_window_us: 990,
            mss: 1448,
            ..FlowRecord::default()
        }
    }

    fn printed(kind: EventKind, values: &Values) -> String {
        let config = Config::built_in();
        let setting = Setting {
            names: TraceNames::new(&config, &Numbering::new(&config)),
            clock_base: 20 * 3600 * SECOND,
        };
        line(&Item::Event(kind, record()), &setting, values)
    }

    #[test]
    fn a_line_has_time_ends_and_what_is_not_zero_in_a_hundred_columns() {
        let line = printed(EventKind::Retrans, &Values::Usual);
        assert!(
            line.starts_with("20:00:12.412 RETRANS      10.214.2.1:50378 > 10.214.2.2:443  "),
            "{line}"
        );
        assert!(line.ends_with("  retr 1  dropped here 156\n"), "{line}");
        for kind in EventKind::ALL {
            let line = printed(kind, &Values::Usual);
            assert!(line.chars().count() <= WIDTH + 1 && !line.contains("dsacks"), "{line}");
        }
        let close = printed(EventKind::Close, &Values::Usual);
        assert!(
            close.contains("  open 10s  retr 1  ") && !close.contains("cwnd"),
            "{close}"
        );
    }

    #[test]
    fn all_values_that_are_not_zero_or_those_that_are_named() {
        let all = printed(EventKind::Close, &Values::All);
        assert!(
            all.contains(" locally_dropped=156") && !all.contains("dsacks_in"),
            "{all}"
        );
        assert!(all.contains(" limit=idle"), "{all}");
        let names = ["dsacks_in", "limit"].map(str::to_owned).to_vec();
        let named = printed(EventKind::Close, &Values::Named(names));
        assert!(
            named.ends_with(" dsacks_in=0 limit=idle\n") && !named.contains("mss"),
            "{named}"
        );
    }

    #[test]
    fn lost_events_are_a_line_too() {
        let config = Config::built_in();
        let setting = Setting {
            names: TraceNames::new(&config, &Numbering::new(&config)),
            clock_base: 0,
        };
        let lost = Item::Lost(LostEvents { now: SECOND, count: 7 });
        assert_eq!(
            line(&lost, &setting, &Values::Usual),
            "00:00:01.000 LOST         7 events found no room\n"
        );
    }
}
