//! The items: one file each, which measures one thing and says what it found.

use anyhow::Result;

use crate::context::Context;
use crate::report::model::Item;

/// One bench.
pub(crate) struct Entry {
    /// Name, as in [`Item::id`].
    pub(crate) id: &'static str,
    /// Measures.
    pub(crate) run: fn(&Context) -> Result<Item>,
}

/// All of them, in the order of the page.
pub(crate) const ITEMS: &[Entry] = &[];
