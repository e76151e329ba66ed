//! The pods of this node: from what a path calls a pod to its workload. From `pods` or `logs`; asked when a cgroup appears.
//!
//! Bounded. A pod that was deleted lingers until as many others were deleted after it: its connections outlive it, and a cgroup may be
//! told late.

use super::{
    Workload,
    path::{Owner, PodId, Whose},
    pods::PodMetadata,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is known of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name. Never in a label; for `top`, `trace` and the API.
    pub name: String,
    /// What it counts as.
    pub workload: Workload,
    /// What the paths of its cgroups have instead of its UID.
    config_hash: Option<PodId>,
    /// A Node is its controller: it stands for a static pod.
    is_mirror: bool,
    /// When it was deleted, in deletions.
    deleted: Option<u64>,
}

/// What a pod that was told changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not known, or had another workload: cgroups of it are to be resolved again.
    Workload,
    /// Nothing that counts.
    Nothing,
    /// It does not fit; it stays unresolved until it is told again and others are gone.
    Refused,
}

/// All pods that are known.
#[derive(Clone, Debug)]
pub struct Pods {
    by_uid: HashMap<PodId, Pod>,
    by_hash: HashMap<PodId, PodId>,
    /// Deleted pods, the first first.
    deleted: BTreeMap<u64, PodId>,
    deletions: u64,
    most_living: usize,
    most_deleted: usize,
    refused: u64,
}

impl Pods {
    /// No pods, with room for as many that live, and as many that were deleted.
    pub fn new(most_living: usize, most_deleted: usize) -> Self {
        Self {
            by_uid: HashMap::new(),
            by_hash: HashMap::new(),
            deleted: BTreeMap::new(),
            deletions: 0,
            most_living,
            most_deleted,
            refused: 0,
        }
    }

