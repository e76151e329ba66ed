//! Paths of cgroups, and whose they are. To be read as documentation: each line is a path, what it counts as, and its container.

use super::{form::Seen, forms::FORMS, *};
use proptest::{prelude::*, sample::select};

const ID: &str = "c155dbae4f0e9d0ab52f4e2b1c3d902093a5baef883ae52ad163ff157a2bc5d5";
const UID: &str = "0b1c9a34-5d1f-4c26-9f0e-7a1b2c3d4e5f";
const OUTER: &str = "9e8d7c6b-0000-4000-8000-00000000000f";
const HASH: &str = "16a4a44fea21553f3c41d03e478379f0";

/// A path with ids in the place of their names.
fn filled(path: &str) -> String {
    let path = path.replace("OUTER", OUTER).replace("U_D", &UID.replace('-', "_"));
    path.replace("UID", UID).replace("HASH", HASH).replace("ID", ID)
}

/// An owner in words: `host`, `KIND NAME`, or `pod UID [with UID]`; then its container.
fn told(owner: &Owner) -> String {
    let whose = match &owner.whose {
        Whose::Host => "host".to_owned(),
        Whose::Workload(Workload { namespace, kind, name }) => {
            assert_eq!(namespace, "", "{name}");
            format!("{kind} {name}")
        }
        Whose::Pod { id, nested } => {
            let nested = nested.iter().map(|nested| format!(" with {nested}"));
            format!("pod {id}{}", nested.collect::<String>())
        }
    };
    let container = owner.container.as_ref();
    container.map_or(whose.clone(), |container| {
        format!("{whose}, {} {}", container.engine, container.id)
    })
}

#[track_caller]
fn check(rules: &Rules, cases: &[(&str, &str)]) {
    for (path, whose) in cases {
        assert_eq!(told(&owner_of(&filled(path), rules)), filled(whose), "{path}");
    }
}

#[test]
fn units_of_systemd() {
    check(
        &Rules::default(),
        &[
            ("/", "host"),
            ("", "host"),
            ("/init.scope", "unit init.scope"),
            ("/system.slice/nginx.service", "unit nginx.service"),
            ("/system.slice/cups.socket", "unit cups.socket"),
            ("/system.slice/srv-data.mount", "unit srv-data.mount"),
            ("/system.slice", "unit system.slice"),
            ("/web.slice", "unit web.slice"),
            ("/web.slice/web-front.slice", "unit web-front.slice"),
            // The unit wins over the slice, and over what it makes below itself.
            ("/web.slice/nginx.service/worker", "unit nginx.service"),
            ("/system.slice/agent.service/job.scope", "unit job.scope"),
            ("/system.slice/_cpu.service", "unit cpu.service"),
            // Names are as systemctl shows and takes them.
            ("/system.slice/my\\x2dapp.service", "unit my\\x2dapp.service"),
            (
                "/system.slice/system-postgresql.slice/postgresql@14-main.service",
                "unit postgresql@14-main.service",
            ),
            ("/system.slice/run-u12.service", "unit run-*.service"),
            (
                "/system.slice/run-rc155dbae4f0e9d0ab52f4e2b1c3d9020.scope",
                "unit run-*.scope",
            ),
            ("/system.slice/run-p123-i456.service", "unit run-*.service"),
            (
                "/system.slice/sshd@12-192.0.2.1:22-198.51.100.9:4000.service",
                "unit sshd@.service",
            ),
            ("/system.slice/snap.lxd.daemon.service", "unit snap.lxd.daemon.service"),
            ("/system.slice/snap.web.run-UID.scope", "unit snap.web.run-*.scope"),
        ],
    );
    check(
        &Rules { merge_templates: true },
        &[
            (
                "/system.slice/system-postgresql.slice/postgresql@14-main.service",
                "unit postgresql@.service",
            ),
            ("/system.slice/nginx.service", "unit nginx.service"),
        ],
    );
}

