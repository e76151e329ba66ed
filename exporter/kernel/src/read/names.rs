//! Names for the numbers of a reading: of places in the kernel's code, and of drop reasons.

use super::ReadError;
use crate::{
    Kernel,
    probe::{features, symbols::Symbol},
};
use common::drops::DropKey;

impl Kernel {
    /// Finds the names of places and reasons, for [`Self::location`] and [`Self::reason`]; once for each collection.
    ///
    /// # Errors
    /// [`ReadError::Symbols`].
    pub fn learn_names(&mut self, drops: impl Iterator<Item = DropKey> + Clone) -> Result<(), ReadError> {
        self.symbols.follow_modules().map_err(ReadError::Symbols)?;
        self.learn(drops.map(|key| (key.location, key.reason)))
    }

    /// The same for pairs of place and reason.
    pub(super) fn learn(&mut self, drops: impl Iterator<Item = (u64, u32)> + Clone) -> Result<(), ReadError> {
        if drops.clone().any(|(_, reason)| self.reasons.lack(reason)) {
            features::read_new_modules(&self.btf, &mut self.reasons);
        }
        let addresses = drops.map(|(location, _)| location);
        self.symbols.resolve(addresses).map_err(ReadError::Symbols)
    }

    /// The name of a code address, or [`UNKNOWN`](crate::probe::symbols::UNKNOWN).
    pub fn location(&self, address: u64) -> String {
        self.symbols.name(address).to_owned()
    }

    /// What tells a code address without a name from others, as long as this process runs.
    pub fn alias(&self, address: u64) -> String {
        self.symbols.alias(address)
    }

    /// Where a code address lies, if the kernel says so.
    pub fn symbol(&self, address: u64) -> Option<&Symbol> {
        self.symbols.symbol(address)
    }

    /// The name of a drop reason.
    pub fn reason(&self, number: u32) -> String {
        self.reasons.name(number)
    }

    /// Whether this kernel has a drop reason.
    pub fn has_reason(&self, name: &str) -> bool {
        self.reasons.have_name(name)
    }
}
