//! Dropped packets as the kernel hands them over: one buffer for each CPU, a queue that is bounded across all of them, and
//! the table of sites that nobody wants or that found the queue full.

use crate::{
    Kernel, LoadError,
    load::{Setup, load_with_fallback},
    plan::Plan,
    read::ReadError,
    sys::object::{Object, Plain},
};
use aya::{
    maps::{
        MapData, PerfEventArray,
        perf::{PerfBufferError, PerfEvent, PerfEventArrayBuffer},
    },
    programs::BtfTracePoint,
    util::online_cpus,
};
use common::{
    drops::capture::{Head, MOST_AFTER, MOST_BEFORE, Site, SiteState, queue},
    kernel::fields::fact,
    map::catalog::{CAPTURE_PACKETS, CAPTURE_QUEUE, CAPTURE_SITES},
    text::Name,
};
use ipnet::IpNet;
use nix::unistd::{SysconfVar, sysconf};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd},
};

/// What is wanted of dropped packets.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Most packets that may wait.
    pub queue: u64,
    /// Most bytes of each.
    pub length: u32,
    /// Networks of the source or the destination; none for all packets.
    pub addresses: Vec<IpNet>,
}

/// Programs that capture, and what they send.
pub struct Packets {
    kernel: Kernel,
    buffers: Vec<PerfEventArrayBuffer<MapData>>,
    taken: u64,
}

/// What found the queue full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailDrops {
    /// By site, but for refused ones.
    pub by_site: BTreeMap<Site, u64>,
    /// Of sites that did not fit into the table.
    pub of_other_sites: u64,
}

impl Packets {
    /// Loads and attaches what sends packets.
    ///
    /// # Errors
    /// [`LoadError`] when the kernel refuses.
    pub fn load(wanted: &Wanted, setup: &Setup, mut plan: Plan) -> Result<Self, LoadError> {
        let Wanted {
            queue,
            length,
            addresses,
        } = wanted;
        plan.facts.extend([
            (fact::CAPTURE_QUEUE_LIMIT, *queue),
            (fact::CAPTURE_LENGTH_LIMIT, u64::from(*length)),
            (fact::CAPTURE_HAS_ADDRESSES, u64::from(!addresses.is_empty())),
        ]);
        let load = |plan| {
            let mut buffers = Vec::new();
            let kernel = Kernel::load_prepared(setup, plan, |object| {
                buffers = open(object, wanted)?;
                Ok(())
            })?;
            Ok(Self {
                kernel,
                buffers,
                taken: 0,
            })
        };
        let packets = load_with_fallback(plan, load, |packets| packets.kernel.plan())?;
        packets.kernel.tell_refusals();
        Ok(packets)
    }

    /// What runs, and the kernel hides the names of its functions: see [`Kernel`].
    pub const fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The same, for whoever takes cgroups from it.
    pub const fn kernel_mut(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// To be waited for: one for each CPU, readable when packets wait.
    pub fn buffers(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.buffers.iter().map(AsFd::as_fd)
    }

    /// Calls `each` with every packet that waits, in the order of each CPU.
    pub fn read(&mut self, mut each: impl FnMut(Head, Vec<u8>)) {
        for buffer in &mut self.buffers {
            buffer.for_each(|event| match event {
                PerfEvent::Sample { head, tail } => {
                    let event = [head, tail].concat();
                    if let Some((head, bytes)) = Head::parse(&event) {
                        each(head, bytes.to_vec());
                    }
                }
                // The programs have counted them too, each by its site.
                PerfEvent::Lost { .. } => {}
            });
        }
    }

    /// Makes room in the queue: so many packets are done with.
    ///
    /// # Errors
    /// [`ReadError::Map`] when the kernel refuses.
    pub fn done(&mut self, packets: u64) -> Result<(), ReadError> {
        self.taken += packets;
        let taken = self.taken;
        Ok(self.kernel.object.set(CAPTURE_QUEUE, queue::TAKEN, taken)?)
    }

    /// From now on the programs send nothing of a site. A table that is full takes no more: then the packets of the site go on
    /// to come.
    ///
    /// # Errors
    /// [`ReadError::Map`] when there is no table.
    pub fn refuse(&mut self, site: Site) -> Result<(), ReadError> {
        let refused = SiteState {
            refused: 1,
            tail_drops: 0,
        };
        let mut sites = self.kernel.object.hash(CAPTURE_SITES)?;
        if let Err(error) = sites.insert(Plain(site), Plain(refused), 0) {
            tracing::debug!(%error, "no room to refuse a site");
        }
        Ok(())
    }

    /// What found the queue full so far.
    ///
    /// # Errors
    /// [`ReadError::Map`] when the kernel refuses.
    pub fn tail_drops(&self) -> Result<TailDrops, ReadError> {
        let mut by_site = BTreeMap::new();
        self.kernel.object.each_entry(CAPTURE_SITES, |site, state| {
            if state.refused == 0 && state.tail_drops != 0 {
                by_site.insert(site, state.tail_drops);
            }
        })?;
        let words = self.kernel.object.values(CAPTURE_QUEUE, queue::WORDS)?;
        let of_other_sites = words.get(queue::TAIL_DROPS_OF_OTHER_SITES as usize);
        Ok(TailDrops {
            by_site,
            of_other_sites: of_other_sites.copied().unwrap_or(0),
        })
    }

    /// Finds the names of a site's place and reason, for [`Self::location`] and [`Self::reason`].
    ///
    /// # Errors
    /// [`ReadError::Symbols`].
    pub fn learn(&mut self, site: &Site) -> Result<(), ReadError> {
        self.kernel.learn([(site.location, site.reason)].into_iter())
    }

    /// The name of a site's function.
    pub fn location(&self, site: &Site) -> String {
        self.kernel.location(site.location)
    }

    /// The name of a site's reason.
    pub fn reason(&self, site: &Site) -> String {
        self.kernel.reason(site.reason)
    }

    /// Whether the kernel has a drop reason.
    pub fn has_reason(&self, name: &str) -> bool {
        self.kernel.has_reason(name)
    }

    /// Ends the programs; what they have sent can still be read. Gives the runs that the kernel skipped.
    pub fn detach(&mut self) -> u64 {
        let lost = self.kernel.skipped_runs().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read how many drops the programs of the capture missed");
            0
        });
        let running = self.kernel.plan.programs.iter().filter(|planned| planned.off.is_none());
        for planned in running {
            if let Some(program) = self.kernel.object.program_mut(planned.name())
                && let Ok(program) = <&mut BtfTracePoint>::try_from(program)
                && let Err(error) = program.unload()
            {
                // It ends with this process at the latest.
                tracing::warn!(%error, program = planned.name(), "a program cannot be unloaded");
            }
        }
        lost
    }
}

