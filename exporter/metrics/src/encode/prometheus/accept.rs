//! Content negotiation (RFC 9110, section 12.5.1): which format Accept headers ask for.
//!
//! A range that cannot be read, or has a quality that is none, is as if it were not there: others may still say something.

use super::format::Format;
use mediatype::{MediaType, MediaTypeList, ReadParams as _, names::Q};
use std::cmp::Reverse;

impl Format {
    /// The format that Accept headers ask for, else text.
    pub fn accepted(headers: &[&str]) -> Self {
        negotiate(headers).unwrap_or(Self::Text)
    }
}

/// The format of the highest quality; of equals one that is named before one that a wildcard covers, then the one that stands
/// first in the header, then our own order. `None` if nothing acceptable is known.
fn negotiate(headers: &[&str]) -> Option<Format> {
    let ranges: Vec<Range<'_>> = headers
        .iter()
        .flat_map(|header| MediaTypeList::new(header))
        .filter_map(|range| Range::new(range.ok()?))
        .collect();
    let offers = Format::ALL.iter().enumerate().filter_map(|(order, format)| {
        let (position, precision, range) = most_specific(&ranges, *format)?;
        let named = precision >= NAMED;
        let rank = (range.quality, named, Reverse(position), Reverse(order));
        (range.quality > 0).then_some((rank, *format))
    });
    offers.max_by_key(|(rank, _)| *rank).map(|(_, format)| format)
}

/// The range that decides about a format: the most precise one, and of several the first.
fn most_specific<'a, 'h>(ranges: &'a [Range<'h>], format: Format) -> Option<(usize, usize, &'a Range<'h>)> {
    let matching = ranges
        .iter()
        .enumerate()
        .filter_map(|(position, range)| Some((position, range.precision(format)?, range)));
    matching.max_by_key(|(position, precision, _)| (*precision, Reverse(*position)))
}

/// A range is at least so precise if it names the format.
const NAMED: usize = 2;

/// A media range and its quality.
#[derive(Debug)]
struct Range<'a> {
    media: MediaType<'a>,
    /// In thousandths, which is as fine as qualities are.
    quality: u16,
}

impl<'a> Range<'a> {
    fn new(media: MediaType<'a>) -> Option<Self> {
        let quality = match media.get_param(Q) {
            Some(quality) => thousandths(&quality.unquoted_str())?,
            None => 1000,
        };
        Some(Self { media, quality })
    }

    /// How precisely it describes a format; `None` if it does not.
    fn precision(&self, format: Format) -> Option<usize> {
        let Known {
            kind,
            name,
            parameters,
            all,
        } = Known::of(format);
        let MediaType { ty, subty, suffix, .. } = &self.media;
        if *subty == *"*" {
            return match ty {
                ty if *ty == *"*" => Some(0),
                ty if *ty == *kind => Some(1),
                _ => None,
            };
        }
        if *ty != *kind || *subty != *name || suffix.is_some() {
            return None;
        }
        let mut precision = NAMED;
        for (name, value) in parameters {
            let own = self.media.params().find(|(own, _)| *own == **name);
            match own {
                Some((_, own)) if own.unquoted_str().eq_ignore_ascii_case(value) => precision += 1,
                Some(_) => return None,
                None if all => return None,
                None => {}
            }
        }
        Some(precision)
    }
}

/// A quality between 0 and 1. Decimals beyond the third are none, but no reason not to hear the rest.
fn thousandths(quality: &str) -> Option<u16> {
    let (whole, decimals) = quality.split_once('.').unwrap_or((quality, ""));
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimals = format!("{decimals:0<3}").get(..3)?.parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

/// How a request names a format.
#[derive(Debug)]
struct Known {
    kind: &'static str,
    name: &'static str,
    /// Those that tell formats of one name apart. All others, such as `escaping` and `charset`, do not matter: our names and those
    /// of our labels are the same under each, and text is UTF-8.
    parameters: &'static [(&'static str, &'static str)],
    /// Whether none may be left out.
    all: bool,
}

impl Known {
    const fn of(format: Format) -> Self {
        match format {
            Format::Text => Self {
                kind: "text",
                name: "plain",
                parameters: &[("version", "0.0.4")],
                all: false,
            },
            Format::OpenMetrics => Self {
                kind: "application",
                name: "openmetrics-text",
                parameters: &[("version", "1.0.0")],
                all: false,
            },
            Format::Protobuf => Self {
                kind: "application",
                name: "vnd.google.protobuf",
                parameters: &[
                    ("proto", "io.prometheus.client.MetricFamily"),
                    ("encoding", "delimited"),
                ],
                all: true,
            },
        }
    }
}

#[cfg(test)]
mod tests;
