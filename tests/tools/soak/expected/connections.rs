//! Connections: how many, how they ended, and what the kernel counted for them.

use anyhow::Result;
use tests::kernel::account::End;

use super::{Accounts, of_cable, of_sockets};
use crate::check::Expected;
use crate::sums::Sums;

const OPENED: &str = "tcpvitals_tcp_connections_opened_total";
const CLOSED: &str = "tcpvitals_tcp_connections_closed_total";
const OPEN: &str = "tcpvitals_tcp_connections";
const FAILED: &str = "tcpvitals_tcp_connections_failed_total";
const REPEATED: &str = "tcpvitals_tcp_retransmitted_segments_total";
const HANDSHAKES: &str = "tcpvitals_tcp_handshake_retransmits_total";
const RESETS: &str = "tcpvitals_tcp_resets_total";
const EVENTS: &str = "tcpvitals_tcp_congestion_events_total";
const LASTED: &str = "tcpvitals_tcp_connection_duration_seconds_count";
const SEGMENTS: &str = "tcpvitals_tcp_segments_total";

const STATE: &str = "inet_sock_set_state";
const AGAIN: &str = "tcp_retransmit_skb";

/// No short connection has as many segments, sent for the first time or again.
const FEW: f64 = 16.0;

/// Longest packet of a cable on which a packet is a segment, and of one on which it may be many.
const SEGMENT: f64 = 1500.0;
const PACKET: f64 = 65_536.0;

/// Connections of both ends that came and went.
fn lives(cable: &'static str, opened: u64, closed: u64, open: u64) -> Vec<Expected> {
    let mut all = Vec::new();
    for end in End::BOTH {
        for (metric, number) in [(OPENED, opened), (CLOSED, closed), (OPEN, open)] {
            let mut expected = of_cable(cable, metric, &[("role", end.role())], number as f64, "generator");
            expected.hooks.push((STATE, 1.0));
            all.push(expected);
        }
    }
    all
}

/// Segments sent again, by end, and those of handshakes. No connection has more of them than `most`.
fn repeated(accounts: &Accounts<'_>, cable: &'static str, most: f64) -> Result<Vec<Expected>> {
    let mut all = Vec::new();
    for end in End::BOTH {
        let number = accounts.repeated(cable, end)?;
        let mut expected = of_cable(
            cable,
            REPEATED,
            &[("role", end.role())],
            number,
            "nstat, TcpRetransSegs - TcpExtTCPSynRetrans",
        );
        expected.hooks = vec![(AGAIN, FEW), (STATE, most)];
        all.push(expected);
    }
    for (end, segment, hook) in [
        (End::Client, "syn", AGAIN),
        (End::Server, "synack", "tcp_retransmit_synack"),
    ] {
        let number = accounts.grown(cable, end, "TcpExtTCPSynRetrans")?;
        let mut expected = of_cable(
            cable,
            HANDSHAKES,
            &[("segment", segment)],
            number,
            "nstat, TcpExtTCPSynRetrans",
        );
        expected.hooks.push((hook, 1.0));
        all.push(expected);
    }
    Ok(all)
}

fn most_repeated(sums: &Sums) -> f64 {
    let most = End::BOTH.map(|end| sums.end(end).most_repeated);
    most.into_iter().max().unwrap_or(0) as f64
}

/// Resets of both ends; the exporter counts a reset at the end that sends or receives it.
fn resets(accounts: &Accounts<'_>, cable: &'static str, received: u64) -> Result<Vec<Expected>> {
    let sent = accounts.grown(cable, End::Client, "TcpOutRsts")? + accounts.grown(cable, End::Server, "TcpOutRsts")?;
    let mut sent = of_cable(cable, RESETS, &[("direction", "transmit")], sent, "nstat, TcpOutRsts");
    sent.hooks.push(("tcp_send_reset", 1.0));
    let mut received = of_cable(cable, RESETS, &[("direction", "receive")], received as f64, "generator");
    received.hooks.push(("tcp_receive_reset", 1.0));
    Ok(vec![sent, received])
}

