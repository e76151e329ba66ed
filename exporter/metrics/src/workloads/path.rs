//! Whose cgroup this is, by its path: the table of forms decides about each folder, and this file about all of them together.
//!
//! From the names that the kernel tells of a cgroup; to `known`, which knows the pods, and to labels.

pub mod form;
pub mod forms;
mod pod_id;
mod read;

use super::{Workload, kinds, name, units};
use form::Means;
pub use pod_id::PodId;

/// How paths are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `x@1.service` and `x@2.service` are one workload, `x@.service`.
    pub merge_templates: bool,
}

/// Whose a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// What it counts as.
    pub whose: Whose,
    /// The container that it is of. Never in a label; for `top`, `trace` and the API.
    pub container: Option<Container>,
}

/// What a cgroup counts as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The root cgroup: the kernel's own sockets, and whoever nobody has put elsewhere.
    Host,
    /// The path says it all.
    Workload(Workload),
    /// A pod of Kubernetes, whose name the path does not tell.
    Pod {
        /// The uppermost pod of the path.
        id: PodId,
        /// The pods in it, from above, where a cluster runs in a pod of another one. Whoever runs in a pod can make folders with
        /// any names in it: these count only where the uppermost is a stranger.
        nested: Vec<PodId>,
    },
}

/// A container of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    /// The name of the engine, such as `docker`; `cri` for that of a pod where the path does not tell which.
    pub engine: &'static str,
    /// Its id, as the engine's commands take it.
    pub id: String,
}

/// The owner of the cgroup with this path, as `/proc/PID/cgroup` has it.
pub fn owner_of(path: &str, rules: &Rules) -> Owner {
    let names: Vec<&str> = path.rsplit('/').collect();
    owner_of_names(&names, rules)
}

/// The owner of the cgroup with these names, from its own up to the root's, which is empty. The uppermost may be missing.
pub fn owner_of_names(from_leaf: &[&str], rules: &Rules) -> Owner {
    let named = from_leaf.iter().rev().filter(|name| !name.is_empty());
    let folders: Vec<String> = named.flat_map(|name| parts(name)).collect();
    let mut reading = Reading::default();
    let mut parent = None;
    for folder in &folders {
        reading.take(folder, parent, rules);
        parent = Some(folder.as_str());
    }
    reading.owner(!folders.is_empty())
}

/// A runtime that is told a systemd path while it uses none makes one folder of it: `SLICE:PREFIX:ID`, which would be
/// `SLICE/PREFIX-ID.scope`.
fn parts(folder: &str) -> Vec<String> {
    let mut parts = folder.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(slice), Some(prefix), Some(id), None) if slice.ends_with(".slice") => {
            vec![slice.to_owned(), format!("{prefix}-{id}.scope")]
        }
        _ => vec![folder.to_owned()],
    }
}

/// What the folders down to here mean.
#[derive(Debug, Default)]
struct Reading {
    /// The uppermost pod.
    pod: Option<PodId>,
    /// The pods in it.
    nested: Vec<PodId>,
    /// The uppermost container of the uppermost pod, or of all.
    container: Option<Container>,
    /// What holds all that is below it, but a pod.
    holder: Option<Workload>,
    /// The nearest unit.
    unit: Option<Workload>,
    /// The nearest slice or folder that somebody has chosen.
    around: Option<Workload>,
    /// The nearest one that is there by default, where there is nothing else.
    default: Option<Workload>,
}

impl Reading {
    fn take(&mut self, folder: &str, parent: Option<&str>, rules: &Rules) {
        let Some((form, part)) = forms::of(folder, parent) else {
            self.folder(folder);
            return;
        };
        match form.means {
            Means::Pod => self.pod(part),
            Means::Container(engine) => self.container(engine, part),
            Means::Holder(kind) => self.hold(kind, part),
            Means::User => {
                let user = Workload::outside(kinds::USER, kinds::USER);
                self.holder.get_or_insert(user);
            }
            Means::Unit => self.unit = Some(units::workload(part, rules.merge_templates)),
            Means::Slice => self.around = Some(units::workload(part, rules.merge_templates)),
            Means::DefaultSlice => self.default = Some(units::workload(part, rules.merge_templates)),
            Means::DefaultFolder => self.default = Some(Workload::outside(kinds::CGROUP, part)),
        }
    }

    fn pod(&mut self, part: &str) {
        let id = PodId::parse(part);
        if self.pod.is_some() {
            self.nested.extend(id);
        } else if id.is_some() {
            self.pod = id;
            self.container = None;
        }
    }

    fn container(&mut self, engine: &'static str, id: &str) {
        if self.container.is_some() {
            return;
        }
        self.container = Some(Container {
            engine,
            id: id.to_owned(),
        });
        let within = self.unit.clone().or_else(|| self.around.clone());
        let holder = within.unwrap_or_else(|| Workload::outside(kinds::CONTAINER, engine));
        self.holder.get_or_insert(holder);
    }

    fn hold(&mut self, kind: &'static str, part: &str) {
        let name = name::without_ids(&units::unescaped(part), name::Numbers::Long);
        self.holder.get_or_insert_with(|| Workload::outside(kind, &name));
    }

    /// A folder of no known form.
    fn folder(&mut self, folder: &str) {
        if !name::is_id(folder) {
            let name = name::without_ids(folder, name::Numbers::Long);
            self.around = Some(Workload::outside(kinds::CGROUP, &name));
        }
    }

    fn owner(self, has_folders: bool) -> Owner {
        let Self {
            pod,
            nested,
            container,
            holder,
            unit,
            around,
            default,
        } = self;
        let whose = match pod {
            Some(id) => Whose::Pod { id, nested },
            None if !has_folders => Whose::Host,
            None => {
                let nearest = holder.or(unit).or(around).or(default);
                Whose::Workload(nearest.unwrap_or_else(|| Workload::outside(kinds::CGROUP, "*")))
            }
        };
        Owner { whose, container }
    }
}

#[cfg(test)]
mod tests;
