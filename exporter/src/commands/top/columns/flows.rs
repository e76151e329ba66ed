//! Columns of flows.

use crate::commands::top::{
    format,
    rows::FlowRow,
    table::{Column, Tone},
};
use tcpvitals_config::TcpLabel;

type Of = Column<FlowRow>;

pub const COLUMNS: &[Column<FlowRow>] = &[
    Of::words(["FLOW", "remote"], [22, 96], 0, ends).keyed(remote),
    Of::words(["WORKLOAD", "workload"], [12, 40], 9, |row, width| {
        format::cut(&row.flow.workload().unwrap_or_default(), width)
    })
    .of_workloads(),
    Of::words(["SUBNET", "subnet"], [12, 32], 5, |row, width| {
        format::cut(row.flow.label(TcpLabel::Subnet), width)
    }),
    Of::words(["PROTO", "proto"], [8, 16], 8, |row, width| {
        format::cut(row.flow.label(TcpLabel::AppProtocol), width)
    }),
    Of::number(["RATE", "rate"], 5, 4, FlowRow::throughput, |row, _| {
        bytes(row.throughput())
    }),
    Of::number(["OUT/s", "out"], 6, 10, out, |row, _| bytes(out(row))),
    Of::number(["IN/s", "in"], 5, 11, into, |row, _| bytes(into(row))),
    Of::number(["RETR", "retransmits"], 5, 1, FlowRow::retransmit_ratio, |row, _| {
        format::percent(row.retransmit_ratio())
    })
    .toned(|row| Tone::of_share(row.retransmit_ratio())),
    Of::number(["OURS", "ours"], 5, 10, FlowRow::after_local_drop, |row, _| {
        format::percent(row.after_local_drop())
    }),
    Of::number(["HERE", "here"], 5, 2, FlowRow::dropped_here, |row, _| {
        format::percent(row.dropped_here())
    })
    .toned(|row| Tone::of_share(row.dropped_here())),
    Of::number(
        ["RTT", "rtt"],
        6,
        3,
        |row| Some(row.rtt().into()),
        |row, _| format::time(row.rtt()),
    ),
    Of::words(["WAIT", "wait"], [7, 13], 6, wait).toned(wait_tone),
    Of::number(
        ["CWND", "cwnd"],
        6,
        12,
        |row| Some(row.flow.record.snd_cwnd.into()),
        |row, _| format::short(row.flow.record.snd_cwnd.into()),
    ),
    Of::number(
        ["RTO", "rto"],
        6,
        13,
        |row| Some(row.flow.record.rto_ms.into()),
        |row, _| format::time(row.flow.record.rto_ms.saturating_mul(1000)),
    ),
    Of::words(["CAUSE", "cause"], [7, 7], 15, |row, _| row.cause().to_owned()),
    Of::number(["AGE", "age"], 5, 14, FlowRow::age, |row, _| {
        row.age().map_or_else(|| "-".to_owned(), format::span)
    }),
];

fn ends(row: &FlowRow, width: usize) -> String {
    let between = if row.other.is_some() { " <> " } else { " > " };
    format::ends(&row.flow, between, width)
}

fn remote(row: &FlowRow) -> String {
    row.flow.remote().map(|end| end.to_string()).unwrap_or_default()
}

fn out(row: &FlowRow) -> Option<f64> {
    Some(row.rates?.transmit)
}

fn into(row: &FlowRow) -> Option<f64> {
    Some(row.rates?.receive)
}

fn bytes(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), format::short)
}

/// What the sender waits for; of an open in progress, for how many SYNs and since when.
fn wait(row: &FlowRow, width: usize) -> String {
    match row.opening() {
        None => format::limit(row.limit()).to_owned(),
        Some((syns, seconds)) => {
            let whole = format!("SYN x{syns} {}", format::span(seconds));
            if whole.len() <= width {
                whole
            } else {
                format!("SYN x{syns}")
            }
        }
    }
}

fn wait_tone(row: &FlowRow) -> Tone {
    match (row.opening(), row.limit()) {
        (Some((2.., _)), _) => Tone::BAD,
        (None, "receive_window" | "send_buffer") => Tone::WARNING,
        _ => Tone::PLAIN,
    }
}
