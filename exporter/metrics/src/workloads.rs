//! Workloads: whose traffic it is. From the path of a cgroup and the metadata of pods to a few names that labels can bear.
//!
//! - `path`: whose cgroup this is, by a table of forms; `units`: units of systemd, folded; `name`: bounds, and what is an id
//! - `pods`: from the metadata of a pod to its workload; `logs`: the same of a folder of logs, as a guess
//! - `known`: pods by their UID; `numbers`: the number that the kernel counts a workload under
//! - `instance`: which pod and container of a workload, for those who show connections one by one
//!
//! Paths come from the kernel, pods from the API server or the names of folders; numbers go to the kernel's tables, names to labels.
//! Never an id, a hash or an address in a name: what comes and goes makes no new workloads.

pub mod book;
mod instance;
pub mod known;
pub mod logs;
mod name;
pub mod numbers;
pub mod path;
pub mod pods;
mod units;

pub use instance::Instance;
pub use path::{Container, Owner, Rules, Whose, owner_of};

/// Kinds of workloads that no controller of Kubernetes stands for. Those of Kubernetes begin with a capital letter, ours do not.
pub mod kinds {
    /// A unit of systemd; its name keeps its suffix.
    pub const UNIT: &str = "unit";
    /// Everything that people run: sessions and the services of their own systemd.
    pub const USER: &str = "user";
    /// Containers of an engine that lie in no unit of their own; the name is the engine's.
    pub const CONTAINER: &str = "container";
    /// A container of LXC.
    pub const LXC: &str = "lxc";
    /// A container of systemd-nspawn, or another machine that registers as one.
    pub const MACHINE: &str = "machine";
    /// A virtual machine of libvirt.
    pub const VM: &str = "vm";
    /// A task of Nomad.
    pub const NOMAD: &str = "nomad";
    /// Tasks of Amazon ECS.
    pub const ECS: &str = "ecs";
    /// Another cgroup, by the name of its folder.
    pub const CGROUP: &str = "cgroup";
    /// A pod without a controller, or whose controller is not known.
    pub const POD: &str = "Pod";
}

/// Whose traffic it is, as the labels `workload_namespace`, `workload_kind` and `workload` show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// The namespace in Kubernetes; empty outside of it.
    pub namespace: String,
    /// The kind of its controller in Kubernetes, else one of [`kinds`], else the name of a special workload.
    pub kind: String,
    /// Its name: at most 128 bytes, without ids.
    pub name: String,
}

/// Names of the special workloads.
const HOST: &str = "host";
const UNRESOLVED: &str = "unresolved";
const SHARED: &str = "shared";
const OTHER: &str = tcpvitals_config::OTHER;
const SPECIAL: [&str; 4] = [UNRESOLVED, HOST, SHARED, OTHER];

impl Workload {
    /// A workload of Kubernetes.
    pub fn in_kubernetes(namespace: &str, kind: &str, name: &str) -> Self {
        Self {
            namespace: name::bounded(namespace),
            kind: name::bounded(kind),
            name: name::bounded(name),
        }
    }

    /// A workload outside of Kubernetes. Whoever is called like a special workload gets a slash in front of its name: some metrics
    /// show no kind.
    pub(crate) fn outside(kind: &'static str, name: &str) -> Self {
        let slash = if SPECIAL.contains(&name) { "/" } else { "" };
        Self {
            namespace: String::new(),
            kind: kind.to_owned(),
            name: name::bounded(&format!("{slash}{name}")),
        }
    }

    /// The kernel's own sockets, and processes in the root cgroup. It has no namespace.
    pub fn host() -> Self {
        Self {
            namespace: String::new(),
            kind: HOST.to_owned(),
            name: HOST.to_owned(),
        }
    }

    /// All pods, where nobody tells them apart.
    pub fn of_all_pods() -> Self {
        Self::outside(kinds::CGROUP, "kubepods")
    }

    /// What had no name when it was counted.
    pub fn unresolved() -> Self {
        Self::of_any_namespace(UNRESOLVED)
    }

    /// A network namespace that several workloads use.
    pub fn shared() -> Self {
        Self::of_any_namespace(SHARED)
    }

    /// Workloads beyond the limit.
    pub fn other() -> Self {
        Self::of_any_namespace(OTHER)
    }

    /// Those whose namespace nobody knows, which is not the same as none: all three labels say so.
    fn of_any_namespace(name: &str) -> Self {
        Self {
            namespace: name.to_owned(),
            kind: name.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Whether a namespace or a name is that of a workload of any namespace.
pub(crate) fn is_special(name: &str) -> bool {
    SPECIAL.contains(&name) && name != HOST
}

/// A workload in one word, for people: `shop/cart`, or its name alone outside of Kubernetes.
pub fn qualified(namespace: &str, name: &str) -> String {
    // Those of any namespace have their name there.
    if namespace.is_empty() || (namespace == name && SPECIAL.contains(&name)) {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_for_a_special_workload() {
        assert_eq!(Workload::outside(kinds::LXC, "host").name, "/host");
        assert_eq!(Workload::outside(kinds::LXC, "web").name, "web");
        let special = [
            Workload::host(),
            Workload::unresolved(),
            Workload::shared(),
            Workload::other(),
        ];
        for name in SPECIAL {
            for kind in [kinds::CGROUP, kinds::USER] {
                let outside = Workload::outside(kind, name);
                assert!(special.iter().all(|special| special.name != outside.name), "{name}");
            }
            // A namespace has a name in Kubernetes, and a kind there has a capital letter.
            let inside = Workload::in_kubernetes(name, "Deployment", name);
            assert!(!special.contains(&inside), "{name}");
        }
    }

    #[test]
    fn people_see_the_namespace_where_there_is_one() {
        for (workload, expected) in [
            (Workload::in_kubernetes("shop", "Deployment", "cart"), "shop/cart"),
            (Workload::in_kubernetes("cart", "Deployment", "cart"), "cart/cart"),
            (Workload::outside(kinds::UNIT, "nginx.service"), "nginx.service"),
            (Workload::host(), "host"),
            (Workload::unresolved(), "unresolved"),
        ] {
            assert_eq!(qualified(&workload.namespace, &workload.name), expected);
        }
    }
}
