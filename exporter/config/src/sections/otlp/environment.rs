//! What `OTEL_*` variables say, by the rules of OpenTelemetry: those for metrics win over those for all signals, an empty
//! one counts as unset, and a value that cannot be understood is ignored with a warning. None of them is an error.
//! It must never read the environment itself, nor repeat the value of a variable that may be secret.

use super::endpoint::{Endpoint, Target};
use super::headers::Headers;
use crate::kinds::{
    ranges,
    sets::{Compression, HistogramForm, Protocol, Temporality},
    units::{DURATION, MILLISECOND},
};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_COMPRESSION, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_INSECURE, OTEL_EXPORTER_OTLP_METRICS_COMPRESSION, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
    OTEL_EXPORTER_OTLP_METRICS_HEADERS, OTEL_EXPORTER_OTLP_METRICS_INSECURE, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL,
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, OTEL_EXPORTER_OTLP_METRICS_TIMEOUT, OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TIMEOUT,
};
use percent_encoding::percent_decode_str;
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

// Those for which opentelemetry-otlp has no constant.
const CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
const CLIENT_CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
];
const CLIENT_KEY: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const HISTOGRAMS: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const OTLP: &str = "otlp";
const EXPORTERS: [&str; 3] = [OTLP, "prometheus", "none"];
const ENDPOINT: [&str; 2] = [OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];