/// The name of a site's device; empty when the packet did not know it any more.
pub fn device(site: &Site) -> String {
    Name(site.device).to_string()
}

/// Opens a buffer for each CPU. Whoever may not lock much memory gets smaller ones.
fn open(object: &mut Object, wanted: &Wanted) -> Result<Vec<PerfEventArrayBuffer<MapData>>, LoadError> {
    let mut map: PerfEventArray<MapData> = object.take(CAPTURE_PACKETS)?;
    let cpus = online_cpus().map_err(|(what, source)| LoadError::Cpus(what, source))?;
    let page = page_size();
    let (least, mut pages) = (
        SMALLEST_BUFFER.div_ceil(page).next_power_of_two(),
        pages(wanted, cpus.len(), page),
    );
    'sizes: loop {
        let mut buffers = Vec::with_capacity(cpus.len());
        for cpu in &cpus {
            match map.open(*cpu, Some(pages)) {
                Ok(buffer) => buffers.push(buffer),
                Err(PerfBufferError::MMapError { .. }) if pages > least => {
                    pages /= 2;
                    continue 'sizes;
                }
                Err(source) => return Err(LoadError::Buffer { cpu: *cpu, source }),
            }
        }
        tracing::debug!(pages, cpus = buffers.len(), "buffers of packets");
        return Ok(buffers);
    }
}

fn page_size() -> usize {
    const USUAL: usize = 4096;
    let known = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    known.and_then(|size| usize::try_from(size).ok()).unwrap_or(USUAL)
}

/// A buffer takes at least two of the largest packets.
const SMALLEST_BUFFER: usize = 1 << 17;

/// All buffers together take at most so much, unless there are very many CPUs.
const ALL_BUFFERS: usize = 1 << 26;

/// Pages of a CPU's buffer: as many as the whole queue may need if all packets are of ordinary length.
fn pages(wanted: &Wanted, cpus: usize, page: usize) -> usize {
    /// A full Ethernet frame.
    const ORDINARY: u64 = 1536;
    /// Head of the event, header of the record, and headers before the data.
    const AROUND: u64 = Head::LENGTH as u64 + 64;
    let each = u64::from(wanted.length.min(MOST_AFTER + MOST_BEFORE)).min(ORDINARY) + AROUND;
    let needed = usize::try_from(wanted.queue.saturating_mul(each)).unwrap_or(usize::MAX);
    let most = (ALL_BUFFERS / cpus.max(1)).max(SMALLEST_BUFFER) / page;
    // The kernel wants powers of two; what is the most must not be rounded up.
    let most = 1 << most.max(1).ilog2();
    let least = (SMALLEST_BUFFER / page).next_power_of_two();
    let needed = needed.min(ALL_BUFFERS).div_ceil(page).next_power_of_two();
    needed.clamp(least, most.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(queue: u64, length: u32, cpus: usize, expected: usize) {
        let wanted = Wanted {
            queue,
            length,
            addresses: Vec::new(),
        };
        assert_eq!(pages(&wanted, cpus, 4096), expected, "{wanted:?} on {cpus} CPUs");
    }

    #[test]
    fn buffers_hold_the_queue_within_bounds() {
        check(1000, u32::MAX, 2, 512);
        check(1000, 96, 2, 64);
        check(1, 96, 2, 32);
        check(1_000_000, u32::MAX, 2, 8192);
        check(1_000_000, u32::MAX, 3, 4096);
        check(1000, u32::MAX, 48, 256);
        check(1000, u32::MAX, 256, 64);
        check(1_000_000, u32::MAX, 1024, 32);
    }
}
