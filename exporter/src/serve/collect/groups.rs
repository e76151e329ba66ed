//! What was counted by label set, and what is wrong, for whoever shows both: no exposition is made of it.

use super::{CollectError, Collector, State};
use std::sync::Arc;
use tcpvitals_metrics::{findings::report::Report, rows::traffic::Counted, snapshot::Group};

/// What one reading of the kernel gave.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Every label set with its names by the configuration of the moment.
    pub rows: Vec<Counted>,
    /// Whether drops are looked for that are sent again (`local_loss`).
    pub finds_local_losses: bool,
    /// What is wrong; `None` where nobody judges.
    pub findings: Option<Arc<Report>>,
}

impl Collector {
    /// Folds and reads what was counted, and judges it if the configuration wants that.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn groups(&self) -> Result<Groups, CollectError> {
        self.reader.read(State::groups).await
    }
}

impl State {
    fn groups(&mut self) -> Result<Groups, CollectError> {
        let snapshot = self.snapshot()?;
        self.labelling.learn(&snapshot.workloads);
        // The group `other` is shown when it has something to show.
        let rows = snapshot.groups.iter();
        let rows = rows.filter(|row| row.key.is_some() || row.total != Group::default());
        let rows = rows.map(|row| Counted {
            id: row.id,
            labels: self.labelling.of_group(row.key.as_ref()),
            total: row.total,
        });
        Ok(Groups {
            rows: rows.collect(),
            finds_local_losses: snapshot.coverage.finds_local_losses(),
            findings: snapshot.findings,
        })
    }
}
