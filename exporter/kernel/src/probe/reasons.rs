//! Names of drop reasons. Their numbers differ from kernel to kernel, so the names come from the running one.

use super::btf::Btf;
use std::collections::{BTreeSet, HashMap};

/// Enumerations that name reasons, and the prefix that their names share. All but the first are of subsystems, whose number
/// stands in the upper 16 bits of each value; their names keep the subsystem.
const ENUMERATIONS: [(&str, &str); 4] = [
    ("skb_drop_reason", "SKB_DROP_REASON_"),
    ("mac80211_drop_reason", ""),
    ("ovs_drop_reason", ""),
    ("qdisc_drop_reason", ""),
];

/// A queueing discipline that gives no reason of its own: the same as on kernels where none can.
const GENERIC: (&str, &str) = ("QDISC_DROP_GENERIC", "QDISC_DROP");

/// The names of numbers, and where they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    names: HashMap<u32, String>,
    modules: BTreeSet<&'static str>,
}

impl Reasons {
    /// Adds the names in a module's BTF; without BTF it names none.
    pub fn add_module(&mut self, module: &'static str, btf: Option<&Btf>) {
        self.modules.insert(module);
        if let Some(btf) = btf {
            self.add(btf);
        }
    }

    /// Whether a module was added.
    pub fn have(&self, module: &str) -> bool {
        self.modules.contains(module)
    }

    /// Whether a reason has this name.
    pub fn have_name(&self, name: &str) -> bool {
        self.names.values().any(|known| known == name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.values().map(String::as_str)
    }

    /// Whether a number is of a subsystem and has no name: that of a module, perhaps.
    pub fn lack(&self, number: u32) -> bool {
        number >> 16 != 0 && !self.names.contains_key(&number)
    }

    /// Adds the names in BTF. What has a name keeps it.
    pub fn add(&mut self, btf: &Btf) {
        for (enumeration, prefix) in ENUMERATIONS {
            for (name, value) in btf.enumerators(enumeration).unwrap_or_default() {
                // The mask and the bounds of the enumeration are no reasons; `__` begins the bounds of subsystems.
                let bound = name.ends_with("_MAX") || name.ends_with("_MASK") || name.starts_with("__");
                if let Ok(number) = u32::try_from(value)
                    && !bound
                {
                    let short = if name == GENERIC.0 {
                        GENERIC.1
                    } else {
                        name.strip_prefix(prefix).unwrap_or(&name)
                    };
                    self.names.entry(number).or_insert_with(|| short.to_owned());
                }
            }
        }
    }

    /// The name of a reason; a number that the kernel does not name stays a number. A kernel without reasons gives "".
    pub fn name(&self, number: u32) -> String {
        match self.names.get(&number) {
            Some(name) => name.clone(),
            None if self.names.is_empty() => String::new(),
            None => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_reasons_gives_none() {
        assert_eq!(Reasons::default().name(3), "");
    }
}