#[test]
fn people() {
    const SERVICE: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service";
    const APP: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope";
    const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";
    const ROOTLESS: &str = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container";
    const QUADLET: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-ID";
    check(
        &Rules::default(),
        &[
            (SESSION, "user user"),
            (SERVICE, "user user"),
            (APP, "user user"),
            ("/user.slice", "user user"),
            (ROOTLESS, "user user, podman ID"),
            (QUADLET, "user user, podman ID"),
        ],
    );
}

#[test]
fn containers_of_engines() {
    check(
        &Rules::default(),
        &[
            // In no unit of their own they are all one workload; in a slice that somebody has chosen they are that.
            ("/system.slice/docker-ID.scope", "container docker, docker ID"),
            (
                "/system.slice/docker-ID.scope/init.scope",
                "container docker, docker ID",
            ),
            ("/web.slice/docker-ID.scope", "unit web.slice, docker ID"),
            ("/docker/ID", "container docker, docker ID"),
            ("/docker", "cgroup docker"),
            ("/system.slice/docker.service", "unit docker.service"),
            (
                "/machine.slice/libpod-ID.scope/container",
                "container podman, podman ID",
            ),
            ("/machine.slice/libpod-conmon-ID.scope", "container podman, podman ID"),
            (
                "/machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope",
                "container podman, podman ID",
            ),
            ("/libpod_parent/libpod-ID", "container podman, podman ID"),
            (
                "/system.slice/web.service/libpod-payload-ID",
                "unit web.service, podman ID",
            ),
            ("/system.slice/web.service/runtime", "unit web.service"),
            ("/system.slice/nerdctl-ID.scope", "container containerd, containerd ID"),
            ("/default/ID", "container containerd, containerd ID"),
            ("/default/redis", "cgroup redis"),
            ("/system.slice/crun-ID.scope", "container crun, crun ID"),
            (
                "/buildkit/osh60k53lspy0g0cjo94ur00h",
                "container buildkit, buildkit osh60k53lspy0g0cjo94ur00h",
            ),
            // moby/moby#45796: one folder for what is two with systemd.
            (
                "/system.slice/system.slice:docker:osh60k53lspy0g0cjo94ur00h",
                "container docker, docker osh60k53lspy0g0cjo94ur00h",
            ),
            ("/garden/UID", "container garden, garden UID"),
            // No id, so no container.
            ("/system.slice/docker-compose.scope", "unit docker-compose.scope"),
            ("/system.slice/docker-7.scope", "unit docker-*.scope"),
            ("/docker/7", "cgroup docker"),
        ],
    );
}

