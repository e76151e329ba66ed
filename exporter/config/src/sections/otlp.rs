//! Where and how metrics are pushed over OTLP: the file's section, and the settings that it and `OTEL_*` variables make.
//! It must never open a file, read the environment itself, or show the value of a header.
//! From `otlp` of the file and a look-up of variables; to the pusher.

mod endpoint;
mod environment;
mod headers;
pub(crate) mod resource;

pub use endpoint::Target;
pub use headers::Headers;

use super::views::view_name;
use crate::{
    file::{self, ConfigError, Problem},
    kinds::{
        ranges,
        sets::{Compression, HistogramForm, Names, Protocol, Temporality},
        units::DURATION,
    },
    raw::{RawOtlp, RawTls},
};
use endpoint::Endpoint;
use environment::Environment;
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

const INTERVAL: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The section of the file: what it does not say is up to the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Otlp {
    /// Nothing is pushed, whatever else is said.
    is_off: bool,
    endpoint: Option<Endpoint>,
    protocol: Option<Protocol>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    compression: Option<Compression>,
    headers: Option<Headers>,
    temporality: Option<Temporality>,
    names: Option<Names>,
    histograms: Option<HistogramForm>,
    view: Option<String>,
    tls: Tls,
}

/// All that a push needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    pub target: Target,
    pub protocol: Protocol,
    /// Time between two pushes, on average.
    pub interval: Duration,
    /// Longest time for one request.
    pub timeout: Duration,
    /// How requests are compressed.
    pub compression: Compression,
    /// Sent with every request.
    pub headers: Headers,
    /// What counters and histograms mean.
    pub temporality: Temporality,
    /// What metrics and labels are called.
    pub names: Names,
    /// What histograms are.
    pub histograms: HistogramForm,
    /// Files with keys and certificates.
    pub tls: Tls,
    /// Whether variables chose the endpoint or one of these files: then a fault in them must not end the exporter.
    pub is_by_environment: bool,
}

