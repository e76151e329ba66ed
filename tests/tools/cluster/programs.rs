//! The programs of the node, with their arguments and files.

use std::fs::{create_dir_all, write};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::node::{API_PORT, NODE, NODE_ADDRESS, Node, PODS, SERVICES};

/// A program and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) arguments: Vec<String>,
}

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";

/// The keys of tokens: which signs, and which others are believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenKeys {
    pub(crate) signs: &'static str,
    pub(crate) believed: &'static [&'static str],
}

/// As the cluster begins.
pub(crate) const FIRST_KEY: TokenKeys = TokenKeys {
    signs: "tokens-1",
    believed: &["tokens-1"],
};

fn program(name: &'static str, arguments: Vec<(&str, String)>) -> Program {
    let arguments = arguments.into_iter().map(|(flag, value)| format!("--{flag}={value}"));
    Program {
        name,
        arguments: arguments.collect(),
    }
}

pub(crate) fn etcd(node: &Node) -> Program {
    let text = str::to_owned;
    program(
        "etcd",
        vec![
            ("name", text(NODE)),
            ("data-dir", node.file("etcd").display().to_string()),
            ("unsafe-no-fsync", text("true")),
            ("listen-client-urls", text(ETCD)),
            ("advertise-client-urls", text(ETCD)),
            ("listen-peer-urls", text(ETCD_PEERS)),
            ("initial-advertise-peer-urls", text(ETCD_PEERS)),
            ("initial-cluster", format!("{NODE}={ETCD_PEERS}")),
        ],
    )
}

pub(crate) fn api_server(node: &Node, keys: TokenKeys) -> Program {
    let text = str::to_owned;
    let file = |name: &str| node.access.file(name).display().to_string();
    let mut arguments = vec![
        ("etcd-servers", text(ETCD)),
        ("secure-port", API_PORT.to_string()),
        ("advertise-address", text(NODE_ADDRESS)),
        ("service-cluster-ip-range", text(SERVICES)),
        ("cert-dir", file("made")),
        ("tls-cert-file", file("apiserver.crt")),
        ("tls-private-key-file", file("apiserver.key")),
        ("client-ca-file", file("ca.crt")),
        ("anonymous-auth", text("false")),
        ("authorization-mode", text("Node,RBAC")),
        ("enable-admission-plugins", text("NodeRestriction")),
        ("allow-privileged", text("true")),
        ("service-account-issuer", text("https://kubernetes.default.svc")),
        ("service-account-signing-key-file", file(&format!("{}.key", keys.signs))),
        ("kubelet-certificate-authority", file("ca.crt")),
        ("kubelet-client-certificate", file("to-kubelet.crt")),
        ("kubelet-client-key", file("to-kubelet.key")),
        ("kubelet-preferred-address-types", text("InternalIP")),
        // As later versions do without being told: tokens are of the pod, and for a time.
        ("feature-gates", text(BOUND_TOKENS)),
    ];
    for key in keys.believed {
        arguments.push(("service-account-key-file", file(&format!("{key}.pub"))));
    }
    program("kube-apiserver", arguments)
}

const BOUND_TOKENS: &str = "BoundServiceAccountTokenVolume=true";

pub(crate) fn controllers(node: &Node) -> Program {
    let file = |name: &str| node.access.file(name).display().to_string();
    let more = [
        ("service-account-private-key-file", file("tokens-1.key")),
        ("root-ca-file", file("ca.crt")),
        ("feature-gates", BOUND_TOKENS.to_owned()),
    ];
    program(
        "kube-controller-manager",
        client(node, "controllers.json").into_iter().chain(more).collect(),
    )
}

pub(crate) fn scheduler(node: &Node) -> Program {
    program("kube-scheduler", client(node, "scheduler.json").into())
}

/// The arguments of a program that asks the API server by this file, and whom nobody asks.
fn client(node: &Node, config: &str) -> [(&'static str, String); 7] {
    let file = |name: &str| node.access.file(name).display().to_string();
    [
        ("kubeconfig", file(config)),
        ("authentication-kubeconfig", file(config)),
        ("authorization-kubeconfig", file(config)),
        ("port", "0".to_owned()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("cert-dir", file("made")),
        ("leader-elect", "false".to_owned()),
    ]
}

/// Where containerd listens.
pub(crate) fn containerd_socket(node: &Node) -> String {
    node.file("containerd/socket").display().to_string()
}

/// What `setup.sh` calls the one image that it makes.
pub(crate) const BUSYBOX: &str = "localhost/busybox:1";

pub(crate) fn containerd(node: &Node) -> Result<Program> {
    let (socket, state) = (containerd_socket(node), "/run/containerd");
    let root = node.file("containerd");
    create_dir_all(&root)?;
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": node.file("cni/addresses"),
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    create_dir_all(node.file("cni/networks"))?;
    write(node.file("cni/networks/pods.conflist"), network.to_string())?;
    // Roots of sandboxes may lack CAP_SYS_RESOURCE, AppArmor, and the controller of huge pages.
    let config = format!(
        "version = 2\nroot = \"{root}\"\nstate = \"{state}\"\noom_score = 0\n\
         [grpc]\naddress = \"{socket}\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{BUSYBOX}\"\nrestrict_oom_score_adj = true\n\
         disable_apparmor = true\ntolerate_missing_hugetlb_controller = true\nstream_server_address = \"127.0.0.1\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"{plugins}\"\nconf_dir = \"{networks}\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"overlayfs\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nBinaryName = \"{runc}\"\n",
        root = root.join("root").display(),
        plugins = node.tool("cni").display(),
        networks = node.file("cni/networks").display(),
        runc = node.tool("bin/runc").display(),
    );
    write(root.join("config.toml"), config)?;
    Ok(program(
        "containerd",
        vec![("config", root.join("config.toml").display().to_string())],
    ))
}

/// How often the kubelet goes over its pods.
pub(crate) const SYNC: Duration = Duration::from_secs(5);

pub(crate) fn kubelet(node: &Node) -> Result<Program> {
    let file = |name: &str| node.access.file(name).display().to_string();
    let root = node.file("kubelet");
    create_dir_all(&root)?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": file("kubelet-server.crt"),
        "tlsPrivateKeyFile": file("kubelet-server.key"),
        "staticPodPath": node.file("manifests"),
        "volumePluginDir": root.join("plugins"),
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "oomScoreAdj": 0,
        // There is no iptables.
        "makeIPTablesUtilChains": false,
        "hairpinMode": "none",
        "resolvConf": "",
        // Whatever else runs on this machine is no reason to evict a pod.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "4s",
        // A changed ConfigMap comes within seconds, not within a minute.
        "syncFrequency": format!("{}s", SYNC.as_secs()),
        "fileCheckFrequency": "1s",
        "featureGates": {"BoundServiceAccountTokenVolume": true},
    });
    write(root.join("config.json"), config.to_string())?;
    Ok(program(
        "kubelet",
        vec![
            ("config", root.join("config.json").display().to_string()),
            ("kubeconfig", file("kubelet.json")),
            ("root-dir", root.join("state").display().to_string()),
            ("cert-dir", file("made")),
            ("container-runtime", "remote".to_owned()),
            (
                "container-runtime-endpoint",
                format!("unix://{}", containerd_socket(node)),
            ),
            ("pod-infra-container-image", BUSYBOX.to_owned()),
            ("hostname-override", NODE.to_owned()),
            ("node-ip", NODE_ADDRESS.to_owned()),
        ],
    ))
}
