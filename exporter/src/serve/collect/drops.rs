//! What was dropped, row by row, for those who want more than the metrics: no fold runs for it, and no other table is read.

use super::{CollectError, Collector, KernelState, Known};
use common::drops::DropRow;
use std::sync::Arc;
use tcpvitals_config::{DropLabel, label::Label};
use tcpvitals_kernel::{
    Kernel,
    read::{DropReading, ReadError},
};
use tcpvitals_metrics::{
    labels::{LabelSet, sites},
    rows::drops::{CodeAddress, Dropped},
};

impl Collector {
    /// Every row with its names by the configuration of the moment, not older than `collect.max_age`; the ignored ones are left out.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn drops(&self) -> Result<Arc<Vec<Dropped>>, CollectError> {
        let max_age = self.last.lock().await.max_age;
        let reader = Arc::clone(&self.reader);
        let read = async move { reader.read(KernelState::dropped).await };
        self.drops.get(max_age, read).await
    }
}

impl KernelState {
    fn dropped(&mut self) -> Result<Vec<Dropped>, ReadError> {
        let readings = self.kernel.read_only_drops(&mut self.tables)?;
        self.learn_names(&readings)?;
        // After the counters: whatever has been counted has its name.
        self.labelling.learn(&self.workloads.names());
        let rows = readings
            .into_iter()
            .filter_map(|(slot, DropReading { row, count, .. })| {
                let (source, site) = sites::name(&row, &Known(&self.kernel));
                let labels = self.labelling.of_site(site.as_ref())?;
                let place = place(&row, &self.kernel);
                Some(Dropped {
                    id: slot.into(),
                    source,
                    labels: if place.is_some() {
                        labels
                    } else {
                        told_apart(labels, &row, &self.kernel)
                    },
                    place,
                    count,
                })
            });
        // The rows `other` exist from the start.
        Ok(rows.filter(|row| row.count.packets != 0).collect())
    }
}

fn place(row: &DropRow, kernel: &Kernel) -> Option<CodeAddress> {
    let DropRow::Software(key) = row else { return None };
    let symbol = kernel.symbol(key.location)?;
    Some(CodeAddress {
        offset: symbol.offset,
        module: symbol.module.clone(),
    })
}

/// Places without a name have one in the metrics; people want to know how many they are.
fn told_apart(labels: LabelSet, row: &DropRow, kernel: &Kernel) -> LabelSet {
    let DropRow::Software(key) = row else { return labels };
    let location = DropLabel::Location.label();
    let told_apart = |(label, value): &(&'static Label, String)| {
        let value = if *label == location {
            kernel.alias(key.location)
        } else {
            value.clone()
        };
        (*label, value)
    };
    labels.iter().map(told_apart).collect()
}