#[test]
fn pods_of_kubernetes() {
    check(
        &Rules::default(),
        &[
            ("/kubepods/burstable/podUID/ID", "pod UID, cri ID"),
            ("/kubepods/besteffort/podUID/ID", "pod UID, cri ID"),
            ("/kubepods/podUID/ID", "pod UID, cri ID"),
            ("/kubepods/burstable/podUID", "pod UID"),
            ("/kubepods/burstable/podUID/crio-ID", "pod UID, cri-o ID"),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope",
                "pod UID, containerd ID",
            ),
            (
                "/kubepods.slice/kubepods-podU_D.slice/crio-ID.scope/container",
                "pod UID, cri-o ID",
            ),
            (
                "/kubepods.slice/kubepods-podU_D.slice/crio-conmon-ID.scope",
                "pod UID, cri-o ID",
            ),
            (
                "/kubepods.slice/kubepods-podU_D.slice/docker-ID.scope",
                "pod UID, docker ID",
            ),
            // A container that runs systemd.
            ("/kubepods/podUID/ID/system.slice/nginx.service", "pod UID, cri ID"),
            ("/kubepods/podUID/ID/init.scope", "pod UID, cri ID"),
            // A static pod.
            ("/kubepods/burstable/podHASH/ID", "pod HASH, cri ID"),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podHASH.slice/crio-ID.scope",
                "pod HASH, cri-o ID",
            ),
            // The kubelet uses systemd and the runtime does not.
            (
                "/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
                "pod UID, containerd ID",
            ),
            // What kind and K3s put around it.
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podU_D.slice/cri-containerd-ID.scope",
                "pod UID, containerd ID",
            ),
            (
                "/system.slice/docker-ID.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_D.slice/cri-containerd-ID.scope",
                "pod UID, containerd ID",
            ),
            ("/docker/ID/kubelet/kubepods/burstable/podUID/ID", "pod UID, cri ID"),
            (
                "/docker/ID/kubelet.slice/kubelet.service",
                "container docker, docker ID",
            ),
            (
                "/system.slice/k3s.service/kubepods/burstable/podUID/ID",
                "pod UID, cri ID",
            ),
            ("/system.slice/k3s.service", "unit k3s.service"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/k3s-rootless.service/kubepods/podUID/ID",
                "pod UID, cri ID",
            ),
            // A cluster within a pod of another one.
            (
                "/kubepods/podOUTER/ID/docker/ID/kubelet/kubepods/podUID/ID",
                "pod OUTER with UID, cri ID",
            ),
            // Of no pod.
            ("/kubepods/burstable", "cgroup burstable"),
            (
                "/kubepods.slice/kubepods-burstable.slice",
                "unit kubepods-burstable.slice",
            ),
            ("/kubepods/pod", "cgroup pod"),
            ("/podium.slice", "unit podium.slice"),
        ],
    );
}

#[test]
fn machines_and_schedulers() {
    check(
        &Rules::default(),
        &[
            ("/lxc.payload.web/system.slice/nginx.service", "lxc web"),
            ("/lxc.monitor.web", "lxc web"),
            ("/lxc.payload.host", "lxc /host"),
            (
                "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator",
                "vm web",
            ),
            ("/machine.slice/machine-qemu\\x2d12\\x2dmy\\x2dweb.scope", "vm my-web"),
            ("/machine/qemu-1-my-web.libvirt-qemu/vcpu0", "vm my-web"),
            ("/machine.slice/machine-lxc\\x2d1\\x2dweb.scope", "lxc web"),
            ("/machine/lxc-1268-sl.libvirt-lxc", "lxc sl"),
            (
                "/machine.slice/machine-my\\x2dweb.scope/payload/system.slice/nginx.service",
                "machine my-web",
            ),
            ("/machine.slice/systemd-nspawn@web.service/payload", "machine web"),
            ("/nomad.slice/UID.web.scope", "nomad web"),
            ("/nomad.slice/share.slice/UID.web.scope", "nomad web"),
            ("/nomad.slice/UID-web.scope", "nomad web"),
            (
                "/ecstasks.slice/ecstasks-HASH.slice/docker-ID.scope",
                "ecs ecs, docker ID",
            ),
            ("/ecs/HASH/ID", "ecs ecs"),
            (
                "/lxc.payload.k3s/system.slice/k3s.service/kubepods/podUID/ID",
                "pod UID, cri ID",
            ),
            // Nothing that is known: the nearest name that is no id.
            ("/mine/jobs/job7", "cgroup job7"),
            ("/mine/jobs/ID", "cgroup jobs"),
            ("/mine/UID/12", "cgroup mine"),
            ("/mine/batch-20260101", "cgroup batch-*"),
            ("/ID", "cgroup *"),
            ("/other", "cgroup /other"),
        ],
    );
}

#[test]
fn every_form_reads_its_example() {
    for form in FORMS {
        let path = filled(form.example);
        let folders: Vec<String> = path
            .split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let (last, above) = folders.split_last().unwrap();
        let read = forms::of(last, above.last().map(String::as_str)).map(|(found, _)| found.what);
        assert_eq!(read, Some(form.what), "{}", form.example);
    }
}

