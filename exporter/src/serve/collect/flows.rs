//! Live flows, one by one: the dump runs when somebody asks. The kernel's turn is the only thing that a scrape may wait for.

use super::{CollectError, Collector, KernelState};
use common::tcp::group::GroupKey;
use std::{collections::HashMap, sync::Arc};
use tcpvitals_kernel::read::ReadError;
use tcpvitals_metrics::{labels::LabelSet, rows::flows::LiveFlow};

impl Collector {
    /// Every live flow with its names by the configuration of the moment, not older than `collect.max_age`.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn flows(&self) -> Result<Arc<Vec<LiveFlow>>, CollectError> {
        let max_age = self.last.lock().await.max_age;
        let reader = Arc::clone(&self.reader);
        let read = async move { reader.read(KernelState::flows).await };
        self.flows.get(max_age, read).await
    }
}

impl KernelState {
    fn flows(&mut self) -> Result<Vec<LiveFlow>, ReadError> {
        let records = self.kernel.dump()?;
        // After the records: whatever they count under has its name.
        self.labelling.learn(&self.workloads.names());
        // Flows are many, sets of labels few.
        let instances = self.workloads.instances(records.iter().map(|record| record.cgroup));
        let mut labels: HashMap<GroupKey, LabelSet> = HashMap::new();
        let flows = records.into_iter().map(|record| {
            let of_key = || self.labelling.of_key(&record.key());
            let labels = labels.entry(record.key()).or_insert_with(of_key);
            LiveFlow {
                record,
                labels: Arc::clone(labels),
                instance: instances.as_ref().and_then(|of| of.get(&record.cgroup).cloned()),
            }
        });
        Ok(flows.collect())
    }
}
