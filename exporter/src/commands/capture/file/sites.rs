//! What is known of each site: whether its packets pass the filter, and what the file says of them. Asks for names once.

use super::{link::Link, pcapng::Interface};
use crate::commands::{
    capture::filter::{CaptureFilter, SiteNames},
    words::add_word,
};
use common::{
    drops::{Direction, Protocol, capture::Site},
    workload::Number,
};
use std::{collections::HashMap, rc::Rc};
use tcpvitals_kernel::read::packets::device;
use tcpvitals_metrics::{
    labels::classes::{Classes, coarse},
    workloads::{Instance, Workload},
};

/// Who names what the kernel numbers.
pub trait Namer {
    /// A drop reason and a kernel function.
    fn names(&mut self, site: &Site) -> (String, String);
    /// Whether the kernel has a drop reason.
    fn has_reason(&self, name: &str) -> bool;
    /// A device of this process's own network namespace.
    fn own_device(&self, ifindex: u32) -> Option<String>;
    /// The number of that namespace.
    fn own_namespace(&self) -> u32;
    /// The workload that has a number; `None` where workloads are not told apart.
    fn workload(&self, number: Number) -> Option<Workload>;
    /// The pod and the container of a cgroup; `None` there too.
    fn instance(&self, cgroup: u64) -> Option<Instance>;
}

/// A site in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether its packets are captured.
    pub passes: bool,
    /// Which way they went.
    pub direction: Direction,
    /// Their comment, but for what differs between them.
    pub comment: String,
    /// The device, and more about it.
    pub device: (String, String),
}

impl Known {
    /// Its interface for packets of a link type.
    pub fn interface(&self, link: Link) -> Interface {
        let (name, description) = self.device.clone();
        Interface {
            name,
            description,
            link,
        }
    }
}

/// All sites that were met.
#[derive(Debug)]
pub struct Sites {
    filter: CaptureFilter,
    classes: Classes,
    known: HashMap<Site, Rc<Known>>,
    /// Namespace and ifindex to name: packets forget their device on their way through the kernel.
    devices: HashMap<(u32, u32), String>,
}

impl Sites {
    /// None yet.
    pub fn new(filter: CaptureFilter, classes: Classes) -> Self {
        Self {
            filter,
            classes,
            known: HashMap::new(),
            devices: HashMap::new(),
        }
    }

    /// What is known of a site, and whether it was met for the first time.
    pub fn get(&mut self, site: &Site, namer: &mut impl Namer) -> (Rc<Known>, bool) {
        if let Some(known) = self.known.get(site) {
            return (Rc::clone(known), false);
        }
        let known = Rc::new(self.meet(site, namer));
        self.known.insert(*site, Rc::clone(&known));
        (known, true)
    }

    fn meet(&mut self, site: &Site, namer: &mut impl Namer) -> Known {
        let (reason, location) = namer.names(site);
        let interface = self.device(site, namer);
        let workload = namer.workload(site.workload);
        let tells_workloads = workload.is_some();
        let (workload, workload_namespace) = workload
            .map(
                |Workload {
                     namespace,
                     name,
                     kind: _,
                 }| (name, namespace),
            )
            .unwrap_or_default();
        let marks = site.marks() | coarse(&reason, |name| namer.has_reason(name));
        let is_packet = self.classes.is_packet(&reason, &location, marks);
        let names = SiteNames {
            class: self.classes.of(&reason, &location, marks),
            reason,
            location,
            protocol: Protocol::from_number(site.protocol),
            direction: site.direction(),
            interface,
            workload,
            workload_namespace,
        };
        let passes = is_packet && self.filter.passes(&names);
        let SiteNames {
            reason,
            location,
            class,
            protocol,
            direction,
            interface,
            workload,
            workload_namespace,
        } = names;
        let mut comment = format!(
            "reason={} location={location} class={} direction={} protocol={}",
            if reason.is_empty() { "none" } else { &reason },
            class.as_str(),
            direction.as_str(),
            protocol.as_str()
        );
        if tells_workloads {
            add_word(&mut comment, "workload", &workload);
            add_word(&mut comment, "workload_namespace", &workload_namespace);
        }
        Known {
            passes,
            direction,
            comment,
            device: (interface, describe(site)),
        }
    }

