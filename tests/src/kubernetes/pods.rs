//! Pods and nodes as an API server stores them, with all that a client must not want.

use serde_json::{Value, json};

/// A pod to be: whose, and where. Or a node.
#[derive(Clone, Debug)]
pub struct Pod {
    value: Value,
}

impl Pod {
    /// A pod without an owner, whose UID is made of its name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            value: json!({
                "kind": "Pod", "apiVersion": "v1",
                "metadata": {
                    "name": name, "namespace": namespace, "uid": uid(name), "creationTimestamp": "2024-02-29T12:00:01Z",
                    "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {"f:phase": {}}}}],
                },
                "spec": {"containers": [{"name": "a", "env": [{"name": "PASSWORD", "value": "geheim"}]}]},
                "status": {"phase": "Running"},
            }),
        }
    }

    /// A node with the network of its pods and an address.
    pub fn node(name: &str, pods: &str, address: &str) -> Self {
        Self {
            value: json!({
                "kind": "Node", "apiVersion": "v1",
                "metadata": {"name": name, "uid": uid(name), "creationTimestamp": "2024-02-29T12:00:01Z", "labels": {}},
                "spec": {"podCIDR": pods, "podCIDRs": [pods]},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                    "images": [{"names": ["a"], "sizeBytes": 1}],
                },
            }),
        }
    }

    /// With an owner that is its controller.
    pub fn of(mut self, kind: &str, name: &str) -> Self {
        self.value["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid(name), "controller": true}]);
        self
    }

    /// With a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.value["metadata"]["labels"][key] = value.into();
        self
    }

    /// With an annotation.
    pub fn annotate(mut self, key: &str, value: &str) -> Self {
        self.value["metadata"]["annotations"][key] = value.into();
        self
    }

    /// As it is in the store, at a version.
    pub(super) fn stored(mut self, node: Option<&str>, version: u64) -> Value {
        self.value["metadata"]["resourceVersion"] = version.to_string().into();
        if let Some(node) = node {
            self.value["spec"]["nodeName"] = node.into();
        }
        self.value
    }
}

/// A UID that belongs to this name.
pub fn uid(name: &str) -> String {
    let number = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d] = [number >> 32, number >> 16 & 0xffff, number & 0xfff, number >> 40];
    format!("{a:08x}-{b:04x}-4{c:03x}-8000-{d:012x}")
}
