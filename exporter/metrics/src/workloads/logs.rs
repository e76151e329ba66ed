//! Pods by the names of the folders below `/var/log/pods`, `NAMESPACE_POD_UID`: for nodes where the API is not to be asked.
//!
//! Such a name has no controller, so the workload is a **guess** from the pod's name. It errs towards one workload for many pods: a
//! name per pod would take a number for each. Its kind is `Pod`, as the kind of the controller is not known either.

use super::{
    Workload, kinds,
    name::is_number,
    path::PodId,
    pods::{Controller, PodMetadata, without_node},
};

/// The pod whose folder of logs has this name; `None` for another folder. `node` is the name of this node, for static pods.
pub fn pod_of_folder(folder: &str, node: Option<&str>) -> Option<PodMetadata> {
    // Neither a namespace nor a pod has an underscore in its name.
    let mut parts = folder.split('_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, PodId::parse(parts.next()?)?);
    if parts.next().is_some() || namespace.is_empty() || name.is_empty() {
        return None;
    }
    let is_static = matches!(uid, PodId::ConfigHash(_));
    Some(PodMetadata {
        uid,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        generate_name: None,
        pod_template_hash: None,
        controller: node.filter(|_| is_static).map(|node| Controller {
            kind: "Node".to_owned(),
            name: node.to_owned(),
        }),
        created: None,
        config_hash: is_static.then_some(uid),
        config_source: is_static.then(|| "file".to_owned()),
    })
}

/// The workload of such a pod, as a guess.
pub fn workload_of(pod: &PodMetadata) -> Workload {
    let name = match (&pod.controller, pod.config_hash) {
        (Some(node), _) => without_node(&pod.name, &node.name),
        // It ends with the name of a node, which is not known.
        (None, Some(_)) => &pod.name,
        (None, None) => guess(&pod.name),
    };
    Workload::in_kubernetes(&pod.namespace, kinds::POD, name)
}

/// What remains of a pod's name without what its controller seems to have appended.
fn guess(pod: &str) -> &str {
    let Some(controller) = without_last(pod, is_random) else {
        // Without a random part it can be of a StatefulSet only.
        return without_last(pod, is_ordinal).unwrap_or(pod);
    };
    without_last(controller, is_template_hash)
        .or_else(|| without_last(controller, is_time))
        .unwrap_or(controller)
}

/// A name without its last part, if that is of this form.
fn without_last(name: &str, is_form: impl Fn(&str) -> bool) -> Option<&str> {
    let (rest, last) = name.rsplit_once('-')?;
    (!rest.is_empty() && is_form(last)).then_some(rest)
}

/// What the API server appends to `generateName`: five of the letters and digits that make no words
/// (`k8s.io/apimachinery/pkg/util/rand`).
fn is_random(part: &str) -> bool {
    part.len() == 5
        && part
            .chars()
            .all(|letter| "bcdfghjklmnpqrstvwxz2456789".contains(letter))
}

/// The hash of a template of a ReplicaSet: a decimal number of 32 bits with each digit replaced (`rand.SafeEncodeString`), so these ten
/// letters and digits alone. Nearly all have eight to ten of them.
fn is_template_hash(part: &str) -> bool {
    (8..=10).contains(&part.len()) && part.chars().all(|letter| "456789bcdf".contains(letter))
}

/// When a Job of a CronJob was due: minutes since the epoch have 8 digits, seconds have 10.
fn is_time(part: &str) -> bool {
    [8, 10].contains(&part.len()) && is_number(part)
}

/// The number of a pod of a StatefulSet.
fn is_ordinal(part: &str) -> bool {
    part.len() <= 5 && is_number(part) && (part == "0" || !part.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "c155dbae-1f2c-4f0e-9d0a-b52f4e2b1c3d";
    const HASH: &str = "902093a5baef883ae52ad163ff157a2b";

    #[test]
    fn a_folder_names_a_pod() {
        let pod = pod_of_folder(&format!("shop_cart-6d4cf56db6-x2x9k_{UID}"), Some("node-1")).unwrap();
        assert_eq!(
            (pod.namespace.as_str(), pod.name.as_str()),
            ("shop", "cart-6d4cf56db6-x2x9k")
        );
        assert_eq!(pod.uid.to_string(), UID);
        assert_eq!(workload_of(&pod), Workload::in_kubernetes("shop", "Pod", "cart"));
        for bad in [
            "",
            "shop",
            "shop_cart",
            "shop_cart_1",
            "_cart_c155dbae-1f2c-4f0e-9d0a-b52f4e2b1c3d",
            "a_b_c_d",
        ] {
            assert_eq!(pod_of_folder(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn a_static_pod_is_known_by_the_hash_of_its_manifest() {
        let folder = format!("kube-system_etcd-node-1_{HASH}");
        let of = |node| workload_of(&pod_of_folder(&folder, node).unwrap()).name;
        assert_eq!(of(Some("node-1")), "etcd");
        assert_eq!(of(None), "etcd-node-1");
    }

    #[test]
    fn a_guess_drops_what_controllers_append() {
        for (pod, workload) in [
            ("coredns-66bff467f8-6kl7p", "coredns"),
            ("coredns-558bd4d5db-x2x9k", "coredns"),
            ("kube-proxy-x2x9k", "kube-proxy"),
            ("report-29453760-x2x9k", "report"),
            ("report-1767225600-x2x9k", "report"),
            ("kafka-0", "kafka"),
            ("kafka-12", "kafka"),
            // Words have vowels, and no controller appends these.
            ("web", "web"),
            ("cache-redis", "cache-redis"),
            ("db-01", "db-01"),
            ("api-v2", "api-v2"),
            ("job-12345-x2x9k", "job-12345"),
            ("web-66bff467f1-x2x9k", "web-66bff467f1"),
            ("-x2x9k", "-x2x9k"),
            // A guess may be wrong: this is a whole name.
            ("my-nx499", "my"),
        ] {
            assert_eq!(guess(pod), workload, "{pod}");
        }
    }
}
