//! A host that has cgroups of version 1 alone. Sockets know those of version 2 only: nobody is told apart, every connection counts,
//! and whoever asks hears why. `6.12-cgroup-v1` of the matrix is such a host; elsewhere version 2 has been mounted, and stays known.

use std::fs::{create_dir, read_to_string, remove_dir, write};
use std::panic::resume_unwind;
use std::thread;

use anyhow::{Context as _, Result};
use tempfile::{TempDir, tempdir};
use tests::kernel::kernel_facts::skip;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::namespace::host;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, settle};

use super::sources::{diagnosis, ready, until_source};
use super::*;
use crate::account::{End, require_equal, require_equal_where};

/// A hierarchy of version 1, as systemd mounts one of its own; unmounted on drop.
struct Hierarchy(TempDir);

impl Hierarchy {
    fn mount() -> Result<Self> {
        let folder = tempdir()?;
        host(&format!(
            "mount -t cgroup -o none,name=systemd systemd {}",
            folder.path().display()
        ))?;
        Ok(Self(folder))
    }

    /// Opens a connection from a thread in a cgroup of this name.
    fn open(&self, unit: &str, pair: &Pair, port: u16) -> Result<Flow> {
        let folder = self.0.path().join(unit);
        create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        let flow = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                write(folder.join("tasks"), "0").context("enter a cgroup of version 1")?;
                Flow::open(pair, Family::V4, port)
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        // Its thread may take a moment to leave.
        until("the cgroup to be empty", || {
            Ok(remove_dir(&folder).is_ok().then_some(()))
        })?;
        Ok(flow)
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        host(&format!("umount {}", self.0.path().display())).ok();
    }
}

#[test]
fn all_is_the_hosts_until_version_2_is_mounted_and_everybody_is_told_why() -> Result<()> {
    const REASON: &str = "no cgroups of version 2";
    let _turn = turn::alone()?;
    if read_to_string("/proc/self/cgroup")?
        .lines()
        .any(|line| line.starts_with("0::"))
    {
        skip("cgroups of version 2 have been mounted here: the kernel 6.12-cgroup-v1 is for this");
        return Ok(());
    }
    let old = Hierarchy::mount()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let config = config(&pair, "{source: cgroup}");
    let exporter = start(&config)?;
    until_source(&exporter, "cgroup", REASON)?;
    let said = ready(&exporter)?;
    assert!(
        said.starts_with("workloads: off: no names from cgroup since ") && said.contains("everything counts as host"),
        "{said}"
    );
    let diagnosed = diagnosis(&config, &[])?;
    assert!(
        diagnosed
            .to_string()
            .contains("nobody has mounted cgroups of version 2"),
        "{diagnosed}"
    );

    let flows = [
        old.open("web.service", &pair, 443)?,
        old.open("other.service", &pair, 8443)?,
    ];
    for flow in &flows {
        flow.exchange(20_000, 30_000)?;
    }
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let of_host = [("subnet", &*subnet), ("workload", "host")];
    for end in End::BOTH {
        let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
        require_equal(&scrape, &subnet, end, &sockets)?;
        require_equal_where(&scrape, &of_host, end, &sockets)?;
    }
    assert_eq!(
        scrape.by(OPENED, "workload", &[("subnet", &subnet)])?,
        [("host".to_owned(), 4.0)].into()
    );

    // The remedy that it names helps at once: whoever comes then is told apart.
    let cgroups = Cgroups::of_threads()?;
    until_source(&exporter, "cgroup", "")?;
    let unit = make_for_program(&cgroups, "system.slice/web.service")?;
    let flow = unit.run(|| Flow::open(&pair, Family::V4, 5432))?;
    until_open(&exporter, &subnet, "web.service", 2)?;
    drop((flow, flows));
    Ok(())
}
