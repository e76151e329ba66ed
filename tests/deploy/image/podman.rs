//! Podman with a storage of its own, which goes with it, and what a security context of Kubernetes means to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tests::exporter::run_command;

use crate::chart::top;

/// A storage with one image.
#[derive(Debug)]
pub(super) struct Podman {
    storage: TempDir,
    image: String,
}

impl Podman {
    /// Takes the image for this machine out of an archive.
    pub(super) fn new(archive: &Path) -> Result<Self> {
        ensure!(archive.exists(), "no {}: run `make image`", archive.display());
        let storage = TempDir::new()?;
        let mut podman = Self {
            storage,
            image: String::new(),
        };
        let id = podman.say(&["pull", "--quiet", &format!("oci-archive:{}", archive.display())])?;
        podman.image = id;
        Ok(podman)
    }

    /// The image.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    fn global(&self) -> Vec<String> {
        let folder = self.storage.path().display();
        vec![
            "podman".to_owned(),
            format!("--root={folder}/root"),
            format!("--runroot={folder}/run"),
            "--storage-driver=vfs".to_owned(),
            // Neither needs systemd nor cgroups of one kind.
            "--cgroup-manager=cgroupfs".to_owned(),
            "--runtime=runc".to_owned(),
        ]
    }

    /// Runs a command of it, and gives what it printed.
    fn say(&self, arguments: &[&str]) -> Result<String> {
        let global = self.global();
        let mut command = Command::new(&global[0]);
        let finished = run_command(command.args(&global[1..]).args(arguments))?;
        ensure!(finished.code == Some(0), "{arguments:?}: {finished:?}");
        Ok(finished.stdout.trim().to_owned())
    }

    /// The command that runs a container as a pod and a container with these security contexts are, up to the image.
    pub(super) fn run(&self, pod: &Value, container: &Value, more: &[String]) -> Result<Vec<String>> {
        let mut command = self.global();
        // As root without CAP_SYS_RESOURCE one may not ask for more. The network is the one of whoever starts it.
        let own = "run --rm --name=vitals --network=host --ulimit=nofile=4096:4096 --ulimit=nproc=4096:4096 --volume=/tmp:/tmp:ro";
        command.extend(own.split(' ').map(str::to_owned));
        command.push(format!(
            "--user={}:{}",
            number(pod, "runAsUser")?,
            number(pod, "runAsGroup")?
        ));
        for (key, value) in pod.as_object().into_iter().flatten() {
            match &**key {
                "runAsUser" | "runAsGroup" | "runAsNonRoot" => {}
                "fsGroup" => command.push(format!("--group-add={value}")),
                "seLinuxOptions" => command.push(format!("--security-opt=label=type:{}", text(&value["type"])?)),
                key => bail!("what is {key} of a pod to Podman?"),
            }
        }
        for (key, value) in container.as_object().into_iter().flatten() {
            match &**key {
                "allowPrivilegeEscalation" if *value == true => {}
                "allowPrivilegeEscalation" => command.push("--security-opt=no-new-privileges".to_owned()),
                "readOnlyRootFilesystem" => command.push(format!("--read-only={value}")),
                "capabilities" => {
                    for (what, option) in [("drop", "--cap-drop"), ("add", "--cap-add")] {
                        for name in value[what].as_array().into_iter().flatten() {
                            command.push(format!("{option}={}", text(name)?));
                        }
                    }
                }
                "seccompProfile" => command.push(format!("--security-opt=seccomp={}", profile(value)?)),
                key => bail!("what is {key} of a container to Podman?"),
            }
        }
        command.extend_from_slice(more);
        Ok(command)
    }

    /// The container's process.
    pub(super) fn process(&self) -> Result<u32> {
        Ok(self.say(&["inspect", "--format={{.State.Pid}}", "vitals"])?.parse()?)
    }

    /// Ends the container.
    pub(super) fn remove(&self) -> Result<()> {
        self.say(&["rm", "--force", "--ignore", "--time=1", "vitals"]).map(drop)
    }

    /// Where the image's files can be read.
    pub(super) fn mount(&self) -> Result<PathBuf> {
        Ok(self.say(&["image", "mount", self.image()])?.into())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Whatever a failed test left; there is nobody to tell if it cannot be removed.
        for arguments in [
            &["rm", "--force", "--all", "--time=1"][..],
            &["image", "umount", "--all", "--force"],
        ] {
            self.say(arguments).ok();
        }
    }
}

fn number(context: &Value, key: &str) -> Result<u64> {
    context[key].as_u64().with_context(|| format!("no {key}: {context}"))
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

/// The file that the kubelet would look up in its own folder.
fn profile(value: &Value) -> Result<String> {
    match text(&value["type"])? {
        "Unconfined" => Ok("unconfined".to_owned()),
        "Localhost" => {
            let name = text(&value["localhostProfile"])?;
            Ok(top().join("deploy/seccomp").join(name).display().to_string())
        }
        kind => bail!("a profile {kind} is the runtime's, and another in each"),
    }
}