#[test]
fn the_page_shows_every_form() {
    let page = include_str!("../../../../../docs/workloads.md");
    let seen = |seen: Seen| match seen {
        Seen::Ran(version) => format!("ran: {version}"),
        Seen::Read(version) => format!("read in {version}"),
        Seen::Reported(report) => format!("reported: {report}"),
        Seen::Memory => "from memory".to_owned(),
    };
    let rows = FORMS
        .iter()
        .map(|form| format!("| {} | `{}` | {} |", form.what, form.example, seen(form.seen)));
    let missing: Vec<String> = rows.filter(|row| !page.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/workloads.md lacks\n{}", missing.join("\n"));
}

#[test]
fn a_pod_is_called_as_the_api_calls_it() {
    assert_eq!(PodId::parse(UID).unwrap().to_string(), UID);
    assert_eq!(PodId::parse(&UID.replace('-', "_")), PodId::parse(UID));
    assert_eq!(PodId::parse(HASH).unwrap().to_string(), HASH);
    let without = UID.replace('-', "");
    assert_ne!(PodId::parse(&without), PodId::parse(UID));
    for bad in ["", "1", &ID[..31], &ID[..33], &UID[1..]] {
        assert_eq!(PodId::parse(bad), None, "{bad}");
    }
}

/// Names of folders as software gives them, with `ID` and `UID` for what it makes up.
const FOLDERS: &[&str] = &[
    "system.slice",
    "user.slice",
    "user-1000.slice",
    "user@1000.service",
    "app.slice",
    "machine.slice",
    "docker",
    "docker-ID.scope",
    "libpod-ID.scope",
    "libpod-payload-ID",
    "libpod_pod_ID.slice",
    "crio-ID.scope",
    "nerdctl-ID.scope",
    "default",
    "k8s.io",
    "ID",
    "UID",
    "kubepods",
    "kubepods.slice",
    "podUID",
    "kubepods-podU_D.slice",
    "podHASH",
    "x-UID.service",
    "x@UID.service",
    "x_ID",
    "vte-spawn-UID.scope",
    "system.slice:docker:ID",
    "run-rHASH.scope",
    "nomad.slice",
    "UID.web.scope",
    "ecs",
    "HASH",
    "ecstasks-HASH.slice",
    "machine-ID.scope",
    "lxc.payload.ID",
    "buildkit",
    "nginx.service",
    "work",
];

proptest! {
    #[test]
    fn any_path_has_an_owner_and_always_the_same(path in "\\PC{0,120}", merge_templates: bool) {
        let rules = Rules { merge_templates };
        let owner = owner_of(&path, &rules);
        if let Whose::Workload(workload) = &owner.whose {
            prop_assert!(!workload.name.is_empty() && workload.name.len() <= 128);
        }
        prop_assert_eq!(owner_of(&path, &rules), owner);
    }

    #[test]
    fn ids_never_reach_a_name(
        folders in prop::collection::vec(select(FOLDERS), 1..6),
        id in "[0-9a-f]{64}", uid in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", hash in "[0-9a-f]{32}",
    ) {
        let rules = Rules::default();
        let path = |id: &str, uid: &str, hash: &str| {
            let path = folders.join("/").replace("U_D", &uid.replace('-', "_")).replace("UID", uid);
            path.replace("HASH", hash).replace("ID", id)
        };
        let name = |path: &str| match owner_of(path, &rules).whose {
            Whose::Workload(workload) => Some(workload),
            Whose::Host | Whose::Pod { .. } => None,
        };
        // Whatever they are, the workload is the same.
        prop_assert_eq!(name(&path(&id, &uid, &hash)), name(&path(ID, UID, HASH)));
    }

    #[test]
    fn a_path_is_read_from_the_names_that_the_kernel_tells(folders in prop::collection::vec(select(FOLDERS), 0..6)) {
        let path = filled(&format!("/{}", folders.join("/")));
        let mut names: Vec<&str> = path.split('/').collect();
        names.reverse();
        prop_assert_eq!(owner_of_names(&names, &Rules::default()), owner_of(&path, &Rules::default()));
    }
}
