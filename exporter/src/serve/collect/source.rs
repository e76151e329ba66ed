//! Where collections come from: a kernel, or a recording of one. The rest of the exporter cannot tell which it is.

use super::{
    error::CollectError,
    kernel::{KernelSource, Site},
};
use crate::lifecycle::{clock::since_1970, setup};
use common::drops::DropCount;
use std::time::Duration;
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_kernel::LoadError;
use tcpvitals_metrics::{
    recording::{Flow, Moment, Player},
    snapshot::{DropOrigin, Row, Snapshot},
    workloads::numbers::Names,
};

/// Where collections come from.
#[derive(Debug)]
pub enum Source {
    /// The programs that run in this kernel.
    Kernel(Box<KernelSource>),
    /// What programs read of another kernel once.
    Recording(Box<Player>),
}

impl From<KernelSource> for Source {
    fn from(source: KernelSource) -> Self {
        Self::Kernel(Box::new(source))
    }
}

impl From<Player> for Source {
    fn from(player: Player) -> Self {
        Self::Recording(Box::new(player))
    }
}

impl Source {
    /// Everything at one moment, without findings and without what the process knows of itself.
    pub(super) fn snapshot(&mut self) -> Result<Snapshot, CollectError> {
        match self {
            Self::Kernel(source) => Ok(source.snapshot()?),
            Self::Recording(player) => Ok(player.look(since_1970())?.snapshot),
        }
    }

    /// When counters began, since 1970, where that was not when the process did.
    pub(super) fn began(&self) -> Option<Duration> {
        match self {
            Self::Kernel(_) => None,
            Self::Recording(player) => Some(player.started()),
        }
    }

    /// Times before the first collection that the source knows something of, since 1970: a recording does, a kernel does not.
    pub(super) fn lead(&self) -> Vec<Duration> {
        match self {
            Self::Kernel(_) => Vec::new(),
            Self::Recording(player) => player.lead(),
        }
    }

    /// Everything at one of these times; `None` where there is nothing.
    pub(super) fn before(&mut self, at: Duration) -> Option<Snapshot> {
        match self {
            Self::Kernel(_) => None,
            Self::Recording(player) => Some(player.look(at).ok()?.snapshot),
        }
    }

    /// Every live flow, and the names of the workloads that they are of.
    pub(super) fn flows(&mut self) -> Result<(Vec<Flow>, Names), CollectError> {
        match self {
            Self::Kernel(source) => Ok(source.flows()?),
            Self::Recording(player) => {
                let Moment { flows, snapshot, .. } = player.look(since_1970())?;
                Ok((flows, snapshot.workloads))
            }
        }
    }

    /// The same with the opens whose SYN has no answer yet; a recording has none.
    pub(super) fn flows_with_opens(&mut self) -> Result<(Vec<Flow>, Names), CollectError> {
        match self {
            Self::Kernel(source) => Ok(source.flows_with_opens()?),
            Self::Recording(_) => self.flows(),
        }
    }

    /// Every row of drops, and the names of the workloads that they are of.
    pub(super) fn drops(&mut self) -> Result<(Vec<Site>, Names), CollectError> {
        match self {
            Self::Kernel(source) => Ok(source.drops()?),
            Self::Recording(player) => {
                let Moment {
                    snapshot, mut places, ..
                } = player.look(since_1970())?;
                let of = |row: Row<DropOrigin, DropCount>| {
                    let place = places.remove(&row.id).unwrap_or_default();
                    (row, place)
                };
                Ok((snapshot.drops.into_iter().map(of).collect(), snapshot.workloads))
            }
        }
    }

    /// What is counted from now on is counted by this configuration.
    pub(super) fn configure(&mut self, config: &Config, numbering: &Numbering) -> Result<(), LoadError> {
        match self {
            Self::Kernel(source) => source.configure(setup::lookups(config, numbering)),
            // It was counted long ago.
            Self::Recording(_) => Ok(()),
        }
    }
}
