//! From the metadata of a pod to its workload: the controller that an operator knows.
//!
//! Decided by the owner reference, labels and annotations alone, never by the form of a pod's name. Time is in the metadata.

use super::{Workload, kinds, name::is_number, path::PodId};

/// What is known of a pod: parts of `ObjectMeta`, which a metadata-only watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMetadata {
    /// `metadata.uid`.
    pub uid: PodId,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.generateName`, which controllers set.
    pub generate_name: Option<String>,
    /// The label `pod-template-hash`, which the controller of Deployments sets.
    pub pod_template_hash: Option<String>,
    /// The owner reference with `controller: true`.
    pub controller: Option<Controller>,
    /// `metadata.creationTimestamp`, in seconds since the epoch.
    pub created: Option<u64>,
    /// The annotation `kubernetes.io/config.hash` of a static pod: what stands in the paths of its cgroups instead of the UID.
    pub config_hash: Option<PodId>,
    /// The annotation `kubernetes.io/config.source`: `file` or `http` for a static pod, `api` for others.
    pub config_source: Option<String>,
}

/// The controller that an owner reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name in the namespace of the pod.
    pub name: String,
}

/// The workload of a pod.
pub fn workload_of(pod: &PodMetadata) -> Workload {
    let workload = |kind: &str, name: &str| Workload::in_kubernetes(&pod.namespace, kind, name);
    let Some(Controller { kind, name }) = &pod.controller else {
        return workload(kinds::POD, without_random(pod));
    };
    match kind.as_str() {
        "ReplicaSet" => match deployment(name, pod.pod_template_hash.as_deref()) {
            Some(deployment) => workload("Deployment", deployment),
            None => workload(kind, name),
        },
        "Job" => match cron_job(name, pod.created) {
            Some(cron_job) => workload("CronJob", cron_job),
            None => workload(kind, name),
        },
        "Node" => workload(kinds::POD, without_node(&pod.name, name)),
        _ => workload(kind, name),
    }
}

/// The name of a pod without what the API server appended to its `generateName`: whoever makes pods by it makes many.
fn without_random(pod: &PodMetadata) -> &str {
    let generated = pod
        .generate_name
        .as_deref()
        .filter(|generate| pod.name.starts_with(generate));
    let own = generated.map(|generate| generate.trim_end_matches(['-', '.']));
    own.filter(|own| !own.is_empty()).unwrap_or(&pod.name)
}

/// The Deployment of a ReplicaSet: its name without the hash that the controller appends.
fn deployment<'a>(replica_set: &'a str, hash: Option<&str>) -> Option<&'a str> {
    let hash = hash.filter(|hash| !hash.is_empty())?;
    let deployment = replica_set.strip_suffix(hash)?.strip_suffix('-')?;
    (!deployment.is_empty()).then_some(deployment)
}

const DAY: u64 = 24 * 60 * 60;

/// The CronJob of a Job. Its controller appends the time that the Job was due: minutes since the epoch, seconds before Kubernetes
/// 1.21 or so (from memory). A pod that comes more than a day after it, in a retry, counts for the Job.
fn cron_job(job: &str, created: Option<u64>) -> Option<&str> {
    let created = created?;
    let (cron_job, digits) = job.rsplit_once('-')?;
    let number: u64 = is_number(digits).then(|| digits.parse().ok()).flatten()?;
    let was_due = |due: Option<u64>| due.is_some_and(|due| (created.saturating_sub(DAY)..=created).contains(&due));
    let is_time = was_due(number.checked_mul(60)) || was_due(Some(number));
    (is_time && !cron_job.is_empty() && !digits.starts_with('0')).then_some(cron_job)
}

/// The name of a static pod as its manifest has it: the kubelet appends the node's.
pub(super) fn without_node<'a>(pod: &'a str, node: &str) -> &'a str {
    let own = pod.strip_suffix(node).and_then(|own| own.strip_suffix('-'));
    own.filter(|own| !own.is_empty() && !node.is_empty()).unwrap_or(pod)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::workloads) fn pod(uid: u128, name: &str, controller: Option<(&str, &str)>) -> PodMetadata {
        PodMetadata {
            uid: PodId::Uid(uid),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            generate_name: None,
            pod_template_hash: None,
            controller: controller.map(|(kind, name)| Controller {
                kind: kind.to_owned(),
                name: name.to_owned(),
            }),
            created: None,
            config_hash: None,
            config_source: None,
        }
    }

    #[track_caller]
    fn check(pod: &PodMetadata, kind: &str, name: &str) {
        assert_eq!(workload_of(pod), Workload::in_kubernetes("shop", kind, name));
    }

    #[test]
    fn a_deployment_is_told_by_the_hash_that_the_label_gives() {
        let with_hash = |replica_set: &str, hash: Option<&str>| PodMetadata {
            pod_template_hash: hash.map(str::to_owned),
            ..pod(1, "cart-6d4cf56db6-x2x9k", Some(("ReplicaSet", replica_set)))
        };
        check(&with_hash("cart-6d4cf56db6", Some("6d4cf56db6")), "Deployment", "cart");
        // It looks like one, but nobody says so.
        check(&with_hash("cart-6d4cf56db6", None), "ReplicaSet", "cart-6d4cf56db6");
        check(
            &with_hash("cart-6d4cf56db6", Some("5bcf5f8d7f")),
            "ReplicaSet",
            "cart-6d4cf56db6",
        );
        check(&with_hash("6d4cf56db6", Some("6d4cf56db6")), "ReplicaSet", "6d4cf56db6");
        check(
            &with_hash("-6d4cf56db6", Some("6d4cf56db6")),
            "ReplicaSet",
            "-6d4cf56db6",
        );
        check(&with_hash("cart", Some("")), "ReplicaSet", "cart");
    }

    #[test]
    fn other_controllers_have_their_own_names() {
        for kind in ["StatefulSet", "DaemonSet", "ReplicationController", "CloneSet", "Job"] {
            check(&pod(1, "db-0", Some((kind, "db"))), kind, "db");
        }
    }

    #[test]
    fn a_job_is_of_a_cron_job_if_its_number_is_the_time_that_it_was_due() {
        const DUE: u64 = 1_767_225_600;
        let minutes = format!("report-{}", DUE / 60);
        let seconds = format!("report-{DUE}");
        let at = |job: &str, created: Option<u64>| PodMetadata {
            created,
            ..pod(1, "report-x2x9k", Some(("Job", job)))
        };
        for job in [&minutes, &seconds] {
            for created in [DUE, DUE + 30, DUE + DAY] {
                check(&at(job, Some(created)), "CronJob", "report");
            }
            for created in [Some(DUE - 1), Some(DUE + DAY + 1), None] {
                check(&at(job, created), "Job", job);
            }
        }
        for job in [
            "report",
            "report-2",
            "report-",
            "report-29453760a",
            "report-99999999999999999999",
            "-29453760",
            "report-+29453760",
        ] {
            check(&at(job, Some(DUE)), "Job", job);
        }
    }

    #[test]
    fn a_static_pod_loses_the_name_of_its_node() {
        check(&pod(1, "etcd-node-1", Some(("Node", "node-1"))), "Pod", "etcd");
        check(&pod(1, "etcd", Some(("Node", "node-1"))), "Pod", "etcd");
        check(&pod(1, "-node-1", Some(("Node", "node-1"))), "Pod", "-node-1");
    }

    #[test]
    fn a_pod_without_a_controller_is_its_own_workload() {
        check(&pod(1, "debug-x2x9k", None), "Pod", "debug-x2x9k");
    }

    #[test]
    fn pods_of_one_generated_name_are_one_workload() {
        let generated = |generate: &str| PodMetadata {
            generate_name: Some(generate.to_owned()),
            ..pod(1, "runner-x2x9k", None)
        };
        check(&generated("runner-"), "Pod", "runner");
        // Not of this name, or nothing but hyphens.
        for other in ["walker-", "", "-"] {
            check(&generated(other), "Pod", "runner-x2x9k");
        }
    }
}
