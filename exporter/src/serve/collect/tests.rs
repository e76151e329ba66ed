//! A collector that needs no kernel, for tests of those who ask one.

use super::{Collector, Others, pushes::Tally};
use crate::serve::web::served::Served;
use std::{fs, sync::Arc, time::Duration};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_metrics::recording::{Pace, Player, Recording};

/// A collector over the recording of the demonstration.
pub(crate) fn collector(config: &Config) -> Collector {
    let bytes = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/demo.rec")).unwrap();
    let pace = Pace {
        from: Duration::ZERO,
        speed: 1,
    };
    let player = Player::new(Recording::read(&bytes).unwrap(), pace, Duration::from_secs(1)).unwrap();
    let others = Others {
        tally: Arc::new(Tally::default()),
        served: Arc::new(Served::new(1)),
    };
    let started = player.started();
    Collector::new(player.into(), config, Numbering::new(config), others, started).unwrap()
}
