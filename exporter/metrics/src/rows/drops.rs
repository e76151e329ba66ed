//! Rows of drops for people: every label and, besides, where in a function it was. What the API and the command `drops` show.
//!
//! From what the collector read; to filters, order and tables.

pub mod table;
pub mod text;

use crate::{
    labels::{LabelSet, value_of},
    workloads::qualified,
};
use common::drops::{DropCount, DropSource};
use tcpvitals_config::DropLabel;

/// What was dropped at one place, for one reason, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Which row of the kernel's: the same one for as long as the programs are loaded.
    pub id: u64,
    pub source: DropSource,
    /// All labels of [`DropLabel`], those too that the metrics leave out.
    pub labels: LabelSet,
    /// Where in the kernel's code, for drops of the network stack; none where the kernel does not name it.
    pub place: Option<CodeAddress>,
    /// How much, since the start.
    pub count: DropCount,
}

/// A place in the kernel's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeAddress {
    /// Bytes from the beginning of the function.
    pub offset: u64,
    /// The module that the function is part of; none for the kernel itself.
    pub module: Option<String>,
}

impl Dropped {
    /// The value of a label.
    pub fn label(&self, label: DropLabel) -> &str {
        value_of(&self.labels, label.label())
    }

    /// Whose it is, with its namespace; `None` where nobody tells workloads apart.
    pub fn workload(&self) -> Option<String> {
        let name = self.label(DropLabel::Workload);
        (!name.is_empty()).then(|| qualified(self.label(DropLabel::WorkloadNamespace), name))
    }
}

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// Packets, most first.
    Packets,
    /// Bytes, most first.
    Bytes,
    /// A label, by the alphabet.
    Label(DropLabel),
}

impl SortKey {
    /// Every key and its word.
    pub fn all() -> Vec<(&'static str, Self)> {
        let labels = DropLabel::ALL.iter().map(|label| (label.as_str(), Self::Label(*label)));
        [("packets", Self::Packets), ("bytes", Self::Bytes)]
            .into_iter()
            .chain(labels)
            .collect()
    }
}

/// Sorts rows: numbers from the largest, names from the first of the alphabet, or the other way round. Equal rows by their labels.
pub fn sort(rows: &mut [&Dropped], key: SortKey, reversed: bool) {
    rows.sort_by(|one, other| {
        let order = match key {
            SortKey::Packets => other.count.packets.cmp(&one.count.packets),
            SortKey::Bytes => other.count.bytes.cmp(&one.count.bytes),
            SortKey::Label(label) => one.label(label).cmp(other.label(label)),
        };
        let order = if reversed { order.reverse() } else { order };
        order.then_with(|| (&one.labels, one.id).cmp(&(&other.labels, other.id)))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples::dropped;

    #[test]
    fn numbers_fall_and_names_rise_unless_reversed() {
        let rows = [
            dropped(1, "ip_rcv CSUM error udp receive office wired", 5),
            dropped(2, "tcp_v4_rcv NO_SOCKET error tcp receive office wired", 9),
            dropped(3, "a_function NO_SOCKET error tcp receive lab wired", 5),
        ];
        let check = |key: &str, reversed: bool, expected: [u64; 3]| {
            let (_, key) = SortKey::all().into_iter().find(|(word, _)| *word == key).unwrap();
            let mut rows: Vec<&Dropped> = rows.iter().collect();
            sort(&mut rows, key, reversed);
            assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), expected, "{key:?}");
        };
        check("packets", false, [2, 3, 1]);
        check("packets", true, [3, 1, 2]);
        check("bytes", false, [2, 3, 1]);
        check("location", false, [3, 1, 2]);
        check("subnet", false, [3, 1, 2]);
        check("reason", true, [3, 2, 1]);
    }
}