/// Files for TLS, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates that the receiver's must lead to; without them those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate of the exporter and its key, for receivers that ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Otlp {
    pub(crate) fn parse(raw: &RawOtlp) -> Result<Self, Problem> {
        let RawOtlp {
            enabled,
            endpoint,
            protocol,
            interval,
            timeout,
            compression,
            headers,
            temporality,
            names,
            histograms,
            view,
            tls,
        } = raw;
        let duration = |key, text: &Option<String>, allowed: RangeInclusive<u64>| {
            let read = text.as_deref().map(|text| DURATION.read(key, text, allowed));
            Ok(read.transpose()?.map(Duration::from_nanos))
        };
        let protocol = word(
            "otlp.protocol",
            protocol,
            "a protocol",
            &Protocol::ALL,
            Protocol::as_str,
        )?;
        let url = |text| {
            let endpoint = Endpoint::parse(text, protocol.unwrap_or(Protocol::Grpc));
            endpoint.map_err(|what| Problem::new("otlp.endpoint", what))
        };
        let otlp = Self {
            is_off: *enabled == Some(false),
            endpoint: endpoint.as_deref().map(url).transpose()?,
            protocol,
            interval: duration("otlp.interval", interval, ranges::INTERVAL)?,
            timeout: duration("otlp.timeout", timeout, ranges::TIMEOUT)?,
            compression: word(
                "otlp.compression",
                compression,
                "a compression",
                &Compression::ALL,
                Compression::as_str,
            )?,
            headers: headers.as_ref().map(|list| Headers::parse(&list.0)).transpose()?,
            temporality: word(
                "otlp.temporality",
                temporality,
                "a temporality",
                &Temporality::ALL,
                Temporality::as_str,
            )?,
            names: word("otlp.names", names, "a set of names", &Names::ALL, Names::as_str)?,
            histograms: word(
                "otlp.histograms",
                histograms,
                "a form of histograms",
                &HistogramForm::ALL,
                HistogramForm::as_str,
            )?,
            view: view.as_deref().map(|name| view_name("otlp.view", name)).transpose()?,
            tls: Tls::parse(tls.as_ref())?,
        };
        if let Some(endpoint) = &otlp.endpoint {
            otlp.fits(endpoint)?;
        }
        Ok(otlp)
    }

    /// What the file says of its endpoint must go together.
    fn fits(&self, endpoint: &Endpoint) -> Result<(), Problem> {
        if self.protocol == Some(Protocol::Grpc) {
            let target = endpoint.target(Protocol::Grpc);
            target.map_err(|what| Problem::new("otlp.endpoint", what))?;
        }
        if self.tls != Tls::default() && !endpoint.is_encrypted() {
            let what = "the endpoint begins with http://, so there is no TLS; write https://, or remove tls";
            return Err(Problem::new("otlp.tls", what));
        }
        Ok(())
    }

    /// Whether the file says that nothing is pushed.
    pub const fn is_off(&self) -> bool {
        self.is_off
    }

    /// The name of the view that is pushed, if it is not what the metrics path shows.
    pub fn view(&self) -> Option<&str> {
        self.view.as_deref()
    }

    /// Relative paths begin at a folder.
    pub(crate) fn resolve_paths(&mut self, folder: &Path) {
        let Tls { ca_file, client } = &mut self.tls;
        let client = client.iter_mut().flat_map(|(certificate, key)| [certificate, key]);
        for file in ca_file.iter_mut().chain(client) {
            *file = folder.join(&*file);
        }
    }

    /// The settings that the file and the environment make, the file winning, and what to warn of; no endpoint, no settings.
    ///
    /// # Errors
    /// [`ConfigError`] when the file's endpoint does not fit the protocol.
    pub fn settings(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(Option<OtlpSettings>, Vec<String>), ConfigError> {
        let mut environment = Environment::new(&variable);
        if self.is_off {
            return Ok((None, Vec::new()));
        }
        if self.endpoint.is_none() && !environment.has_endpoint() {
            return Ok((None, Vec::new()));
        }
        if environment.is_off() {
            return Ok((None, environment.warnings()));
        }
        let said = environment.protocol();
        let target = if let Some(endpoint) = &self.endpoint {
            let protocol = self.protocol.or(said).unwrap_or(Protocol::Grpc);
            let target = endpoint.target(protocol);
            Some((
                protocol,
                target.map_err(|what| ConfigError::of_setting("otlp.endpoint", what))?,
            ))
        } else {
            // By the specification HTTP is what an endpoint in the environment means if nothing else is said.
            let protocol = self.protocol.or(said).unwrap_or(Protocol::HttpProtobuf);
            environment.target(protocol).map(|target| (protocol, target))
        };
        let Some((protocol, target)) = target else {
            return Ok((None, environment.warnings()));
        };
        let tls = Tls {
            ca_file: self.tls.ca_file.clone().or_else(|| environment.ca_file()),
            client: self.tls.client.clone().or_else(|| environment.client()),
        };
        let settings = OtlpSettings {
            protocol,
            interval: self.interval.or_else(|| environment.interval()).unwrap_or(INTERVAL),
            timeout: self.timeout.or_else(|| environment.timeout()).unwrap_or(TIMEOUT),
            compression: self
                .compression
                .or_else(|| environment.compression())
                .unwrap_or(Compression::Gzip),
            headers: self.headers.clone().unwrap_or_else(|| environment.headers()),
            temporality: self
                .temporality
                .or_else(|| environment.temporality())
                .unwrap_or(Temporality::Cumulative),
            names: self.names.unwrap_or(Names::Conventions),
            histograms: self
                .histograms
                .or_else(|| environment.histograms())
                .unwrap_or(HistogramForm::Exponential),
            is_by_environment: self.endpoint.is_none() || tls != self.tls,
            tls,
            target,
        };
        Ok((Some(settings), environment.warnings()))
    }
}

impl OtlpSettings {
    /// Paths of its keys and certificates, from the file or the environment; empty without TLS.
    pub fn files(&self) -> Vec<PathBuf> {
        let Tls { ca_file, client } = &self.tls;
        let client = client.iter().flat_map(|(certificate, key)| [certificate, key]);
        let named = ca_file.iter().chain(client);
        named.filter(|_| self.target.is_encrypted()).cloned().collect()
    }
}

impl Tls {
    fn parse(raw: Option<&RawTls>) -> Result<Self, Problem> {
        let Some(RawTls {
            ca_file,
            cert_file,
            key_file,
        }) = raw
        else {
            return Ok(Self::default());
        };
        let path = |key: &str, text: &Option<String>| match text.as_deref() {
            Some("") => {
                let what = "the path is empty; write the path of a PEM file, or remove the key";
                Err(Problem::new(format!("otlp.tls.{key}"), what))
            }
            other => Ok(other.map(PathBuf::from)),
        };
        let missing = |given: &str, other: &str| {
            let what = format!("a certificate needs its key; add otlp.tls.{other}");
            Err(Problem::new(format!("otlp.tls.{given}"), what))
        };
        let client = match (path("cert_file", cert_file)?, path("key_file", key_file)?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return missing("cert_file", "key_file"),
            (None, Some(_)) => return missing("key_file", "cert_file"),
        };
        Ok(Self {
            ca_file: path("ca_file", ca_file)?,
            client,
        })
    }
}

fn word<T: Copy>(
    key: &str,
    text: &Option<String>,
    noun: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let choose = |text| file::choose(key, text, noun, all, as_str);
    text.as_deref().map(choose).transpose()
}
