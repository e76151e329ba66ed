//! Why a reading failed.

use crate::sys::object::MapFault;
use std::io;

/// Why a reading failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A map could not be read.
    #[error("cannot read the map {0}")]
    Map(#[from] MapFault),
    /// The number of the fold could not be written.
    #[error("cannot write the map {0}")]
    Epoch(#[source] MapFault),
    /// The fold did not run to its end.
    #[error("cannot run the fold: {0}")]
    Fold(#[source] io::Error),
    /// The dump did not run to its end.
    #[error("cannot run the dump of flows: {0}")]
    Dump(#[source] io::Error),
    /// The walk over cgroups did not run to its end.
    #[error("cannot list the cgroups: {0}")]
    Cgroups(#[source] io::Error),
    /// The program that shows flows does not run.
    #[error("live flows cannot be shown: {0} does not run: {1}")]
    NoDump(&'static str, String),
    /// The table of symbols or of modules could not be read.
    #[error("read /proc/kallsyms or /proc/modules: {0}")]
    Symbols(#[source] io::Error),
}
