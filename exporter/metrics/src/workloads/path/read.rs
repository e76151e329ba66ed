//! Reads names of folders: each function gives the part that says who it is, or none for a name of another form.

use super::pod_id::PodId;
use crate::workloads::{
    name::{is_id, is_number, uuid},
    units,
};

/// What stands between a prefix and a suffix, if it is an id.
pub(super) fn id<'a>(folder: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    between(folder, prefix, suffix).and_then(bare_id)
}

pub(super) fn between<'a>(folder: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let part = folder.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!part.is_empty()).then_some(part)
}

/// A container by its id, as a scope of systemd or as a folder.
pub(super) fn container<'a>(folder: &'a str, prefix: &str) -> Option<&'a str> {
    id(folder, prefix, ".scope").or_else(|| id(folder, prefix, ""))
}

/// An id that an engine gave: the shortest that engines show has 12 digits.
pub(super) fn bare_id(folder: &str) -> Option<&str> {
    (folder.len() >= 12 && is_id(folder)).then_some(folder)
}

/// What a pod is called: `pod…` as a folder, `…-pod….slice` as a slice.
pub(super) fn pod(folder: &str) -> Option<&str> {
    let name = folder.strip_suffix(".slice").unwrap_or(folder);
    let after = name.rfind("-pod").map(|at| &name[at + "-pod".len()..]);
    let id = name
        .strip_prefix("pod")
        .filter(|id| PodId::parse(id).is_some())
        .or(after)?;
    PodId::parse(id).map(|_| id)
}

/// The name of a machine of libvirt: `qemu-1-NAME`, escaped in a scope.
pub(super) fn numbered<'a>(name: &'a str, driver: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(driver)?;
    ["\\x2d", "-"].iter().find_map(|joint| {
        let (number, name) = rest.strip_prefix(joint)?.split_once(joint)?;
        (is_number(number) && !name.is_empty()).then_some(name)
    })
}

/// What follows the id of an allocation: `UID.TASK.scope`, or `UID-TASK.scope` in earlier versions.
pub(super) fn task(folder: &str) -> Option<&str> {
    let rest = folder.get(uuid(folder)?..)?;
    let task = rest.strip_prefix(['.', '-'])?;
    let task = task.strip_suffix(".scope").unwrap_or(task);
    (!task.is_empty()).then_some(task)
}

/// A name that is exactly this one.
pub(super) fn is<'a>(folder: &'a str, name: &str) -> Option<&'a str> {
    (folder == name).then_some(folder)
}

pub(super) fn is_any<'a>(folder: &'a str, names: &[&str]) -> Option<&'a str> {
    names.contains(&folder).then_some(folder)
}

/// A unit that systemd-run named.
pub(super) fn transient(folder: &str) -> Option<&str> {
    let unit = units::of_folder(folder)?;
    let (stem, _) = unit.rsplit_once('.')?;
    units::is_transient(stem).then_some(unit)
}
