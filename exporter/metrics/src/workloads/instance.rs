//! Which of a workload's pods and containers: for `top`, `trace`, `capture` and the API, which show connections and packets one by one.
//! Never in a label. From `book`, by the id of a cgroup.

use super::name;

/// The pod and the container that a cgroup is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Instance {
    /// The name of the pod, in the namespace of its workload; empty outside of Kubernetes, and while nobody has told it.
    pub pod: String,
    /// The id of the container, as the commands of its engine take it; empty outside of containers.
    pub container_id: String,
}

/// As many bytes as Kubernetes allows the name of a pod, and a container's id has fewer.
const LONGEST: usize = 253;

impl Instance {
    /// One of these names, without what nobody can print.
    pub fn new(pod: &str, container_id: &str) -> Self {
        Self {
            pod: name::bounded_to(pod, LONGEST),
            container_id: name::bounded_to(container_id, LONGEST),
        }
    }

    /// Whether it is of no pod and no container.
    pub const fn is_empty(&self) -> bool {
        self.pod.is_empty() && self.container_id.is_empty()
    }

    /// Both values under their names; a value that is not known is empty.
    pub fn words(&self) -> [(&'static str, &str); 2] {
        [("pod", &self.pod), ("container_id", &self.container_id)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        let instance = Instance::new("web\n", &"x".repeat(1000));
        assert_eq!(instance.pod, "web\u{fffd}");
        assert!(instance.container_id.len() <= LONGEST);
        assert!(!instance.is_empty() && Instance::new("", "").is_empty());
    }
}
