//! The book: which cgroups there are, whose they are, and the number of each workload. Pure: cgroups and news of pods in, numbers out.

use super::Workload;
use super::{
    Instance, Owner, Rules, Whose,
    known::{Change, Pods},
    numbers::{Fill, Names, Numbers},
    path::{PodId, owner_of_names},
    pods::PodMetadata,
};
use common::workload::{Number, number::UNRESOLVED};
use std::collections::{HashMap, HashSet};

/// A cgroup, by its id, and the number of its workload.
pub type Given = (u64, Number);

/// Most pods that live on the node at a time, and most of those that are remembered after they were deleted.
const MOST_PODS: usize = 16_384;
const MOST_DELETED: usize = 1024;

/// Below so many cgroups nobody looks which of them have gone.
const FEW: usize = 1024;

/// Cgroups, pods and workloads, as they are known so far.
#[derive(Debug)]
pub struct Book {
    rules: Rules,
    /// Whether somebody tells whose a pod is. Otherwise all pods are one workload.
    has_pods: bool,
    numbers: Numbers,
    pods: Pods,
    cgroups: HashMap<u64, Known>,
    /// Those that are whose the cgroup above them is, and were met before it: by that.
    early: HashMap<u64, Vec<u64>>,
    /// How many cgroups there were when it was last looked which have gone.
    left: usize,
}

/// What is known of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// Whose it is; `None` for whose the cgroup above it is, as long as nobody knows that.
    owner: Option<Owner>,
    /// The number of its workload.
    number: Number,
}

impl Book {
    /// An empty one, for at most `limit` workloads.
    pub fn new(rules: Rules, has_pods: bool, limit: usize) -> Self {
        Self {
            rules,
            has_pods,
            numbers: Numbers::new(limit),
            pods: Pods::new(MOST_PODS, MOST_DELETED),
            cgroups: HashMap::new(),
            early: HashMap::new(),
            left: 0,
        }
    }

    /// The names of all numbers that were given.
    pub fn names(&mut self) -> Names {
        self.numbers.names()
    }

    /// How many workloads have a number, how many may, and how many were refused.
    pub fn fill(&self) -> Fill {
        let (used, capacity) = self.numbers.given();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Fill {
            used: number(used),
            capacity: number(capacity),
            refused: number(self.numbers.refused()),
        }
    }

    /// A cgroup was made or met, with these names from its own up. What is not UTF-8 is replaced. Where they do not reach up to the root,
    /// `above` is the cgroup above it, and whose that is decides. Gives its number, and those of cgroups below that waited for it; none
    /// for one of a pod that nobody has told yet.
    pub fn meet(&mut self, id: u64, above: Option<u64>, names: &[&[u8]]) -> Vec<Given> {
        let owner = match above {
            Some(above) => {
                let owner = self.cgroups.get(&above).and_then(|known| known.owner.clone());
                if owner.is_none() {
                    self.early.entry(above).or_default().push(id);
                }
                owner
            }
            None => Some(self.owner_by(names)),
        };
        let mut given = Vec::new();
        let mut met = vec![id];
        while let Some(id) = met.pop() {
            let number = owner.as_ref().map_or(UNRESOLVED, |owner| self.number_of(owner));
            let owner = owner.clone();
            let is_known = owner.is_some();
            self.cgroups.insert(id, Known { owner, number });
            if number != UNRESOLVED {
                given.push((id, number));
            }
            if is_known {
                met.extend(self.early.remove(&id).into_iter().flatten());
            }
        }
        given
    }

    fn owner_by(&self, names: &[&[u8]]) -> Owner {
        let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        owner_of_names(&names, &self.rules)
    }

    /// A pod was told; the cgroups that are known to be its own now.
    pub fn put(&mut self, pod: &PodMetadata, workload: Workload) -> Vec<Given> {
        match self.pods.put(pod, workload) {
            Change::Workload => self.resolve(pod),
            Change::Nothing | Change::Refused => Vec::new(),
        }
    }

    /// A pod is gone. What is known of it stays for a while: its connections outlive it.
    pub fn delete(&mut self, uid: &PodId) {
        self.pods.delete(uid);
    }

    /// Of all pods only these are left.
    pub fn keep(&mut self, uids: &HashSet<PodId>) {
        self.pods.keep(uids);
    }

    /// The pod and the container whose cgroup it is; `None` for a cgroup that nobody has met.
    pub fn instance(&self, id: u64) -> Option<Instance> {
        let owner = self.cgroups.get(&id)?.owner.as_ref()?;
        let pod = self.pods.pod_of(owner).map(|pod| pod.name.as_str());
        let container = owner.container.as_ref().map(|container| container.id.as_str());
        Some(Instance::new(pod.unwrap_or_default(), container.unwrap_or_default()))
    }

    /// Whether there are cgroups of pods that nobody has told yet.
    pub fn is_waiting(&self) -> bool {
        self.waiting().next().is_some()
    }

    fn waiting(&self) -> impl Iterator<Item = &Known> {
        let is_of_pod = |known: &&Known| known.number == UNRESOLVED && known.owner.is_some();
        self.cgroups.values().filter(is_of_pod)
    }

    /// Whether it is time to look which cgroups have gone: twice as many as last time.
    pub fn is_due_to_forget(&self) -> bool {
        self.cgroups.len() > FEW.max(2 * self.left)
    }

    /// Forgets all cgroups but these.
    pub fn forget_all_but(&mut self, living: &HashSet<u64>) {
        self.cgroups.retain(|id, _| living.contains(id));
        self.early.retain(|_, early| {
            early.retain(|id| living.contains(id));
            !early.is_empty()
        });
        self.left = self.cgroups.len();
    }

