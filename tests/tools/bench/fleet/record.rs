//! What one exporter shows under traffic, again and again, as files: bodies that are replayed later as those of many nodes.

use std::fs::{create_dir_all, read, read_dir, remove_dir_all, write};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::{Launch, PROMETHEUS_TEXT, PROTOBUF};

use super::Sent;
use crate::crowd::Crowd;

/// A path and a format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Its name in results.
    pub(crate) name: &'static str,
    /// Its folder.
    file: &'static str,
    path: &'static str,
    accept: &'static str,
    /// How Prometheus is told to ask for it.
    pub(crate) protocol: &'static str,
}

const TEXT: &str = "PrometheusText0.0.4";
const NATIVE: &str = "PrometheusProto";

/// Those that are recorded.
pub(crate) const VIEWS: [View; 4] = [
    View {
        name: "default, text",
        file: "default-text",
        path: "/metrics",
        accept: PROMETHEUS_TEXT,
        protocol: TEXT,
    },
    View {
        name: "default, native histograms",
        file: "default-native",
        path: "/metrics",
        accept: PROTOBUF,
        protocol: NATIVE,
    },
    View {
        name: "fleet view, text",
        file: "fleet-text",
        path: "/metrics/fleet",
        accept: PROMETHEUS_TEXT,
        protocol: TEXT,
    },
    View {
        name: "fleet view, native histograms",
        file: "fleet-native",
        path: "/metrics/fleet",
        accept: PROTOBUF,
        protocol: NATIVE,
    },
];

/// As many bodies of each view as a run can ask for; a node that is asked more often repeats the last.
const BODIES: usize = 24;
/// Subnets, each with a client and a server: two label sets.
const SUBNETS: usize = 10;
const CONNECTIONS: usize = 40;

/// Bodies of one view.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) view: &'static View,
    /// Compressed, in the order of time.
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) content_type: String,
    plain: usize,
}

/// Runs an exporter with the view of `deploy/fleet` and traffic, and keeps what it shows in a folder.
pub(crate) fn record(exporter: &Path, folder: &Path) -> Result<()> {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/fleet/tcpvitals.yaml");
    let mut config = std::fs::read_to_string(&recipe).with_context(|| format!("read {}", recipe.display()))?;
    config += "collect: {max_age: 0}\nsubnets:\n";
    for number in 0..SUBNETS {
        config += &format!("  - {{name: site-{number}, cidrs: [{}]}}\n", Crowd::subnet(number)?);
    }
    let exporter = Launch::new(config)
        .binary(exporter)
        .arguments(&["--log.level=warn"])
        .start()?;
    let mut crowd = Crowd::new(SUBNETS)?;
    crowd.grow(2 * CONNECTIONS)?;
    // Nothing of a recording before.
    remove_dir_all(folder).ok();
    for number in 0..BODIES {
        crowd.round()?;
        for view in &VIEWS {
            let own = folder.join(view.file);
            create_dir_all(&own)?;
            let ask = |encoding| exporter.request(view.path, &[("accept", view.accept), ("accept-encoding", encoding)]);
            let answer = ask("gzip")?;
            ensure!(answer.content_encoding == "gzip", "{} came uncompressed", view.name);
            write(own.join(format!("{number:02}.gz")), &answer.body)?;
            if number + 1 == BODIES {
                write(own.join("content-type"), &answer.content_type)?;
                write(own.join("plain"), ask("identity")?.body)?;
            }
        }
    }
    let origin = format!(
        "those of an exporter on this machine, with {CONNECTIONS} connections in {SUBNETS} subnets, both ends of each its own"
    );
    Ok(write(folder.join("origin"), origin)?)
}

impl Recording {
    /// What was recorded of a view.
    pub(crate) fn read(view: &'static View, folder: &Path) -> Result<Self> {
        let own = folder.join(view.file);
        let entries = read_dir(&own).with_context(|| format!("list {}", own.display()))?;
        let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
        paths.sort();
        ensure!(!paths.is_empty(), "nothing was recorded in {}", own.display());
        Ok(Self {
            view,
            bodies: paths.iter().map(|path| Ok(read(path)?)).collect::<Result<_>>()?,
            content_type: String::from_utf8(read(own.join("content-type"))?)?,
            plain: read(own.join("plain"))?.len(),
        })
    }

    /// Bytes of the last answer.
    pub(crate) fn sent(&self) -> Sent {
        Sent {
            view: self.view.name.to_owned(),
            plain: self.plain,
            gzip: self.bodies.last().map_or(0, Vec::len),
        }
    }
}
