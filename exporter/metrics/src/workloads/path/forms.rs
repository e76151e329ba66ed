//! The table of forms: one row for each way in which software names the folders of cgroups, with where it was seen.
//!
//! The first row that reads a folder decides about it. docs/workloads.md shows the rows; a test holds the two together.

use super::{
    form::{
        Form,
        Means::{Container, DefaultFolder, DefaultSlice, Holder, Pod, Slice, Unit, User},
        Place,
        Seen::{Memory, Ran, Read, Reported},
    },
    read::{bare_id, between, container, id, is, is_any, numbered, pod, task, transient},
};
use crate::workloads::{kinds, name::is_number, units};

/// The form of a folder in a folder, and the part of its name that says who it is.
pub(super) fn of<'a>(folder: &'a str, parent: Option<&str>) -> Option<(&'static Form, &'a str)> {
    FORMS.iter().find_map(|form| {
        let lies_right = match form.place {
            Place::Anywhere => true,
            Place::In(names) => parent.is_some_and(|parent| names.contains(&parent)),
            Place::InPod => parent.and_then(pod).is_some(),
        };
        let part = (form.read)(folder).filter(|_| lies_right)?;
        Some((form, part))
    })
}

/// Every form.
pub const FORMS: &[Form] = &[
    // Kubernetes. A pod is told before its containers.
    Form::new(
        "pod, driver cgroupfs",
        "/kubepods/burstable/podUID",
        Ran("Kubernetes 1.20.2, containerd 1.6.20"),
        Pod,
        |folder| pod(folder).filter(|_| !folder.ends_with(".slice")),
    ),
    Form::new(
        "pod, driver systemd",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice",
        Reported("netdata/netdata#4868"),
        Pod,
        pod,
    ),
    Form::new(
        "container in a pod, driver cgroupfs",
        "/kubepods/burstable/podUID/ID",
        Ran("Kubernetes 1.20.2, containerd 1.6.20"),
        Container("cri"),
        bare_id,
    )
    .lies(Place::InPod),
    Form::new(
        "container of containerd in a pod",
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/cri-containerd-ID.scope",
        Reported("containerd/nri#227"),
        Container("containerd"),
        |folder| container(folder, "cri-containerd-"),
    ),
    Form::new(
        "monitor of a container of CRI-O",
        "/kubepods.slice/kubepods-podU_D.slice/crio-conmon-ID.scope",
        Memory,
        Container("cri-o"),
        |folder| container(folder, "crio-conmon-"),
    ),
    Form::new(
        "container of CRI-O",
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope",
        Reported("kubernetes/minikube#11280"),
        Container("cri-o"),
        |folder| container(folder, "crio-"),
    ),
    Form::new(
        "folders of the kubelet",
        "/kubepods/burstable",
        Ran("Kubernetes 1.20.2"),
        DefaultFolder,
        |folder| is_any(folder, &["kubepods", "burstable", "besteffort"]),
    ),
    Form::new(
        "slices of the kubelet",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice",
        Reported("containerd/nri#227"),
        DefaultSlice,
        |folder| {
            folder
                .contains("kubepods")
                .then(|| units::slice_of_folder(folder))
                .flatten()
        },
    ),
    // Engines.
    Form::new(
        "container of Docker, driver systemd",
        "/system.slice/docker-ID.scope",
        Reported("aws/amazon-ecs-agent#3127"),
        Container("docker"),
        |folder| container(folder, "docker-"),
    ),
    Form::new(
        "container of Docker, driver cgroupfs",
        "/docker/ID",
        Reported("kubernetes/minikube#11280"),
        Container("docker"),
        bare_id,
    )
    .lies(Place::In(&["docker"])),
    Form::new(
        "monitor of a container of Podman",
        "/machine.slice/libpod-conmon-ID.scope",
        Reported("podman-container-tools/podman#507"),
        Container("podman"),
        |folder| container(folder, "libpod-conmon-"),
    ),
    Form::new(
        "container of Podman in a unit (Quadlet)",
        "/system.slice/web.service/libpod-payload-ID",
        Reported("podman-container-tools/podman#16589"),
        Container("podman"),
        |folder| container(folder, "libpod-payload-"),
    ),
    Form::new(
        "container of Podman",
        "/machine.slice/libpod-ID.scope",
        Reported("podman-container-tools/podman#507"),
        Container("podman"),
        |folder| container(folder, "libpod-"),
    ),
    Form::new(
        "pod of Podman",
        "/machine.slice/machine-libpod_pod_ID.slice",
        Reported("podman-container-tools/podman#6400"),
        DefaultSlice,
        |folder| folder.contains("libpod_pod_").then_some(folder),
    ),
    Form::new(
        "container of nerdctl",
        "/system.slice/nerdctl-ID.scope",
        Memory,
        Container("containerd"),
        |folder| container(folder, "nerdctl-"),
    ),
    Form::new(
        "container of containerd, by a namespace",
        "/k8s.io/ID",
        Reported("kunobi-ninja/kobe#166"),
        Container("containerd"),
        bare_id,
    )
    .lies(Place::In(&["default", "k8s.io", "moby"])),
    Form::new(
        "container of crun alone",
        "/system.slice/crun-ID.scope",
        Read("crun 1.8.1"),
        Container("crun"),
        |folder| container(folder, "crun-"),
    ),
    Form::new(
        "step of a build",
        "/buildkit/osh60k53lspy0g0cjo94ur00h",
        Reported("moby/buildkit#6368"),
        Container("buildkit"),
        bare_id,
    )
    .lies(Place::In(&["buildkit"])),
    Form::new(
        "container of Garden",
        "/garden/UID",
        Memory,
        Container("garden"),
        bare_id,
    )
    .lies(Place::In(&["garden"])),
    Form::new(
        "folders of engines",
        "/docker",
        Reported("kubernetes/minikube#11280"),
        DefaultFolder,
        |folder| {
            is_any(
                folder,
                &[
                    "docker",
                    "libpod_parent",
                    "default",
                    "k8s.io",
                    "moby",
                    "buildkit",
                    "garden",
                ],
            )
        },
    ),
    // Machines and schedulers.
    Form::new(
        "container of LXC",
        "/lxc.payload.web",
        Reported("liske/needrestart#238"),
        Holder(kinds::LXC),
        |folder| between(folder, "lxc.payload.", ""),
    ),
    Form::new(
        "monitor of a container of LXC",
        "/lxc.monitor.web",
        Read("lxc 5.0.2"),
        Holder(kinds::LXC),
        |folder| between(folder, "lxc.monitor.", ""),
    ),
    Form::new(
        "virtual machine of libvirt, with systemd",
        "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope",
        Reported("systemd/systemd#22089"),
        Holder(kinds::VM),
        |folder| numbered(between(folder, "machine-", ".scope")?, "qemu"),
    ),
    Form::new(
        "virtual machine of libvirt, without",
        "/machine/qemu-1-web.libvirt-qemu",
        Memory,
        Holder(kinds::VM),
        |folder| numbered(between(folder, "", ".libvirt-qemu")?, "qemu"),
    ),
    Form::new(
        "container of libvirt, with systemd",
        "/machine.slice/machine-lxc\\x2d1\\x2dweb.scope",
        Memory,
        Holder(kinds::LXC),
        |folder| numbered(between(folder, "machine-", ".scope")?, "lxc"),
    ),
    Form::new(
        "container of libvirt, without",
        "/machine/lxc-1268-web.libvirt-lxc",
        Reported("systemd/systemd#13629"),
        Holder(kinds::LXC),
        |folder| numbered(between(folder, "", ".libvirt-lxc")?, "lxc"),
    ),
    Form::new(
        "machine of systemd-nspawn",
        "/machine.slice/machine-web.scope",
        Reported("systemd/systemd#5490"),
        Holder(kinds::MACHINE),
        |folder| between(folder, "machine-", ".scope"),
    ),
    Form::new(
        "machine of systemd-nspawn, as a unit",
        "/machine.slice/systemd-nspawn@web.service",
        Memory,
        Holder(kinds::MACHINE),
        |folder| between(folder, "systemd-nspawn@", ".service"),
    ),
    Form::new(
        "task of Nomad",
        "/nomad.slice/UID.web.scope",
        Reported("Roblox/nomad-driver-containerd#133"),
        Holder(kinds::NOMAD),
        task,
    )
    .lies(Place::In(&["nomad.slice", "share.slice", "reserve.slice"])),
    Form::new(
        "tasks of Amazon ECS, version 2",
        "/ecstasks.slice/ecstasks-HASH.slice",
        Reported("aws/amazon-ecs-agent#3127"),
        Holder(kinds::ECS),
        |folder| {
            is(folder, "ecstasks.slice")
                .or_else(|| id(folder, "ecstasks-", ".slice"))
                .map(|_| "ecs")
        },
    ),
    Form::new(
        "tasks of Amazon ECS",
        "/ecs/HASH",
        Reported("aws/amazon-ecs-agent#4077"),
        Holder(kinds::ECS),
        |folder| bare_id(folder).map(|_| "ecs"),
    )
    .lies(Place::In(&["ecs"])),
    // People.
    Form::new(
        "what people do",
        "/user.slice/user-1000.slice",
        Read("systemd 252"),
        User,
        |folder| is(folder, "user.slice").or_else(|| between(folder, "user-", ".slice").filter(|user| is_number(user))),
    ),
    Form::new(
        "the systemd of a person",
        "/user.slice/user-1000.slice/user@1000.service",
        Read("systemd 252"),
        User,
        |folder| between(folder, "user@", ".service"),
    ),
    Form::new(
        "a session",
        "/user.slice/user-1000.slice/session-3.scope",
        Reported("canonical/snapd#9128"),
        User,
        |folder| between(folder, "session-", ".scope"),
    ),
    // Units. What systemd-run and others name by a number is folded where names of units are.
    Form::new(
        "a unit of systemd-run",
        "/system.slice/run-u12.service",
        Read("systemd 252"),
        Unit,
        transient,
    ),
    Form::new(
        "a command of a snap",
        "/system.slice/snap.web.run-UID.scope",
        Read("snapd 2.57.6"),
        Unit,
        |folder| folder.starts_with("snap.").then(|| units::of_folder(folder)).flatten(),
    ),
    Form::new(
        "an application of a desktop",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope",
        Memory,
        Unit,
        |folder| folder.starts_with("app-").then(|| units::of_folder(folder)).flatten(),
    ),
    Form::new(
        "a service, socket, scope, mount or swap",
        "/system.slice/web.service",
        Reported("podman-container-tools/podman#24942"),
        Unit,
        units::of_folder,
    ),
    Form::new(
        "slices of systemd",
        "/system.slice",
        Read("systemd 252"),
        DefaultSlice,
        |folder| is_any(folder, &["system.slice", "machine.slice", "-.slice"]),
    ),
    Form::new(
        "a slice",
        "/web.slice",
        Read("systemd 252"),
        Slice,
        units::slice_of_folder,
    ),
];
