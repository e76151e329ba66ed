//! Numbers for the pods and containers of a binary trace. Pure.

use std::collections::HashMap;
use tcpvitals_metrics::workloads::Instance;

/// The numbers that were given, and the last one. 0 stands for no pod and no container.
#[derive(Debug, Default)]
pub(super) struct Instances {
    numbers: HashMap<Instance, u32>,
    last: u32,
}

/// Most numbers that are remembered at a time. One that is forgotten and comes back gets another number.
const MOST: usize = common::workload::MOST_CGROUPS;

impl Instances {
    /// The number of a pod and a container, and whether it is a new one.
    pub(super) fn number(&mut self, instance: Option<&Instance>) -> (u32, bool) {
        let Some(instance) = instance.filter(|instance| !instance.is_empty()) else {
            return (0, false);
        };
        if let Some(number) = self.numbers.get(instance) {
            return (*number, false);
        }
        let Some(next) = self.last.checked_add(1) else {
            return (0, false);
        };
        if self.numbers.len() >= MOST {
            self.numbers.clear();
        }
        self.last = next;
        self.numbers.insert(instance.clone(), next);
        (next, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_number_and_none_is_given_twice() {
        let mut instances = Instances::default();
        let of = |pod: &str| Instance::new(pod, "");
        assert_eq!(instances.number(None), (0, false));
        assert_eq!(instances.number(Some(&of(""))), (0, false));
        assert_eq!(instances.number(Some(&of("a"))), (1, true));
        assert_eq!(instances.number(Some(&of("a"))), (1, false));
        for pod in 0..MOST {
            assert!(instances.number(Some(&of(&pod.to_string()))).1);
        }
        let after = u32::try_from(MOST).unwrap() + 2;
        assert_eq!(instances.number(Some(&of("a"))), (after, true));
        assert!(instances.numbers.len() <= MOST);
    }
}
