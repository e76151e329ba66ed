//! Which labels the metrics carry; series that differ only in a label that is switched off merge.
//! It must never invent a label that the metric table does not have.
//! From `labels` of the file; to the labelling of snapshots.

use std::collections::BTreeSet;

use crate::{
    file::{Problem, choose},
    kinds::label::{DropLabel, TcpLabel},
    raw::RawLabels,
};

/// The labels that are switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Of the TCP metrics.
    pub tcp: BTreeSet<TcpLabel>,
    /// Of the drop metrics.
    pub drops: BTreeSet<DropLabel>,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            tcp: TcpLabel::defaults().collect(),
            drops: DropLabel::defaults().collect(),
        }
    }
}

impl Labels {
    /// Under `key`; what is absent is as in `default`.
    pub(crate) fn parse(key: &str, raw: &RawLabels, default: Self) -> Result<Self, Problem> {
        let RawLabels { tcp, drops } = raw;
        let mut labels = default;
        if let Some(list) = tcp {
            let noun = "a label of the TCP metrics";
            labels.tcp = set(&format!("{key}.tcp"), list, noun, &TcpLabel::ALL, TcpLabel::as_str)?;
        }
        if let Some(list) = drops {
            let noun = "a label of the drop metrics";
            labels.drops = set(&format!("{key}.drops"), list, noun, &DropLabel::ALL, DropLabel::as_str)?;
        }
        Ok(labels)
    }

    /// The same without those that say whose something is.
    pub(crate) fn without_workloads(mut self) -> Self {
        self.tcp.retain(|label| !label.row().is_of_workloads);
        self.drops.retain(|label| !label.row().is_of_workloads);
        self
    }

    /// Whether one of them says whose something is.
    pub(crate) fn name_workloads(&self) -> bool {
        let rows = self.tcp.iter().map(|label| label.row());
        let mut rows = rows.chain(self.drops.iter().map(|label| label.row()));
        rows.any(|row| row.is_of_workloads)
    }
}

fn set<T: Copy + Ord>(
    key: &str,
    list: &[String],
    noun: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<BTreeSet<T>, Problem> {
    let mut chosen = BTreeSet::new();
    for (index, text) in list.iter().enumerate() {
        let key = format!("{key}[{index}]");
        if !chosen.insert(choose(&key, text, noun, all, word)?) {
            let words: Vec<&str> = all.iter().copied().map(word).collect();
            let what = format!(
                "the label {text:?} is listed twice; list each of {} at most once",
                words.join(", ")
            );
            return Err(Problem::new(key, what));
        }
    }
    Ok(chosen)
}
