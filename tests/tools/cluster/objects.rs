//! What the API server is asked to make: pods of every kind that talk TCP to each other, each with a server that sends back what it
//! gets, and a shell that does what the test writes into a file.

use serde_json::{Value, json};

use crate::programs::BUSYBOX;

/// The namespace of all of them.
pub(crate) const SHOP: &str = "shop";
/// The label of all of them.
pub(crate) const TALKER: &str = "tcpvitals-talker";
/// Where their servers listen.
pub(crate) const PORT: u16 = 9000;
/// Where the server of the pod on the node's network listens.
pub(crate) const HOST_PORT: u16 = 9100;
/// Where a pod looks for what it shall do.
pub(crate) const ORDER: &str = "order";
/// Where it writes what came of it.
pub(crate) const DONE: &str = "done";

/// What a kind of pod has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    BestEffort,
    Burstable,
    Guaranteed,
}

/// The fields of a pod.
pub(crate) fn pod_spec(port: u16, class: Class) -> Value {
    let script = format!(
        "trap 'exit 0' TERM; b=/bin/busybox; $b nc -ll -p {port} -e $b cat & \
         while :; do if [ -e /{ORDER} ]; then $b mv /{ORDER} /taken; . /taken >/said 2>&1; $b mv /said /{DONE}; fi; $b sleep 0.1; done"
    );
    let some = json!({"cpu": "10m", "memory": "16Mi"});
    let resources = match class {
        Class::BestEffort => json!({}),
        Class::Burstable => json!({"requests": some}),
        Class::Guaranteed => json!({"requests": some, "limits": {"cpu": "10m", "memory": "16Mi"}}),
    };
    json!({
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 1,
        "enableServiceLinks": false,
        "hostNetwork": port == HOST_PORT,
        "containers": [{
            "name": "talker",
            "image": BUSYBOX,
            "imagePullPolicy": "Never",
            "command": ["/bin/busybox", "sh", "-c", script],
            "resources": resources,
        }],
    })
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": SHOP, "labels": labels(name)})
}

fn labels(name: &str) -> Value {
    json!({"app": name, TALKER: "yes"})
}

fn controller(kind: &str, name: &str, more: Value, spec: Value) -> Value {
    let mut own = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": labels(name)}, "spec": spec},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        own[key] = value.clone();
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata(name), "spec": own})
}

/// A pod without a controller.
pub(crate) fn bare(name: &str, port: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata(name), "spec": pod_spec(port, Class::BestEffort)})
}

/// A Job of one pod.
fn job_spec(name: &str) -> Value {
    let mut spec = pod_spec(PORT, Class::BestEffort);
    spec["restartPolicy"] = "Never".into();
    json!({"template": {"metadata": {"labels": labels(name)}, "spec": spec}})
}

/// All kinds but static pods.
pub(crate) fn all() -> Vec<Value> {
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHOP}}),
        controller(
            "Deployment",
            "web",
            json!({"replicas": 2}),
            pod_spec(PORT, Class::Burstable),
        ),
        controller(
            "StatefulSet",
            "store",
            json!({"replicas": 2, "serviceName": "store", "podManagementPolicy": "Parallel"}),
            pod_spec(PORT, Class::Guaranteed),
        ),
        controller("DaemonSet", "agent", json!({}), pod_spec(PORT, Class::BestEffort)),
        controller(
            "ReplicaSet",
            "plain",
            json!({"replicas": 1}),
            pod_spec(PORT, Class::BestEffort),
        ),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata("import"), "spec": job_spec("import")}),
        json!({"apiVersion": "batch/v1beta1", "kind": "CronJob", "metadata": metadata("tick"), "spec": {
            "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job_spec("tick")},
        }}),
        bare("alone", PORT),
        bare("on-host", HOST_PORT),
    ]
}

/// The manifest of a static pod, as the kubelet reads it from a file.
pub(crate) fn static_pod(name: &str) -> Value {
    bare(name, PORT)
}
