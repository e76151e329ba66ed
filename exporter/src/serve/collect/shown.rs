//! What is shown of one collection: all of it to people, and to each path and the push what its view chooses.
//! It must never read the kernel or a clock. From the labels and the configuration; to the routes and the pusher.

use std::sync::Arc;
use tcpvitals_config::{Config, Histograms};
use tcpvitals_metrics::{
    families::{Families, of_view},
    labels::Labelling,
    rows::cardinality::Cardinality,
    snapshot::Snapshot,
};

/// What is shown of one collection.
#[derive(Debug)]
pub struct Shown {
    /// Every metric, by the labels of the metrics path.
    pub all: Arc<Families>,
    /// The metrics path, then the views in the order of the file.
    pub expositions: Vec<Exposition>,
    /// What is pushed.
    pub pushed: Arc<Families>,
    /// With which buckets, where they are explicit.
    pub pushed_histograms: Arc<Histograms>,
}

/// What one path shows.
#[derive(Clone, Debug)]
pub struct Exposition {
    /// The path; "" for that of the command line.
    pub path: String,
    /// What is encoded.
    pub families: Arc<Families>,
    /// With which buckets.
    pub histograms: Arc<Histograms>,
}

impl Shown {
    /// Of a snapshot that was posted.
    pub fn new(labelling: &mut Labelling, snapshot: &Snapshot, config: &Config) -> Self {
        let all = Arc::new(of_view(labelling, snapshot, &config.shown));
        let mut pushed = (Arc::clone(&all), Arc::new(config.shown.histograms.clone()));
        let mut expositions = Vec::new();
        for view in config.all_views() {
            let is_main = view.name.is_empty();
            let whole = if is_main {
                Arc::clone(&all)
            } else {
                Arc::new(of_view(labelling, snapshot, view))
            };
            let families = Arc::new(whole.chosen(&view.metrics));
            let histograms = Arc::new(view.histograms.clone());
            if config.otlp.view().unwrap_or_default() == view.name {
                pushed = (Arc::clone(&families), Arc::clone(&histograms));
            }
            expositions.push(Exposition {
                path: view.path.clone(),
                families,
                histograms,
            });
        }
        let (pushed, pushed_histograms) = pushed;
        Self {
            pushed,
            pushed_histograms,
            expositions,
            all,
        }
    }

    /// What the metrics path costs.
    pub fn cost(&self) -> Cardinality {
        let main = self.expositions.first();
        main.map_or_else(
            Cardinality::default,
            |Exposition {
                 families, histograms, ..
             }| { Cardinality::new(families, histograms) },
        )
    }

    /// What a path shows, and its place in the list.
    pub fn at(&self, path: &str) -> Option<(usize, &Exposition)> {
        let mut expositions = self.expositions.iter().enumerate();
        expositions.find(|(_, exposition)| exposition.path == path)
    }
}
