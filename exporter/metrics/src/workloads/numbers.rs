//! Numbers for workloads: what the kernel programs count under instead of a name.
//!
//! A number never changes its meaning and is never given back, so what was counted under it keeps its name. The first workloads that
//! come get the numbers there are; what comes later is `other`, and stays it. Numbers go to the kernel's tables, names to labels.

use super::Workload;
use common::workload::number::OTHER;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// All workloads that have a number.
#[derive(Clone, Debug)]
pub struct Numbers {
    names: Vec<Arc<Workload>>,
    numbers: HashMap<Arc<Workload>, u16>,
    /// How many there may be besides those that are there from the start.
    limit: usize,
    refused: HashSet<Workload>,
    snapshot: Names,
}

/// How full a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    pub used: u64,
    pub capacity: u64,
    /// How many found no room.
    pub refused: u64,
}

/// The names at one time: shared, and never changed.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<[Arc<Workload>]>);

impl Names {
    /// The workload that has a number.
    pub fn name(&self, number: u16) -> Option<&Workload> {
        self.0.get(usize::from(number)).map(AsRef::as_ref)
    }

    /// Every workload, in the order of its number.
    pub fn iter(&self) -> impl Iterator<Item = &Workload> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl FromIterator<Workload> for Names {
    /// With numbers from 0 on.
    fn from_iter<I: IntoIterator<Item = Workload>>(workloads: I) -> Self {
        Self(workloads.into_iter().map(Arc::new).collect())
    }
}

impl Numbers {
    /// Numbers for at most `limit` workloads, and for the four special ones.
    pub fn new(limit: usize) -> Self {
        // In the order of their numbers.
        let special = [
            Workload::unresolved(),
            Workload::host(),
            Workload::shared(),
            Workload::other(),
        ];
        let names: Vec<Arc<Workload>> = special.into_iter().map(Arc::new).collect();
        let numbers = names.iter().cloned().zip(0..).collect();
        let snapshot = Names(names.as_slice().into());
        Self {
            names,
            numbers,
            limit,
            refused: HashSet::new(),
            snapshot,
        }
    }

    /// The number of a workload: its own, a new one, or [`OTHER`] when there are no more. One that was refused stays refused.
    pub fn number(&mut self, workload: &Workload) -> u16 {
        if let Some(number) = self.numbers.get(workload) {
            return *number;
        }
        let given = self.names.len().saturating_sub(usize::from(OTHER) + 1);
        let free = u16::try_from(self.names.len()).ok().filter(|_| given < self.limit);
        let Some(free) = free else {
            // Bounded as the numbers are: beyond that it is known that there are more, and not how many.
            if self.refused.len() < self.limit.max(1) {
                self.refused.insert(workload.clone());
            }
            return OTHER;
        };
        let workload = Arc::new(workload.clone());
        self.names.push(Arc::clone(&workload));
        self.numbers.insert(workload, free);
        free
    }

    /// The workload that has a number.
    pub fn name(&self, number: u16) -> Option<&Workload> {
        self.names.get(usize::from(number)).map(AsRef::as_ref)
    }

    /// The names as they are now. Costs nothing while no workload comes.
    pub fn names(&mut self) -> Names {
        if self.snapshot.0.len() < self.names.len() {
            self.snapshot = Names(self.names.as_slice().into());
        }
        self.snapshot.clone()
    }

    /// How many workloads have a number besides the special ones, and how many may.
    pub fn given(&self) -> (usize, usize) {
        (self.names.len().saturating_sub(usize::from(OTHER) + 1), self.limit)
    }

    /// How many workloads were refused. Counted up to as many as the limit.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::workload::number::{HOST, SHARED, UNRESOLVED};
    use proptest::prelude::*;

    fn unit(name: &str) -> Workload {
        Workload::outside(super::super::kinds::UNIT, name)
    }

    #[test]
    fn special_workloads_have_the_first_numbers() {
        let mut numbers = Numbers::new(0);
        for (number, workload) in [
            (UNRESOLVED, Workload::unresolved()),
            (HOST, Workload::host()),
            (SHARED, Workload::shared()),
            (OTHER, Workload::other()),
        ] {
            assert_eq!(numbers.number(&workload), number);
            assert_eq!(numbers.name(number), Some(&workload));
        }
        assert_eq!((numbers.given(), numbers.refused()), ((0, 0), 0));
    }

    #[test]
    fn what_is_beyond_the_limit_is_other_and_counted_once() {
        let mut numbers = Numbers::new(2);
        let of = |numbers: &mut Numbers, name| numbers.number(&unit(name));
        assert_eq!(
            [of(&mut numbers, "a"), of(&mut numbers, "b"), of(&mut numbers, "a")],
            [4, 5, 4]
        );
        assert_eq!([of(&mut numbers, "c"), of(&mut numbers, "c")], [OTHER, OTHER]);
        assert_eq!((numbers.given(), numbers.refused()), ((2, 2), 1));
    }

    #[test]
    fn ten_thousand_refusals_leave_nothing_behind() {
        let mut numbers = Numbers::new(8);
        for name in 0..10_000 {
            numbers.number(&unit(&name.to_string()));
        }
        assert_eq!((numbers.names.len(), numbers.refused.len()), (12, 8));
    }

    #[test]
    fn numbers_end_where_the_kernel_has_no_more() {
        let mut numbers = Numbers::new(usize::MAX);
        let last = (4..=u32::from(u16::MAX))
            .map(|name| numbers.number(&unit(&name.to_string())))
            .last();
        assert_eq!(last, Some(u16::MAX));
        assert_eq!(numbers.number(&unit("more")), OTHER);
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut numbers = Numbers::new(8);
        numbers.number(&unit("a"));
        let before = numbers.names();
        assert!(Arc::ptr_eq(&before.0, &numbers.names().0));
        numbers.number(&unit("b"));
        assert_eq!((before.name(4), before.name(5)), (Some(&unit("a")), None));
        assert_eq!(numbers.names().name(5), Some(&unit("b")));
    }

    proptest! {
        #[test]
        fn a_number_never_changes_its_meaning(names in prop::collection::vec("[a-f]", 1..40), limit in 0_usize..8) {
            let mut numbers = Numbers::new(limit);
            let mut known: HashMap<u16, Workload> = HashMap::new();
            for name in names {
                let workload = unit(&name);
                let number = numbers.number(&workload);
                if number != OTHER {
                    let first = known.entry(number).or_insert(workload);
                    prop_assert_eq!(Some(&*first), numbers.name(number));
                }
                let names = numbers.names();
                for (number, workload) in &known {
                    prop_assert_eq!(names.name(*number), Some(workload));
                }
            }
        }
    }
}