    /// The name of a site's device: its own, one that another packet knew, or the one of this namespace. Where the namespace is not
    /// known, a number alone names no device: every namespace has one of that number.
    fn device(&mut self, site: &Site, namer: &impl Namer) -> String {
        let place = (site.namespace, site.ifindex);
        let name = device(site);
        if !name.is_empty() {
            self.devices.insert(place, name.clone());
            return name;
        }
        let of_own = || {
            let is_own = site.namespace == namer.own_namespace();
            is_own.then(|| namer.own_device(site.ifindex)).flatten()
        };
        let known = match site.namespace {
            0 => None,
            _ => self.devices.get(&place).cloned().or_else(of_own),
        };
        match known {
            Some(name) => name,
            None if site.ifindex == 0 => "unknown".to_owned(),
            None => format!("ifindex-{}", site.ifindex),
        }
    }
}

fn describe(site: &Site) -> String {
    let Site { ifindex, namespace, .. } = site;
    match (ifindex, namespace) {
        (0, 0) => "no device is known".to_owned(),
        (0, namespace) => format!("no device is known, network namespace {namespace}"),
        (ifindex, 0) => format!("ifindex {ifindex}"),
        (ifindex, namespace) => format!("ifindex {ifindex}, network namespace {namespace}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kernel;

    impl Namer for Kernel {
        fn names(&mut self, site: &Site) -> (String, String) {
            (format!("REASON_{}", site.reason), format!("function_{}", site.location))
        }

        fn has_reason(&self, _: &str) -> bool {
            true
        }

        fn own_device(&self, ifindex: u32) -> Option<String> {
            (ifindex == 1).then(|| "lo".to_owned())
        }

        fn own_namespace(&self) -> u32 {
            42
        }

        fn workload(&self, number: Number) -> Option<Workload> {
            (number != 0).then(|| Workload::in_kubernetes("shop", "Deployment", "cart"))
        }

        fn instance(&self, _: u64) -> Option<Instance> {
            None
        }
    }

    fn site(name: &str, ifindex: u32, namespace: u32) -> Site {
        Site {
            location: 5,
            reason: 7,
            device: common::net::connection::name(name),
            ifindex,
            namespace,
            protocol: Protocol::Udp as u8,
            way: Site::way_of(Direction::Transmit, 0),
            ..Site::default()
        }
    }

    fn sites(filter: CaptureFilter) -> Sites {
        Sites::new(filter, Classes::new(&[]))
    }

    #[test]
    fn a_device_that_is_forgotten_is_remembered() {
        let mut sites = sites(CaptureFilter::default());
        let mut check = |site: Site, name: &str, description: &str| {
            let (known, _) = sites.get(&site, &mut Kernel);
            assert_eq!(known.device, (name.to_owned(), description.to_owned()));
        };
        check(site("", 3, 9), "ifindex-3", "ifindex 3, network namespace 9");
        check(site("eth0", 4, 9), "eth0", "ifindex 4, network namespace 9");
        check(site("", 4, 9), "eth0", "ifindex 4, network namespace 9");
        check(site("", 4, 8), "ifindex-4", "ifindex 4, network namespace 8");
        check(site("", 1, 42), "lo", "ifindex 1, network namespace 42");
        check(site("", 1, 0), "ifindex-1", "ifindex 1");
        check(site("", 0, 0), "unknown", "no device is known");
    }

    #[test]
    fn a_site_is_new_once_and_its_comment_says_why() {
        let mut sites = sites(CaptureFilter {
            labels: tcpvitals_metrics::rows::filter::DropFilter {
                values: vec![(tcpvitals_config::DropLabel::Protocol, vec!["tcp".to_owned()])],
                ..Default::default()
            },
            ..CaptureFilter::default()
        });
        let (known, is_new) = sites.get(&site("eth0", 4, 9), &mut Kernel);
        assert_eq!(
            known.comment,
            "reason=REASON_7 location=function_5 class=error direction=transmit protocol=udp"
        );
        assert!(!known.passes && is_new);
        let owned = Site {
            workload: 4,
            ..site("eth0", 4, 9)
        };
        let (known, _) = sites.get(&owned, &mut Kernel);
        assert!(
            known
                .comment
                .ends_with(" protocol=udp workload=cart workload_namespace=shop"),
            "{known:?}"
        );
        assert!(!sites.get(&site("eth0", 4, 9), &mut Kernel).1);
    }
}
