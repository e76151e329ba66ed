//! Numbers and names as short as a column of a terminal has them.

use std::net::SocketAddr;
use tcpvitals_metrics::{rows::flows::LiveFlow, workloads::Instance};

/// A number with a unit of a thousand: `950`, `1.2k`, `34M`.
pub fn short(number: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    // What rounds up to a thousand is one of the next unit.
    let Some((unit, suffix)) = units.into_iter().find(|(unit, _)| number >= unit * 0.9995) else {
        return format!("{number:.0}");
    };
    let scaled = number / unit;
    let digits = usize::from(scaled < 9.95);
    format!("{scaled:.digits$}{suffix}")
}

/// A time in microseconds: `250us`, `1.5ms`, `2.0s`; `-` for none.
pub fn time(micros: u32) -> String {
    let micros = f64::from(micros);
    if micros < 0.5 {
        "-".to_owned()
    } else if micros < 999.5 {
        format!("{micros:.0}us")
    } else if micros < 99_950.0 {
        format!("{:.1}ms", micros / 1e3)
    } else if micros < 999_500.0 {
        format!("{:.0}ms", micros / 1e3)
    } else {
        format!("{:.1}s", micros / 1e6)
    }
}

/// A share: `0%`, `1.2%`, `25%`; `-` for none.
pub fn percent(ratio: Option<f64>) -> String {
    match ratio.map(|ratio| ratio * 100.0) {
        None => "-".to_owned(),
        Some(0.0) => "0%".to_owned(),
        Some(percent) if percent < 9.95 => format!("{percent:.1}%"),
        Some(percent) => format!("{percent:.0}%"),
    }
}

/// A limit in four letters: what the sender waits for.
pub fn limit(name: &str) -> &str {
    match name {
        "network" => "net",
        "receive_window" => "rwnd",
        "send_buffer" => "sbuf",
        other => other,
    }
}

/// Pod and container, as far as they are known, each after two spaces. Of the container's id as much as its engine shows.
pub fn instance(Instance { pod, container_id }: &Instance) -> String {
    const SHOWN: usize = 12;
    let part = |what: &str, name: &str| (!name.is_empty()).then(|| format!("  {what} {name}"));
    let container: String = container_id.chars().take(SHOWN).collect();
    [part("pod", pod), part("container", &container)]
        .into_iter()
        .flatten()
        .collect()
}

/// Both ends in a width: whole if they fit, else this end by its port only, else the other end's beginning.
pub fn ends(flow: &LiveFlow, width: usize) -> String {
    let text = |end: Option<SocketAddr>| end.map_or_else(|| "-".to_owned(), |end| end.to_string());
    let (local, remote) = (text(flow.local()), text(flow.remote()));
    let whole = format!("{local} > {remote}");
    if whole.len() <= width {
        return whole;
    }
    let by_port = format!(":{}>{remote}", flow.record.local_port);
    let shorter = if by_port.len() <= width { by_port } else { remote };
    shorter.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpvitals_metrics::rows::samples::flow;

    #[test]
    fn numbers_have_at_most_three_digits() {
        for (number, expected) in [
            (0.0, "0"),
            (999.4, "999"),
            (999.9, "1.0k"),
            (1234.0, "1.2k"),
            (12_345.0, "12k"),
            (999_700.0, "1.0M"),
            (4.2e9, "4.2G"),
            (7e12, "7.0T"),
        ] {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn times_and_shares_are_short() {
        for (micros, expected) in [
            (0, "-"),
            (250, "250us"),
            (1_500, "1.5ms"),
            (99_949, "99.9ms"),
            (150_000, "150ms"),
            (2_000_000, "2.0s"),
        ] {
            assert_eq!(time(micros), expected);
        }
        for (ratio, expected) in [
            (None, "-"),
            (Some(0.0), "0%"),
            (Some(0.012), "1.2%"),
            (Some(0.25), "25%"),
        ] {
            assert_eq!(percent(ratio), expected);
        }
        assert_eq!(
            ["idle", "network", "receive_window", "send_buffer"].map(limit),
            ["idle", "net", "rwnd", "sbuf"]
        );
    }

    #[test]
    fn ends_fit_their_column() {
        let flow = flow(1, [192, 0, 2, 9], 443, "office");
        assert_eq!(ends(&flow, 40), "10.0.0.1:40000 > 192.0.2.9:443");
        assert_eq!(ends(&flow, 25), ":40000>192.0.2.9:443");
        assert_eq!(ends(&flow, 15), "192.0.2.9:443");
        assert_eq!(ends(&flow, 5), "192.0");
    }
}
