//! Names in a recording: each stands once in the file, and rows have its number. Number 0 is "".

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

/// Names by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u64>,
    /// How many are in the file already.
    written: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            names: vec![String::new()],
            numbers: HashMap::from([(String::new(), 0)]),
            written: 1,
        }
    }
}

impl Names {
    /// The number of a name, a new one if need be.
    pub(super) fn number(&mut self, name: &str) -> u64 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u64;
        self.push(name.to_owned());
        number
    }

    /// The name of a number; "" of one that is none.
    pub(super) fn name(&self, number: u64) -> &str {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.get(place).map_or("", String::as_str)
    }

    /// One more name, with the next number.
    pub(super) fn push(&mut self, name: String) {
        self.numbers.insert(name.clone(), self.names.len() as u64);
        self.names.push(name);
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.names.len()
    }

    /// Those that are not in the file yet, from now on they are.
    pub(super) fn take_new(&mut self) -> Vec<String> {
        let new = self.names.get(self.written..).unwrap_or_default().to_vec();
        self.written = self.names.len();
        new
    }
}

/// Most names that stay.
const MOST_KEPT: usize = 1024;

/// A name for as long as the process runs, as those of programs and fields are everywhere else; `None` when there are too many.
pub(super) fn kept(name: &str) -> Option<&'static str> {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = kept.get(name) {
        return Some(name);
    }
    if kept.len() >= MOST_KEPT {
        return None;
    }
    let name: &'static str = Box::leak(name.into());
    kept.insert(name);
    Some(name)
}