/// The variables, and what there was to warn of.
pub(super) struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            variable,
            warnings: Vec::new(),
        }
    }

    pub(super) fn warnings(self) -> Vec<String> {
        self.warnings
    }

    pub(super) fn protocol(&mut self) -> Option<Protocol> {
        let names = [OTEL_EXPORTER_OTLP_METRICS_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL];
        self.word(&names, &Protocol::ALL, Protocol::as_str)
    }

    pub(super) fn compression(&mut self) -> Option<Compression> {
        let names = [OTEL_EXPORTER_OTLP_METRICS_COMPRESSION, OTEL_EXPORTER_OTLP_COMPRESSION];
        self.word(&names, &Compression::ALL, Compression::as_str)
    }

    /// `lowmemory` asks for whatever needs the least memory. Here both need the same, so it is the default.
    pub(super) fn temporality(&mut self) -> Option<Temporality> {
        const LOW_MEMORY: &str = "lowmemory";
        let names = [OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE];
        match self.first(&names) {
            Some((_, text)) if text.eq_ignore_ascii_case(LOW_MEMORY) => Some(Temporality::Cumulative),
            _ => self.word(&names, &Temporality::ALL, Temporality::as_str),
        }
    }

    /// The variable has words of its own.
    pub(super) fn histograms(&mut self) -> Option<HistogramForm> {
        let word = |form| match form {
            HistogramForm::Exponential => "base2_exponential_bucket_histogram",
            HistogramForm::Explicit => "explicit_bucket_histogram",
        };
        self.word(&[HISTOGRAMS], &HistogramForm::ALL, word)
    }

    /// Whether a variable switches the push off; then there is a warning that says so.
    pub(super) fn is_off(&mut self) -> bool {
        if let Some((name, text)) = self.first(&[SDK_DISABLED]) {
            if text.eq_ignore_ascii_case("true") {
                self.warn(name, "true, so nothing is pushed over OTLP");
                return true;
            }
            if !text.eq_ignore_ascii_case("false") {
                self.warn(name, &format!("{text:?} is ignored; use one of true, false"));
            }
        }
        let Some((name, text)) = self.first(&[EXPORTER]) else {
            return false;
        };
        let mut others = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let known = EXPORTERS.into_iter().find(|known| known.eq_ignore_ascii_case(word));
            match known {
                Some(OTLP) => return false,
                Some(other) => others.push(other),
                None => {
                    let what = format!("{word:?} is ignored; use one of {}", EXPORTERS.join(", "));
                    self.warn(name, &what);
                }
            }
        }
        if !others.is_empty() {
            self.warn(name, &format!("{}, so nothing is pushed over OTLP", others.join(",")));
        }
        !others.is_empty()
    }

    /// Whether there is an endpoint, a right or a wrong one.
    pub(super) fn has_endpoint(&self) -> bool {
        self.first(&ENDPOINT).is_some()
    }

    /// None, and a warning, for an endpoint that cannot be one.
    pub(super) fn target(&mut self, protocol: Protocol) -> Option<Target> {
        let (name, text) = self.first(&ENDPOINT)?;
        // gRPC may leave out the scheme; a variable of its own then says whether TLS is used.
        let text = if protocol == Protocol::Grpc && !text.contains("://") {
            let scheme = if self.is_insecure() { "http" } else { "https" };
            format!("{scheme}://{text}")
        } else {
            text
        };
        let target = Endpoint::parse(&text, protocol).and_then(|endpoint| match name {
            OTEL_EXPORTER_OTLP_ENDPOINT => endpoint.target_below(protocol),
            _ => endpoint.target(protocol),
        });
        target
            .map_err(|what| self.warn(name, &format!("{what}; until then nothing is pushed")))
            .ok()
    }

    pub(super) fn interval(&mut self) -> Option<Duration> {
        self.milliseconds(&[INTERVAL], ranges::INTERVAL)
    }

    pub(super) fn timeout(&mut self) -> Option<Duration> {
        self.milliseconds(
            &[OTEL_EXPORTER_OTLP_METRICS_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT],
            ranges::TIMEOUT,
        )
    }

    /// `name=value,name=value`, the values percent-encoded.
    pub(super) fn headers(&mut self) -> Headers {
        let mut headers = Headers::default();
        let names = [OTEL_EXPORTER_OTLP_METRICS_HEADERS, OTEL_EXPORTER_OTLP_HEADERS];
        let Some((variable, list)) = self.first(&names) else {
            return headers;
        };
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let Some((name, value)) = entry.split_once('=') else {
                self.warn(variable, "an entry without = is ignored");
                continue;
            };
            let (name, value) = (name.trim(), percent_decode_str(value.trim()).decode_utf8_lossy());
            if let Err(what) = headers.add(name, &value) {
                self.warn(variable, &format!("ignored: the header {name:?} {what}"));
            }
        }
        headers
    }

    pub(super) fn ca_file(&self) -> Option<PathBuf> {
        self.path(&CERTIFICATE).map(|(_, path)| path)
    }

    pub(super) fn client(&mut self) -> Option<(PathBuf, PathBuf)> {
        match (self.path(&CLIENT_CERTIFICATE), self.path(&CLIENT_KEY)) {
            (Some((_, certificate)), Some((_, key))) => Some((certificate, key)),
            (Some((name, _)), None) | (None, Some((name, _))) => {
                self.warn(name, "ignored: a certificate and its key go together");
                None
            }
            (None, None) => None,
        }
    }

    fn is_insecure(&self) -> bool {
        let names = [OTEL_EXPORTER_OTLP_METRICS_INSECURE, OTEL_EXPORTER_OTLP_INSECURE];
        self.first(&names)
            .is_some_and(|(_, text)| text.eq_ignore_ascii_case("true"))
    }

    fn path(&self, names: &[&'static str]) -> Option<(&'static str, PathBuf)> {
        self.first(names).map(|(name, text)| (name, PathBuf::from(text)))
    }

    fn word<T: Copy>(&mut self, names: &[&'static str], all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let (name, text) = self.first(names)?;
        let found = all
            .iter()
            .copied()
            .find(|value| word(*value).eq_ignore_ascii_case(&text));
        if found.is_none() {
            let words: Vec<&str> = all.iter().copied().map(word).collect();
            self.warn(name, &format!("{text:?} is ignored; use one of {}", words.join(", ")));
        }
        found
    }

    /// The same range as in the file.
    fn milliseconds(&mut self, names: &[&'static str], allowed: RangeInclusive<u64>) -> Option<Duration> {
        let (name, text) = self.first(names)?;
        match text.parse::<u64>() {
            Ok(milliseconds) if allowed.contains(&milliseconds.saturating_mul(MILLISECOND)) => {
                Some(Duration::from_millis(milliseconds))
            }
            Ok(_) => {
                let [least, most] = [*allowed.start(), *allowed.end()].map(|bound| DURATION.format(bound));
                let what = format!("{text:?} is ignored; allowed are {least} to {most}, in milliseconds");
                self.warn(name, &what);
                None
            }
            Err(_not_digits) => {
                self.warn(name, &format!("{text:?} is ignored; write milliseconds, digits only"));
                None
            }
        }
    }

    /// The first that is set and not empty.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        let set = |name: &&'static str| {
            let text = (self.variable)(name)?.trim().to_owned();
            Some((*name, text)).filter(|(_, text)| !text.is_empty())
        };
        names.iter().find_map(set)
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.warnings.push(format!("{name}: {what}"));
    }
}