    /// Takes over a pod that is new or was modified, with the workload that its source gives it.
    pub fn put(&mut self, pod: &PodMetadata, workload: Workload) -> Change {
        let before = self.by_uid.get(&pod.uid);
        let lives = before.is_some_and(|before| before.deleted.is_none());
        if !lives && self.living() >= self.most_living {
            self.refused = self.refused.saturating_add(1);
            return Change::Refused;
        }
        let told = before.is_some_and(|before| before.workload == workload && before.config_hash == pod.config_hash);
        self.forget(&pod.uid);
        let is_mirror = pod.controller.as_ref().is_some_and(|owner| owner.kind == "Node");
        // Whoever makes a pod may annotate it with any hash: that takes none from a mirror.
        if let Some(hash) = pod.config_hash
            && (is_mirror || self.pod(&hash).is_none_or(|holder| !holder.is_mirror))
        {
            self.by_hash.insert(hash, pod.uid);
        }
        let known = Pod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            workload,
            config_hash: pod.config_hash,
            is_mirror,
            deleted: None,
        };
        self.by_uid.insert(pod.uid, known);
        if told { Change::Nothing } else { Change::Workload }
    }

    /// A pod was deleted: it lingers.
    pub fn delete(&mut self, uid: &PodId) {
        let Some(pod) = self.by_uid.get_mut(uid).filter(|pod| pod.deleted.is_none()) else {
            return;
        };
        pod.deleted = Some(self.deletions);
        self.deleted.insert(self.deletions, *uid);
        self.deletions += 1;
        while self.deleted.len() > self.most_deleted
            && let Some((_, first)) = self.deleted.pop_first()
        {
            self.forget(&first);
        }
    }

    /// All living pods were listed anew: those that are not among them were deleted unseen.
    pub fn keep(&mut self, listed: &HashSet<PodId>) {
        let living = self.by_uid.iter().filter(|(_, pod)| pod.deleted.is_none());
        let mut gone: Vec<PodId> = living
            .map(|(uid, _)| *uid)
            .filter(|uid| !listed.contains(uid))
            .collect();
        gone.sort_unstable();
        for uid in gone {
            self.delete(&uid);
        }
    }

    /// The pod that a path calls so: by its UID, which the API server gives, before the annotation of any pod.
    pub fn pod(&self, id: &PodId) -> Option<&Pod> {
        let by_hash = || self.by_uid.get(self.by_hash.get(id)?);
        self.by_uid.get(id).or_else(by_hash)
    }

    /// The workload of an owner; `None` for a pod that nobody has told yet.
    pub fn workload(&self, owner: &Owner) -> Option<Workload> {
        match &owner.whose {
            Whose::Host => Some(Workload::host()),
            Whose::Workload(workload) => Some(workload.clone()),
            Whose::Pod { .. } => self.pod_of(owner).map(|pod| pod.workload.clone()),
        }
    }

    /// The pod of an owner, of nested ones the uppermost that is known; `None` outside of pods, and for one that nobody has told yet.
    pub fn pod_of(&self, owner: &Owner) -> Option<&Pod> {
        let Whose::Pod { id, nested } = &owner.whose else {
            return None;
        };
        let mut ids = [id].into_iter().chain(nested);
        ids.find_map(|id| self.pod(id))
    }

    /// How many live.
    pub fn living(&self) -> usize {
        self.by_uid.len() - self.deleted.len()
    }

    /// How many times a pod did not fit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn forget(&mut self, uid: &PodId) {
        let Some(pod) = self.by_uid.remove(uid) else {
            return;
        };
        if let Some(deleted) = pod.deleted {
            self.deleted.remove(&deleted);
        }
        // Its manifest may have a newer mirror.
        if let Some(hash) = pod.config_hash
            && self.by_hash.get(&hash) == Some(uid)
        {
            self.by_hash.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pods::tests::pod, super::pods::workload_of, *};

    fn put(pods: &mut Pods, pod: &PodMetadata) -> Change {
        pods.put(pod, workload_of(pod))
    }

    fn name(pods: &Pods, id: PodId) -> Option<String> {
        pods.pod(&id).map(|pod| pod.workload.name.clone())
    }

    fn of_pod(id: PodId, nested: Vec<PodId>) -> Owner {
        Owner {
            whose: Whose::Pod { id, nested },
            container: None,
        }
    }

    #[test]
    fn a_pod_is_known_until_enough_others_are_gone() {
        let mut pods = Pods::new(2, 2);
        for uid in 1..=4 {
            assert_eq!(put(&mut pods, &pod(uid, &format!("p{uid}"), None)), Change::Workload);
            pods.delete(&PodId::Uid(uid));
            pods.delete(&PodId::Uid(uid));
        }
        let known = [1, 2, 3, 4].map(|uid| name(&pods, PodId::Uid(uid)).is_some());
        assert_eq!((known, pods.living()), ([false, false, true, true], 0));
    }

    #[test]
    fn a_pod_that_comes_back_lives() {
        let mut pods = Pods::new(2, 1);
        put(&mut pods, &pod(1, "a", None));
        pods.delete(&PodId::Uid(1));
        assert_eq!(put(&mut pods, &pod(1, "a", None)), Change::Nothing);
        put(&mut pods, &pod(2, "b", None));
        pods.delete(&PodId::Uid(2));
        assert_eq!((name(&pods, PodId::Uid(1)), pods.living()), (Some("a".to_owned()), 1));
    }

    #[test]
    fn another_controller_is_another_workload() {
        let mut pods = Pods::new(2, 1);
        put(&mut pods, &pod(1, "a", None));
        let adopted = pod(1, "a", Some(("ReplicaSet", "web")));
        assert_eq!(put(&mut pods, &adopted), Change::Workload);
        assert_eq!(put(&mut pods, &adopted), Change::Nothing);
        assert_eq!(name(&pods, PodId::Uid(1)), Some("web".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_counted() {
        let mut pods = Pods::new(1, 1);
        put(&mut pods, &pod(1, "a", None));
        assert_eq!(put(&mut pods, &pod(2, "b", None)), Change::Refused);
        assert_eq!((pods.refused(), name(&pods, PodId::Uid(2))), (1, None));
        pods.delete(&PodId::Uid(1));
        assert_eq!(put(&mut pods, &pod(2, "b", None)), Change::Workload);
    }

    #[test]
    fn a_static_pod_is_found_by_its_hash_also_when_its_mirror_is_a_new_one() {
        let hash = PodId::ConfigHash(7);
        let mirror = |uid| PodMetadata {
            config_hash: Some(hash),
            ..pod(uid, "etcd-n", Some(("Node", "n")))
        };
        let mut pods = Pods::new(2, 0);
        put(&mut pods, &mirror(1));
        put(&mut pods, &mirror(2));
        pods.delete(&PodId::Uid(1));
        assert_eq!(pods.workload(&of_pod(hash, Vec::new())).unwrap().name, "etcd");
        pods.delete(&PodId::Uid(2));
        assert_eq!(
            (pods.workload(&of_pod(hash, Vec::new())), pods.by_hash.len()),
            (None, 0)
        );
    }

    #[test]
    fn an_annotation_takes_neither_a_pod_nor_a_manifest_from_another() {
        let (uid, hash) = (PodId::Uid(1), PodId::ConfigHash(7));
        let claiming = |own: u128, id| PodMetadata {
            config_hash: Some(id),
            ..pod(own, "thief", None)
        };
        let mirror = PodMetadata {
            config_hash: Some(hash),
            ..pod(2, "etcd-n", Some(("Node", "n")))
        };
        let mut pods = Pods::new(8, 1);
        for told in [
            claiming(3, uid),
            claiming(4, hash),
            pod(1, "web", None),
            mirror,
            claiming(5, uid),
            claiming(6, hash),
        ] {
            put(&mut pods, &told);
        }
        let names = [uid, hash].map(|id| name(&pods, id));
        assert_eq!(names, [Some("web".to_owned()), Some("etcd".to_owned())]);
    }

    #[test]
    fn pods_that_a_list_leaves_out_were_deleted() {
        let mut pods = Pods::new(4, 1);
        for uid in 1..=3 {
            put(&mut pods, &pod(uid, &format!("p{uid}"), None));
        }
        pods.keep(&[PodId::Uid(2)].into());
        let known = [1, 2, 3].map(|uid| name(&pods, PodId::Uid(uid)).is_some());
        assert_eq!((known, pods.living()), ([false, true, true], 1));
    }

    #[test]
    fn of_nested_pods_the_uppermost_that_is_known_counts() {
        let mut pods = Pods::new(4, 1);
        let (inner, outer) = (PodId::Uid(1), PodId::Uid(2));
        let owner = of_pod(outer, vec![inner]);
        assert_eq!(pods.workload(&owner), None);
        put(&mut pods, &pod(1, "web", None));
        assert_eq!(pods.workload(&owner).unwrap().name, "web");
        put(&mut pods, &pod(2, "runner", None));
        assert_eq!(pods.workload(&owner).unwrap().name, "runner");
    }

    #[test]
    fn ten_thousand_pods_that_come_and_go_leave_nothing_behind() {
        let mut pods = Pods::new(8, 8);
        for uid in 0..10_000 {
            let short = PodMetadata {
                config_hash: Some(PodId::ConfigHash(uid)),
                ..pod(uid, "job-x", Some(("Job", "job")))
            };
            put(&mut pods, &short);
            pods.delete(&short.uid);
        }
        assert_eq!((pods.by_uid.len(), pods.by_hash.len(), pods.deleted.len()), (8, 8, 8));
    }
}
