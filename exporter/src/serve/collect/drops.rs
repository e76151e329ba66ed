//! What was dropped, row by row, for those who want more than the metrics: no fold runs for it, and no other table is read.

use super::{CollectError, Collector, State};
use std::sync::Arc;
use tcpvitals_config::{DropLabel, label::Label};
use tcpvitals_metrics::{labels::LabelSet, recording::Place, rows::drops::Dropped};

impl Collector {
    /// Every row with its names by the configuration of the moment, not older than `collect.max_age`; the ignored ones are left out.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn drops(&self) -> Result<Arc<Vec<Dropped>>, CollectError> {
        let max_age = self.last.lock().await.max_age;
        let reader = Arc::clone(&self.reader);
        let read = async move { reader.read(State::dropped).await };
        self.drops.get(max_age, read).await
    }
}

impl State {
    fn dropped(&mut self) -> Result<Vec<Dropped>, CollectError> {
        let (sites, workloads) = self.source.drops()?;
        self.labelling.learn(&workloads);
        let rows = sites.into_iter().filter_map(|(row, place)| {
            let (source, site) = row.key;
            let labels = self.labelling.of_site(site.as_ref())?;
            Some(Dropped {
                id: row.id,
                source,
                labels: told_apart(labels, &place),
                place: place.address,
                count: row.total,
            })
        });
        // The rows `other` exist from the start.
        Ok(rows.filter(|row| row.count.packets != 0).collect())
    }
}

/// Places without a name have one in the metrics; people want to know how many they are.
fn told_apart(labels: LabelSet, place: &Place) -> LabelSet {
    if place.alias.is_empty() {
        return labels;
    }
    let location = DropLabel::Location.label();
    let told_apart = |(label, value): &(&'static Label, String)| {
        let value = if *label == location { &place.alias } else { value };
        (*label, value.clone())
    };
    labels.iter().map(told_apart).collect()
}
