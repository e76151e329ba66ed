//! What the exporter should say of one life, by the kernel's own counters and by the generator's.

mod connections;
mod drops;

use anyhow::Result;
use tests::kernel::account::End;

use super::check::{Checked, Expected, fact};
use super::kernel::Kernel;
use super::sums::Sums;
use super::workloads::Made;

/// Everything that was counted elsewhere during a life.
#[derive(Debug)]
pub(crate) struct Accounts<'life> {
    pub(crate) before: &'life Kernel,
    pub(crate) after: &'life Kernel,
    pub(crate) made: &'life Made,
    /// Of the flows that stay open.
    pub(crate) live: &'life Live,
}

/// What became of the flows that stay open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) sums: Sums,
    /// How many of them were opened, closed, and are open at the end.
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) open: u64,
}

impl Accounts<'_> {
    pub(crate) fn expected(&self) -> Result<Vec<Expected>> {
        let mut all = connections::live(self)?;
        all.extend(connections::lossy(self)?);
        all.extend(connections::short(self)?);
        all.extend(connections::failing(self)?);
        all.extend(drops::all(self)?);
        Ok(all)
    }

    /// That the kernel and the generator say the same.
    pub(crate) fn facts(&self) -> Result<Vec<Checked>> {
        let Made {
            lossy,
            short,
            reset,
            failed,
            sent,
        } = self.made;
        let client = |cable, counter| self.grown(cable, End::Client, counter);
        let server = |cable, counter| self.grown(cable, End::Server, counter);
        let attempts = failed.refused + failed.timed_out + failed.unreachable;
        let mut facts = vec![
            fact(
                "datagrams that arrive nowhere",
                sent.nobody as f64,
                self.no_ports()?,
                "nstat",
            ),
            fact(
                "datagrams to the filter",
                (sent.filtered + sent.own) as f64,
                self.after.filtered(self.before, "soak-storm")?[0],
                "nft",
            ),
            fact(
                "datagrams to a narrow buffer",
                sent.narrow as f64,
                self.full_buffers()? + sent.received as f64,
                "nstat and the receiver",
            ),
            fact(
                "connections under loss",
                lossy.flows as f64,
                server("soak-lossy", "TcpPassiveOpens")?,
                "nstat",
            ),
            fact(
                "connections that do not come about",
                attempts as f64,
                client("soak-failing", "TcpActiveOpens")?,
                "nstat",
            ),
        ];
        for (cable, made) in [
            ("soak-live", self.live.opened),
            ("soak-short", *short),
            ("soak-reset", *reset),
        ] {
            facts.push(fact(
                cable,
                made as f64,
                client(cable, "TcpActiveOpens")?,
                "nstat, TcpActiveOpens",
            ));
            facts.push(fact(
                cable,
                made as f64,
                server(cable, "TcpPassiveOpens")?,
                "nstat, TcpPassiveOpens",
            ));
        }
        Ok(facts)
    }

    fn grown(&self, cable: &str, end: End, counter: &str) -> Result<f64> {
        self.after.grown(self.before, cable, end, counter)
    }

    fn no_ports(&self) -> Result<f64> {
        self.storm(["UdpNoPorts", "Udp6NoPorts"])
    }

    fn full_buffers(&self) -> Result<f64> {
        self.storm(["UdpRcvbufErrors", "Udp6RcvbufErrors"])
    }

    fn storm(&self, counters: [&str; 2]) -> Result<f64> {
        let [four, six] = counters.map(|counter| self.grown("soak-storm", End::Server, counter));
        Ok(four? + six?)
    }

    /// Segments sent again but those of handshakes.
    fn repeated(&self, cable: &str, end: End) -> Result<f64> {
        Ok(self.grown(cable, end, "TcpRetransSegs")? - self.grown(cable, end, "TcpExtTCPSynRetrans")?)
    }
}

/// What is counted for the connections of a cable.
fn of_cable(
    cable: &'static str,
    metric: &str,
    labels: &[(&'static str, &'static str)],
    value: f64,
    source: &str,
) -> Expected {
    Expected {
        metric: metric.to_owned(),
        labels: [("app_protocol", cable)]
            .into_iter()
            .chain(labels.iter().copied())
            .collect(),
        cable,
        value,
        source: source.to_owned(),
        hooks: Vec::new(),
    }
}

/// The rows of `TCP_INFO`. Who does not see the beginning or the end of a connection may miss all that it did.
fn of_sockets(cable: &'static str, sums: &Sums, packet: f64) -> Vec<Expected> {
    let mut all = Vec::new();
    for end in End::BOTH {
        for (row, sum, most) in sums.end(end).rows() {
            let mut expected = of_cable(cable, row.metric, &[("role", end.role())], sum, "TCP_INFO");
            expected.labels.extend_from_slice(row.labels);
            expected.hooks.push(("inet_sock_set_state", most));
            if row.metric.contains("retransmitted") {
                expected.hooks.push(("tcp_retransmit_skb", packet));
            }
            all.push(expected);
        }
    }
    all
}
