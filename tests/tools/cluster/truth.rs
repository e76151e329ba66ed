//! What the API server and the node's kernel say themselves: which pods there are, who made them, which processes and network
//! namespaces they are, and what the kernel counted there.

use std::collections::BTreeMap;
use std::fs::{read_to_string, rename, write};
use std::iter::zip;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::machine::wait::until;

use crate::node::{NODE, Node, in_network_of};
use crate::objects::{DONE, HOST_PORT, ORDER, PORT, TALKER};
use crate::programs::containerd_socket;
use crate::traffic::feed;

/// A workload as the labels tell it: namespace, kind, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Workload {
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Workload {
    /// The labels of metrics of TCP.
    pub(crate) fn labels(&self) -> [(&str, &str); 3] {
        [
            ("workload_namespace", &self.namespace),
            ("workload_kind", &self.kind),
            ("workload", &self.name),
        ]
    }

    /// What has no name.
    pub(crate) fn unresolved() -> Self {
        let word = || "unresolved".to_owned();
        Self {
            namespace: word(),
            kind: word(),
            name: word(),
        }
    }
}

/// A pod that runs.
#[derive(Clone, Debug)]
pub(crate) struct Talker {
    pub(crate) pod: String,
    pub(crate) workload: Workload,
    pub(crate) address: String,
    pub(crate) port: u16,
    /// The first process of its container, by its number outside.
    pub(crate) process: i32,
}

/// The pods that run now.
pub(crate) fn talkers(node: &Node) -> Result<Vec<Talker>> {
    let listed = get(node, &["pods", "--all-namespaces", "--selector", TALKER])?;
    let mut all = Vec::new();
    for pod in items(&listed) {
        let is_ready = pod["status"]["containerStatuses"][0]["ready"] == true;
        if !is_ready || !pod["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let is_on_host = pod["spec"]["hostNetwork"] == true;
        // Between the container's end and the kubelet's word of it there is none.
        if let Some(process) = process_of(node, pod)? {
            all.push(Talker {
                pod: text(&pod["metadata"]["name"])?.to_owned(),
                workload: workload_of(node, pod)?,
                address: text(&pod["status"]["podIP"])?.to_owned(),
                port: if is_on_host { HOST_PORT } else { PORT },
                process,
            });
        }
    }
    Ok(all)
}

/// Whose a pod is, by following its owners up as far as they go.
pub(crate) fn workload_of(node: &Node, pod: &Value) -> Result<Workload> {
    let namespace = text(&pod["metadata"]["namespace"])?.to_owned();
    let mut object = pod.clone();
    let mut kind = "Pod".to_owned();
    while let Some(owner) = owner(&object).cloned() {
        if owner["kind"] == "Node" {
            // A mirror's name is that of the manifest and the node's.
            let name = text(&object["metadata"]["name"])?;
            let name = name
                .strip_suffix(&format!("-{NODE}"))
                .context("a mirror of another node")?;
            return Ok(Workload {
                namespace,
                kind,
                name: name.to_owned(),
            });
        }
        kind = text(&owner["kind"])?.to_owned();
        let (lower, name) = (kind.to_lowercase(), text(&owner["name"])?.to_owned());
        object = get(node, &["--namespace", &namespace, &lower, &name])?;
        ensure!(
            object["metadata"]["uid"] == owner["uid"],
            "{kind} {name} is another one by now"
        );
    }
    Ok(Workload {
        namespace,
        kind,
        name: text(&object["metadata"]["name"])?.to_owned(),
    })
}

fn owner(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)
}

/// The first process of a pod's container: the cgroup has the pod's UID in its path, of a static pod the hash of its manifest.
fn process_of(node: &Node, pod: &Value) -> Result<Option<i32>> {
    let hash = &pod["metadata"]["annotations"]["kubernetes.io/config.hash"];
    let uid = hash.as_str().map_or_else(|| text(&pod["metadata"]["uid"]), Ok)?;
    let container = text(&pod["status"]["containerStatuses"][0]["containerID"])?;
    let Some(container) = container.strip_prefix("containerd://") else {
        return Ok(None);
    };
    let class = match text(&pod["status"]["qosClass"])? {
        "Guaranteed" => String::new(),
        class => format!("{}/", class.to_lowercase()),
    };
    first_of(&node.cgroup()?.join(format!("kubepods/{class}pod{uid}/{container}")))
}

