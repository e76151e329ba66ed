//! Names of drop reasons. Their numbers differ from kernel to kernel, so the names come from the running one.

use super::btf::Btf;
use std::collections::HashMap;

/// Enumerations that name reasons, and the prefix that their names share. All but the first are of subsystems, whose number
/// stands in the upper 16 bits of each value; their names keep the subsystem.
const ENUMERATIONS: [(&str, &str); 4] = [
    ("skb_drop_reason", "SKB_DROP_REASON_"),
    ("mac80211_drop_reason", ""),
    ("ovs_drop_reason", ""),
    ("qdisc_drop_reason", ""),
];

/// Number -> name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(HashMap<u32, String>);

impl Reasons {
    /// The names in a kernel's BTF and in that of its modules.
    pub fn of_btf(kernel: &Btf, modules: impl Iterator<Item = Btf>) -> Self {
        let mut reasons = Self::default();
        reasons.add(kernel);
        for module in modules {
            reasons.add(&module);
        }
        reasons
    }

    fn add(&mut self, btf: &Btf) {
        for (enumeration, prefix) in ENUMERATIONS {
            for (name, value) in btf.enumerators(enumeration).unwrap_or_default() {
                // The mask and the bounds of the enumeration are no reasons; `__` begins the bounds of subsystems.
                let bound = name.ends_with("_MAX") || name.ends_with("_MASK") || name.starts_with("__");
                if let Ok(number) = u32::try_from(value)
                    && !bound
                {
                    let short = name.strip_prefix(prefix).unwrap_or(&name);
                    self.0.entry(number).or_insert_with(|| short.to_owned());
                }
            }
        }
    }

    /// The name of a reason; a number that the kernel does not name stays a number. A kernel without reasons gives "".
    pub fn name(&self, number: u32) -> String {
        match self.0.get(&number) {
            Some(name) => name.clone(),
            None if self.0.is_empty() => String::new(),
            None => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, iter};

    #[test]
    fn the_running_kernel_names_its_reasons() {
        let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        let reasons = Reasons::of_btf(&btf, iter::empty());
        let numbers: HashMap<String, i64> = btf.enumerators("skb_drop_reason").unwrap().into_iter().collect();
        for short in ["NOT_SPECIFIED", "NETFILTER_DROP", "NO_SOCKET"] {
            let number = numbers[&format!("SKB_DROP_REASON_{short}")];
            assert_eq!(reasons.name(u32::try_from(number).unwrap()), short);
        }
        assert_eq!(reasons.name(7 << 16 | 1), "458753");
    }

    #[test]
    fn a_kernel_without_reasons_gives_none() {
        assert_eq!(Reasons::default().name(3), "");
    }
}
