//! A real rotel, a collector of OTLP that others have written in Rust: it takes what the exporter pushes, over gRPC and
//! over HTTP, and passes it on to a [`Recorder`].

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::exporter::free_address;
use crate::exporter::otlp::Recorder;
use crate::exporter::program::{Program, brought};

/// A running rotel.
#[derive(Debug)]
pub struct Rotel {
    program: Program,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Rotel {
    /// Starts one that passes everything on, and waits until it listens.
    pub fn start(to: &Recorder) -> Result<Self> {
        let (grpc, http) = (free_address()?, free_address()?);
        let arguments = [
            "start".to_owned(),
            "--pid-file=rotel.pid".to_owned(),
            "--debug-log=metrics".to_owned(),
            format!("--otlp-grpc-endpoint={grpc}"),
            format!("--otlp-http-endpoint={http}"),
            "--exporter=otlp".to_owned(),
            "--otlp-exporter-protocol=grpc".to_owned(),
            format!("--otlp-exporter-endpoint={}", to.url()),
        ];
        // The folder is named after the version of Python.
        let packages = std::fs::read_dir(brought("python/lib")?)?
            .next()
            .context("an environment without packages")??;
        let agent = packages.path().join("site-packages/rotel/rotel-agent");
        let mut program = Program::start(&agent, &arguments, TempDir::new()?)?;
        for address in [grpc, http] {
            program.until("listen", || Ok(std::net::TcpStream::connect(address).ok()))?;
        }
        Ok(Self { program, grpc, http })
    }

    /// Where it takes metrics over gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Where it takes metrics over HTTP.
    pub fn http(&self) -> String {
        format!("http://{}/v1/metrics", self.http)
    }

    /// What it has said so far: a line for each request that it took, among others.
    pub fn said(&self) -> String {
        self.program.said()
    }
}