/// The process of a cgroup that is the first in its own PID namespace, once it is the container's: before, its root is the node's.
fn first_of(cgroup: &Path) -> Result<Option<i32>> {
    let Ok(processes) = read_to_string(cgroup.join("cgroup.procs")) else {
        return Ok(None);
    };
    for process in processes.lines() {
        // Those that have ended meanwhile are not the first.
        let status = read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let command = read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        if !command.starts_with("/bin/busybox\0sh") {
            continue;
        }
        if numbers.and_then(|numbers| numbers.split_whitespace().last()) == Some("1") {
            return Ok(Some(process.parse()?));
        }
    }
    Ok(None)
}

/// A pod that only the node knows, for the API server does not run: by what containerd says, and by what its network namespace has.
pub(crate) fn talker_by_node(node: &Node, pod: &str, workload: Workload) -> Result<Talker> {
    let filter = format!("labels.\"io.kubernetes.pod.name\"=={pod},labels.\"io.kubernetes.container.name\"==talker");
    let process = until(&format!("the container of {pod}"), || {
        let ids = ctr(node, &["containers", "list", "--quiet", &filter])?;
        for id in ids.lines() {
            let found = feed(
                &[
                    "find",
                    node.cgroup()?.to_str().context("a path that is text")?,
                    "-type",
                    "d",
                    "-name",
                    id,
                ],
                "",
            )?;
            for folder in found.lines() {
                if let Some(process) = first_of(Path::new(folder))? {
                    return Ok(Some(process));
                }
            }
        }
        Ok(None)
    })?;
    let addresses = in_network_of(process, || {
        feed(&["ip", "-json", "-4", "address", "show", "dev", "eth0"], "")
    })?;
    let addresses: Value = serde_json::from_str(&addresses)?;
    Ok(Talker {
        pod: pod.to_owned(),
        workload,
        address: text(&addresses[0]["addr_info"][0]["local"])?.to_owned(),
        port: PORT,
        process,
    })
}

/// A command of containerd's own client.
pub(crate) fn ctr(node: &Node, arguments: &[&str]) -> Result<String> {
    let socket = containerd_socket(node);
    let own = ["--address", &socket, "--namespace", "k8s.io"];
    node.run(
        "ctr",
        &own.into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>(),
    )
}

/// An object, or a list of them.
pub(crate) fn get(node: &Node, what: &[&str]) -> Result<Value> {
    let arguments: Vec<&str> = ["get", "--output=json"].iter().chain(what).copied().collect();
    serde_json::from_str(&node.run("kubectl", &arguments)?).with_context(|| format!("read {what:?}"))
}

/// The objects of a list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

pub(crate) fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

impl Talker {
    /// Has the pod run a script of its shell, and does not wait.
    pub(crate) fn order(&self, script: &str) -> Result<()> {
        let part = self.file(&format!("{ORDER}.part"));
        write(&part, script).with_context(|| format!("write into {}", self.pod))?;
        Ok(rename(part, self.file(ORDER))?)
    }

    /// Waits until it has, and gives what that said.
    pub(crate) fn done(&self) -> Result<String> {
        let file = self.file(DONE);
        until(&format!("{} to have done as told", self.pod), || {
            Ok(file.exists().then_some(()))
        })?;
        let said = read_to_string(&file)?;
        std::fs::remove_file(file)?;
        Ok(said)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.process.to_string())
            .join("root")
            .join(name)
    }

    pub(crate) fn is_on_host(&self) -> bool {
        self.port == HOST_PORT
    }

    /// What the kernel counted in its network namespace since that was made, by the names of nstat(8).
    pub(crate) fn counted(&self) -> Result<BTreeMap<String, u64>> {
        let mut all = BTreeMap::new();
        for file in ["snmp", "netstat"] {
            let text = read_to_string(format!("/proc/{}/net/{file}", self.process))?;
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.chunks_exact(2) {
                let group = pair[0].split(':').next().unwrap_or_default();
                for (name, value) in zip(pair[0].split_whitespace(), pair[1].split_whitespace()).skip(1) {
                    // Some are limits, and negative.
                    if let Ok(value) = value.parse() {
                        all.insert(format!("{group}{name}"), value);
                    }
                }
            }
        }
        Ok(all)
    }
}
