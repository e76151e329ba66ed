//! Live flows, one by one: the dump runs when somebody asks. The kernel's turn is the only thing that a scrape may wait for.

use super::{CollectError, Collector, State};
use common::tcp::group::{GroupKey, Role};
use std::{collections::HashMap, sync::Arc};
use tcpvitals_metrics::{labels::LabelSet, recording::Flow, rows::flows::LiveFlow, workloads::numbers::Names};

impl Collector {
    /// Every live flow with its names by the configuration of the moment, not older than `collect.max_age`.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn flows(&self) -> Result<Arc<Vec<LiveFlow>>, CollectError> {
        let max_age = self.last.lock().await.max_age;
        let reader = Arc::clone(&self.reader);
        let read = async move { reader.read(State::flows).await };
        self.flows.get(max_age, read).await
    }

    /// The same, read anew, with the opens of this host whose SYN has no answer yet.
    ///
    /// # Errors
    /// The same.
    pub async fn flows_with_opens(&self) -> Result<Vec<LiveFlow>, CollectError> {
        self.reader.read(State::flows_with_opens).await
    }
}

impl State {
    fn flows(&mut self) -> Result<Vec<LiveFlow>, CollectError> {
        let (flows, workloads) = self.source.flows()?;
        Ok(self.named(flows, &workloads))
    }

    fn flows_with_opens(&mut self) -> Result<Vec<LiveFlow>, CollectError> {
        let (flows, workloads) = self.source.flows_with_opens()?;
        Ok(self.named(flows, &workloads))
    }

    fn named(&mut self, flows: Vec<Flow>, workloads: &Names) -> Vec<LiveFlow> {
        self.labelling.learn(workloads);
        // Flows are many, sets of labels few.
        let mut labels: HashMap<GroupKey, LabelSet> = HashMap::new();
        let flows = flows.into_iter().map(|Flow { record, instance }| {
            let mut key = record.key();
            if record.flags == 0 {
                // Who opens is the client; the programs note that when the open is over.
                key.role = Role::Client as u8;
            }
            let labels = labels.entry(key).or_insert_with(|| self.labelling.of_key(&key));
            LiveFlow {
                record,
                labels: Arc::clone(labels),
                instance,
            }
        });
        flows.collect()
    }
}
