//! Lines of the log as Prometheus writes them: `time=… level=INFO msg="…" key=value`. It must never break a line: what is more than a
//! word stands in quotes. From the macros of `tracing`; to whoever reads the log by fields.

use std::fmt::{self, Debug};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes each event as a line of pairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        writer.write_str("time=")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, " level={}", event.metadata().level())?;
        pair(&mut writer, "msg", &pairs.message)?;
        for (name, value) in &pairs.others {
            pair(&mut writer, name, value)?;
        }
        writeln!(writer)
    }
}

#[derive(Default)]
struct Pairs {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.others.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// A key and its value, which stands in quotes unless it is one plain word.
fn pair(to: &mut impl fmt::Write, name: &str, value: &str) -> fmt::Result {
    let is_word = |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(is_word) {
        write!(to, " {name}={value}")
    } else {
        write!(to, " {name}={value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_word_is_quoted() {
        for (value, expected) in [
            ("word", " a=word"),
            ("[::1]:1", " a=[::1]:1"),
            ("", " a=\"\""),
            ("two words", " a=\"two words\""),
            ("a=b", " a=\"a=b\""),
            ("\"\n\u{1b}\u{202e}", " a=\"\\\"\\n\\u{1b}\\u{202e}\""),
        ] {
            let mut line = String::new();
            pair(&mut line, "a", value).unwrap();
            assert_eq!(line, expected);
        }
    }
}
