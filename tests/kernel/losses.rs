//! Each kind of real loss: exactly as many packets and bytes as were lost, with class, direction, subnet, protocol and type of
//! connection, and nothing besides. What is expected comes from the kernel's own counters, from the packet filter's, or from the
//! error numbers of calls.
//!
//! [`table::LOSSES`] is the one table; a new loss is one entry there.

mod connects;
mod filters;
mod headers;
mod queues;
mod routes;
mod sockets;
mod table;

use anyhow::{Context as _, Result, ensure};
use table::LOSSES;
use tests::exporter::Exporter;
use tests::exporter::scrape::Scrape;
use tests::machine::turn;
use tests::net::subnet::Subnet;

use crate::suite::{Entry, Row, Stage, entry, far, run_table};

/// Something that loses packets or fails, and what is expected of it.
type Loss = fn(&Stage) -> Result<Told>;

/// An entry of the table.
const fn loss(name: &'static str, run: Loss) -> Entry<Loss> {
    entry(name, run)
}

/// Drops of one kind.
#[derive(Clone, Debug)]
struct Dropped {
    class: &'static str,
    protocol: &'static str,
    direction: &'static str,
    subnet: String,
    connection_type: &'static str,
    /// One of these, where kernels agree on them; none: any.
    reasons: &'static [&'static str],
    packets: u64,
    bytes: u64,
}

/// A sum of series of the entry's subnets.
#[derive(Clone, Debug)]
struct Sum {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

/// What is expected, all of it.
#[derive(Clone, Debug, Default)]
struct Told {
    drops: Vec<Dropped>,
    sums: Vec<Sum>,
}

impl Dropped {
    /// Packets of UDP over a veth; the other fields are set by `..`.
    fn received(stage: &Stage, class: &'static str, packets: u64, bytes: u64) -> Self {
        Self {
            class,
            protocol: "udp",
            direction: "receive",
            subnet: stage.subnet().name(),
            connection_type: "virtual",
            reasons: &[],
            packets,
            bytes,
        }
    }

    /// The same, dropped by the client on their way to the server.
    fn sent(stage: &Stage, class: &'static str, packets: u64, bytes: u64) -> Self {
        Self {
            direction: "transmit",
            subnet: far(stage.subnet()),
            ..Self::received(stage, class, packets, bytes)
        }
    }

    fn of(self, protocol: &'static str) -> Self {
        Self { protocol, ..self }
    }

    fn because(self, reasons: &'static [&'static str]) -> Self {
        Self { reasons, ..self }
    }

    fn labels(&self) -> [(&'static str, &str); 5] {
        [
            ("class", self.class),
            ("protocol", self.protocol),
            ("direction", self.direction),
            ("subnet", &self.subnet),
            ("connection_type", self.connection_type),
        ]
    }

    fn takes(&self, row: &Row) -> bool {
        self.labels().iter().all(|(label, value)| row.label(label) == *value)
            && (self.reasons.is_empty() || self.reasons.contains(&row.label("reason")))
    }
}

impl Told {
    fn drops(drops: impl Into<Vec<Dropped>>) -> Self {
        Self {
            drops: drops.into(),
            sums: Vec::new(),
        }
    }

    /// And a sum over the series of the entry that have these labels.
    fn and(mut self, name: &'static str, labels: &[(&'static str, &str)], value: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a few packets")]
        let value = value as f64;
        let labels = labels
            .iter()
            .map(|(label, value)| (*label, (*value).to_owned()))
            .collect();
        self.sums.push(Sum { name, labels, value });
        self
    }
}

fn judge(loss: &Loss, exporter: &Exporter<'_>, subnets: Vec<Subnet>) -> Result<()> {
    let stage = Stage::new(subnets).context("set up two namespaces")?;
    let (scrape, told) = stage.watch(exporter, loss).context("the loss itself failed")?;
    let is_ours = |row: &Row| stage.owns(row) || told.drops.iter().any(|expected| expected.takes(row));
    let (rows, others): (Vec<Row>, Vec<Row>) = stage.rows(&scrape).into_iter().partition(is_ours);
    let wrong = [
        faults_of_drops(&told.drops, &rows),
        faults_of_sums(&stage, &told.sums, &scrape),
    ]
    .concat();
    let lines: Vec<String> = rows.iter().chain(&others).map(Row::line).collect();
    ensure!(
        wrong.is_empty(),
        "{}\n    all rows:\n    {}",
        wrong.join("; "),
        lines.join("\n    ")
    );
    Ok(())
}

/// Each kind in full, and no other row, but what is harmless: the closing of a connection may free what it has used.
#[expect(clippy::cast_precision_loss, reason = "a few packets")]
fn faults_of_drops(drops: &[Dropped], rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    for expected in drops {
        let taken = rows.iter().filter(|row| expected.takes(row));
        let (packets, bytes) = taken.fold((0.0, 0.0), |(packets, bytes), row| {
            (packets + row.packets, bytes + row.bytes)
        });
        if (packets, bytes) != (expected.packets as f64, expected.bytes as f64) {
            wrong.push(format!(
                "{packets} packets and {bytes} bytes where {expected:?} is expected"
            ));
        }
    }
    let is_expected = |row: &&Row| row.label("class") == "benign" || drops.iter().any(|expected| expected.takes(row));
    wrong.extend(
        rows.iter()
            .filter(|row| !is_expected(row))
            .map(|row| format!("besides {}", row.line())),
    );
    wrong
}

fn faults_of_sums(stage: &Stage, sums: &[Sum], scrape: &Scrape) -> Vec<String> {
    let mut wrong = Vec::new();
    for Sum { name, labels, value } in sums {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
        let sum = stage.sum_of(scrape, name, &labels);
        if sum != *value {
            wrong.push(format!("{name}{labels:?} is {sum}, not {value}"));
        }
    }
    wrong
}

#[test]
fn every_loss_is_what_it_is() -> Result<()> {
    let _turn = turn::shared()?;
    run_table(LOSSES, judge)
}