pub(super) fn live(accounts: &Accounts<'_>) -> Result<Vec<Expected>> {
    const CABLE: &str = "soak-live";
    let live = accounts.live;
    let mut all = lives(CABLE, live.opened, live.closed, live.open);
    all.extend(of_sockets(CABLE, &live.sums, PACKET));
    all.extend(repeated(accounts, CABLE, most_repeated(&live.sums))?);
    Ok(all)
}

pub(super) fn lossy(accounts: &Accounts<'_>) -> Result<Vec<Expected>> {
    const CABLE: &str = "soak-lossy";
    let sums = &accounts.made.lossy;
    let mut all = lives(CABLE, sums.flows, sums.flows, 0);
    all.extend(of_sockets(CABLE, sums, SEGMENT));
    all.extend(repeated(accounts, CABLE, most_repeated(sums))?);
    for end in End::BOTH {
        let number = accounts.grown(CABLE, end, "TcpExtTCPSackRecovery")?;
        let labels = [("role", end.role()), ("state", "recovery")];
        let mut expected = of_cable(CABLE, EVENTS, &labels, number, "nstat, TcpExtTCPSackRecovery");
        // A client whose opening was not seen is not seen at all; each recovery sends something again.
        expected.hooks = vec![("tcp_cong_state_set", 1.0), (STATE, most_repeated(sums))];
        all.push(expected);
    }
    Ok(all)
}

pub(super) fn short(accounts: &Accounts<'_>) -> Result<Vec<Expected>> {
    let made = accounts.made;
    let mut all = Vec::new();
    for (cable, number) in [("soak-short", made.short), ("soak-reset", made.reset)] {
        all.extend(lives(cable, number, number, 0));
        let mut lasted = of_cable(cable, LASTED, &[], 2.0 * number as f64, "generator");
        lasted.hooks.push((STATE, 1.0));
        all.push(lasted);
        all.extend(repeated(accounts, cable, FEW)?);
    }
    all.extend(resets(accounts, "soak-reset", made.reset)?);

    // Where the server's FIN overtakes its acknowledgment, a TIME-WAIT socket answers, and maybe the server with a reset. What
    // was sent before there was a connection is not counted for it: SYN-ACKs.
    let (client, server) = (End::Client, End::Server);
    let cable = "soak-short";
    let resets = accounts.grown(cable, server, "TcpOutRsts")?;
    let received = accounts.grown(cable, client, "TcpOutSegs")? - resets;
    let answers = made.short as f64 + accounts.grown(cable, server, "TcpExtTCPSynRetrans")?;
    let sent = accounts.grown(cable, server, "TcpOutSegs")? - resets - answers;
    for (direction, number) in [("receive", received), ("transmit", sent)] {
        let labels = [("role", server.role()), ("direction", direction)];
        let mut expected = of_cable(cable, SEGMENTS, &labels, number, "nstat, TcpOutSegs");
        expected.hooks.push((STATE, FEW));
        all.push(expected);
    }
    Ok(all)
}

pub(super) fn failing(accounts: &Accounts<'_>) -> Result<Vec<Expected>> {
    const CABLE: &str = "soak-failing";
    let failed = accounts.made.failed;
    let mut all = Vec::new();
    for (reason, number) in [
        ("refused", failed.refused),
        ("timed_out", failed.timed_out),
        ("host_unreachable", failed.unreachable),
        ("reset", 0),
        ("other", 0),
    ] {
        let labels = [("role", End::Client.role()), ("reason", reason)];
        let mut expected = of_cable(CABLE, FAILED, &labels, number as f64, "generator");
        expected.hooks.push((STATE, 1.0));
        all.push(expected);
    }
    all.extend(lives(CABLE, 0, 0, 0));
    all.extend(repeated(accounts, CABLE, FEW)?);
    all.extend(resets(accounts, CABLE, failed.refused)?);
    Ok(all)
}
