//! Numbers and names as short as a column of a terminal has them.

use std::{net::SocketAddr, time::Duration};
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

/// A time in whole microseconds, as [`micros`] has it.
pub fn time(micros: u32) -> String {
    self::micros(micros.into())
}

/// A time in microseconds: `250us`, `1.5ms`, `2.0s`; `-` for none.
pub fn micros(micros: f64) -> String {
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

/// A rate in three digits that matter, without a unit.
pub fn rate(rate: f64) -> String {
    if rate < 99.95 && rate != 0.0 {
        format!("{rate:.1}")
    } else {
        short(rate)
    }
}

/// How long something lasts or has lasted: `6.1s`, `12m`, `3.5h`, `20d`.
pub fn span(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3600.0, "h"), (60.0, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= unit * 1.995);
    let (unit, suffix) = unit.unwrap_or((1.0, "s"));
    let scaled = seconds / unit;
    let digits = usize::from(scaled < 9.95);
    format!("{scaled:.digits$}{suffix}")
}

/// A time of day in UTC, from the time since 1970.
pub fn clock(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What a sender waits for, by the kernel's word for it.
pub fn limit(name: &str) -> &str {
    match name {
        "receive_window" => "peer",
        "send_buffer" => "buffer",
        other => other,
    }
}

/// A text in a width; what is cut off shows as `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain((width > 0).then_some('…')).collect()
}

/// Samples as bars, in so many cells, the newest at the right. Each is its age, 0 for now and 1 for the oldest that is shown, and
/// its number; a cell shows the largest of its samples, and nothing where there is none.
pub fn spark(samples: &[(f64, f64)], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut cells: Vec<Option<f64>> = vec![None; width];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place among few cells, from an age that is not negative"
    )]
    for (age, number) in samples {
        let place = (age * width as f64) as usize;
        if let Some(cell) = cells.iter_mut().rev().nth(place) {
            *cell = Some(cell.map_or(*number, |known| known.max(*number)));
        }
    }
    let most = cells.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |cell: Option<f64>| {
        let Some(number) = cell else { return ' ' };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let height = if most > 0.0 {
            (number / most * 7.0).round() as usize
        } else {
            0
        };
        BARS.get(height).copied().unwrap_or(BARS[7])
    };
    cells.into_iter().map(bar).collect()
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

/// Both ends in a width: whole if they fit, else this end by its port only, else the other end's address and port, of which the end
/// is kept. `between` stands between them.
pub fn ends(flow: &LiveFlow, between: &str, width: usize) -> String {
    let text = |end: Option<SocketAddr>| end.map_or_else(|| "-".to_owned(), |end| end.to_string());
    let (local, remote) = (text(flow.local()), text(flow.remote()));
    let by_port = format!(":{}{}{remote}", flow.record.local_port, between.trim());
    let all = [format!("{local}{between}{remote}"), by_port, remote];
    if let Some(fitting) = all.iter().find(|text| text.chars().count() <= width) {
        return fitting.clone();
    }
    let [.., remote] = all;
    let left_out = remote.chars().count() + 1 - width.min(remote.chars().count());
    ['…']
        .into_iter()
        .chain(remote.chars().skip(left_out))
        .take(width)
        .collect()
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
            ["idle", "network", "peer", "buffer"]
        );
        let spans = [0.0, 6.14, 90.0, 130.0, 7300.0, 2e6].map(span);
        assert_eq!(spans, ["0.0s", "6.1s", "90s", "2.2m", "2.0h", "23d"]);
        assert_eq!(
            [0.0, 0.5, 99.94, 100.2, 4321.0].map(rate),
            ["0", "0.5", "99.9", "100", "4.3k"]
        );
        assert_eq!(clock(Duration::from_secs(86_400 + 3 * 3600 + 62)), "03:01:02");
    }

    #[test]
    fn ends_fit_their_column() {
        let flow = flow(1, [192, 0, 2, 9], 443, "office");
        let ends = |width| ends(&flow, " > ", width);
        assert_eq!(ends(40), "10.0.0.1:40000 > 192.0.2.9:443");
        assert_eq!(ends(25), ":40000>192.0.2.9:443");
        assert_eq!(ends(15), "192.0.2.9:443");
        assert_eq!(ends(8), "…2.9:443");
        assert_eq!(cut("postgresql", 8), "postgre…");
        assert_eq!((cut("ab", 2), cut("ab", 0)), ("ab".to_owned(), String::new()));
    }

    #[test]
    fn bars_are_as_high_as_the_largest_sample_of_their_time() {
        let samples = [(0.99, 1.0), (0.6, 2.0), (0.55, 7.0), (0.1, 0.0)];
        assert_eq!(spark(&samples, 4), "▂█ ▁");
        assert_eq!(spark(&[(0.1, 0.0)], 2), " ▁");
        assert_eq!(spark(&[], 2), "  ");
    }
}