    fn number_of(&mut self, owner: &Owner) -> Number {
        match self.pods.workload(owner) {
            Some(workload) => self.numbers.number(&workload),
            None if self.has_pods => UNRESOLVED,
            None => self.numbers.number(&Workload::of_all_pods()),
        }
    }

    /// Cgroups of a pod that waited for it, and those that had another workload by then.
    fn resolve(&mut self, pod: &PodMetadata) -> Vec<Given> {
        let ids = [Some(pod.uid), pod.config_hash];
        let is_its_own = |owner: &&Owner| match &owner.whose {
            Whose::Pod { id, nested } => ids.contains(&Some(*id)) || nested.iter().any(|id| ids.contains(&Some(*id))),
            Whose::Host | Whose::Workload(_) => false,
        };
        let own: Vec<(u64, Owner)> = self
            .cgroups
            .iter()
            .filter_map(|(id, known)| Some((*id, known.owner.as_ref().filter(is_its_own)?.clone())))
            .collect();
        let mut given = Vec::new();
        for (id, owner) in own {
            let number = self.number_of(&owner);
            if let Some(known) = self.cgroups.get_mut(&id)
                && known.number != number
                && number != UNRESOLVED
            {
                known.number = number;
                given.push((id, number));
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::pods::{tests::pod, workload_of};

    const UID: u128 = 0x0c0b_2a7e_4f0a_4f5e_8a56_0d6c_0f7e_9a11;
    const OF_POD: [&str; 3] = [
        "cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        "kubepods-burstable-pod0c0b2a7e_4f0a_4f5e_8a56_0d6c0f7e9a11.slice",
        "kubepods.slice",
    ];

    fn book(has_pods: bool) -> Book {
        Book::new(Rules::default(), has_pods, 16)
    }

    fn meet(book: &mut Book, id: u64, names: &[&str]) -> Option<Number> {
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        book.meet(id, None, &names).first().map(|(_, number)| *number)
    }

    fn name(book: &mut Book, number: Number) -> Workload {
        book.names().name(number).unwrap().clone()
    }

    #[test]
    fn units_have_their_number_at_once_and_share_it() {
        let mut book = book(true);
        let first = meet(&mut book, 7, &["sshd.service", "system.slice"]).unwrap();
        let again = meet(&mut book, 8, &["sshd.service", "system.slice"]).unwrap();
        assert_eq!((first, name(&mut book, first).name), (again, "sshd.service".to_owned()));
        assert_eq!(meet(&mut book, 1, &[]), Some(common::workload::number::HOST));
    }

    #[test]
    fn a_cgroup_whose_names_do_not_reach_the_root_is_of_whom_the_one_above_is() {
        let mut book = book(true);
        let names = OF_POD.map(str::as_bytes);
        let below = |book: &mut Book, id, above| book.meet(id, Some(above), &names);
        // Two are met before it, since they have sockets.
        assert_eq!([below(&mut book, 9, 8), below(&mut book, 8, 7)], [vec![], vec![]]);
        assert!(!book.is_waiting());
        let service: [&[u8]; 2] = [b"web.service", b"system.slice"];
        let given = book.meet(7, None, &service);
        let unit = given[0].1;
        assert_eq!(given, [7, 8, 9].map(|id| (id, unit)));
        assert_eq!(below(&mut book, 10, 8), [(10, unit)]);
    }

    #[test]
    fn a_pod_has_its_number_when_it_is_told() {
        let mut book = book(true);
        assert_eq!(meet(&mut book, 7, &OF_POD), None);
        assert_eq!(meet(&mut book, 8, &OF_POD), None);
        let told = pod(UID, "cart-0", Some(("StatefulSet", "cart")));
        let mut given = book.put(&told, workload_of(&told));
        given.sort_unstable();
        assert_eq!(given.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(name(&mut book, given[0].1), workload_of(&told));
        // Told before its next cgroup.
        assert_eq!(meet(&mut book, 9, &OF_POD), Some(given[0].1));
        assert_eq!(book.put(&told, workload_of(&told)), []);
        // Deleted, but its sockets linger.
        book.delete(&PodId::Uid(UID));
        assert_eq!(meet(&mut book, 10, &OF_POD), Some(given[0].1));
    }

    #[test]
    fn a_cgroup_tells_its_pod_and_its_container() {
        const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let mut book = book(true);
        meet(&mut book, 7, &OF_POD);
        meet(&mut book, 8, &["sshd.service", "system.slice"]);
        assert_eq!(book.instance(7), Some(Instance::new("", ID)));
        let told = pod(UID, "cart-0", Some(("StatefulSet", "cart")));
        book.put(&told, workload_of(&told));
        // Deleted, but its sockets linger.
        book.delete(&PodId::Uid(UID));
        assert_eq!(book.instance(7), Some(Instance::new("cart-0", ID)));
        assert_eq!(book.instance(8), Some(Instance::default()));
        assert_eq!(book.instance(9), None);
    }

    #[test]
    fn without_a_source_of_names_all_pods_are_one_workload() {
        let mut book = book(false);
        let number = meet(&mut book, 7, &OF_POD).unwrap();
        assert_eq!(name(&mut book, number), Workload::of_all_pods());
    }

    #[test]
    fn cgroups_that_have_gone_are_forgotten() {
        let mut book = book(true);
        for id in 0..2000 {
            meet(&mut book, id, &OF_POD);
        }
        assert!(book.is_due_to_forget());
        book.forget_all_but(&[5, 6].into());
        assert!(!book.is_due_to_forget());
        assert_eq!((book.cgroups.len(), book.waiting().count()), (2, 2));
        book.forget_all_but(&HashSet::new());
        assert_eq!((book.cgroups.len(), book.waiting().count()), (0, 0));
    }
}
