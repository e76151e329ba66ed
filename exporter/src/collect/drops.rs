//! What was dropped, row by row, for those who want more than the metrics: no fold runs for it, and no other table is read.

use super::{CollectError, Collector, Source};
use crate::{
    drops::{Dropped, Place},
    kernel::{
        Kernel,
        read::{DropReading, DropRow, ReadError},
    },
    sites,
};
use std::sync::Arc;

impl Collector {
    /// Every row with its names by the configuration of the moment, not older than `collect.max_age`; the ignored ones are left out.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn drops(&self) -> Result<Arc<Vec<Dropped>>, CollectError> {
        let max_age = self.last.lock().await.max_age;
        let source = Arc::clone(&self.source);
        let read = async move { Ok(source.ask(Source::dropped).await??) };
        self.drops.get(max_age, read).await
    }
}

impl Source {
    fn dropped(&mut self) -> Result<Vec<Dropped>, ReadError> {
        let readings = self.kernel.read_only_drops(&mut self.tables)?;
        self.learn_names(&readings)?;
        let rows = readings.into_iter().filter_map(|(slot, DropReading { row, count })| {
            let (source, site) = sites::name(&row, &self.kernel);
            Some(Dropped {
                id: slot.into(),
                source,
                labels: self.labelling.of_site(site.as_ref())?,
                place: place(&row, &self.kernel),
                count,
            })
        });
        // The rows `other` exist from the start.
        Ok(rows.filter(|row| row.count.packets != 0).collect())
    }
}

fn place(row: &DropRow, kernel: &Kernel) -> Option<Place> {
    let DropRow::Software(key) = row else { return None };
    let symbol = kernel.symbol(key.location);
    Some(Place {
        address: key.location,
        offset: symbol.map(|symbol| symbol.offset),
        module: symbol.and_then(|symbol| symbol.module.clone()),
    })
}
