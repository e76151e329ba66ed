//! The capture itself: what needs privileges first, then packets from the buffers to the file until it is told to end.

use super::{error::CaptureError, extcap::Task, networks};
use crate::{
    cli::{capture::CaptureArguments, filters::Shows},
    commands::capture::file::{
        output::{GRACE, Output},
        pcapng::Origin,
        sites::{Namer, Sites},
        writer::{Sent, Total, Waiting, Writer},
    },
    lifecycle::{
        clock::{monotonic, monotonic_to_1970},
        host::{Host, network_namespace},
        setup::{self, MapContents},
        signals::stop::{Stop, Written},
        start::{Checked, StartError},
    },
    serve::workloads::{self, Known},
};
use common::{
    drops::capture::Site,
    kernel::{fields::global, programs::DROPS},
    workload::Number,
};
use nix::{net::if_::if_indextoname, poll::PollFlags};
use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tcpvitals_kernel::{
    load::lookups::Lookups,
    plan::{Plan, purpose::Purpose},
    read::packets::{Packets, Wanted},
};
use tcpvitals_metrics::{
    labels::classes::Classes,
    workloads::{Instance, Workload},
};

/// Captures, or answers Wireshark; the answer is to be printed.
///
/// # Errors
/// [`CaptureError`]; nothing stays loaded, and what was captured is in the file.
pub fn capture(arguments: &CaptureArguments) -> Result<Option<String>, CaptureError> {
    match arguments.extcap.task() {
        Task::Answer(text) => Ok(Some(text)),
        Task::Refuse(why) => Err(CaptureError::Refused(why)),
        Task::Capture(fifo) => into(arguments, &fifo, Voice::Problems).map(|()| None),
        Task::None => match &arguments.write {
            Some(path) => into(arguments, path, Voice::All).map(|()| None),
            None => Err(CaptureError::Nowhere),
        },
    }
}

/// What is said on stderr. Wireshark takes every word there for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    All,
    Problems,
}

fn into(arguments: &CaptureArguments, path: &Path, voice: Voice) -> Result<(), CaptureError> {
    let config = setup::config_beside(arguments.advanced.config_file.as_deref()).map_err(StartError::from)?;
    let filters = arguments.filters.filters.of(Shows::Packets)?;
    filters.check(&config)?;
    let sites = Sites::new(
        arguments.filters.filter(&config.drops),
        Classes::new(&config.drops.classes),
    );
    let checked = Checked::new(&config, arguments.advanced.btf.as_deref(), Purpose::Capture)?;
    filters.check_reasons(&checked.reasons())?;
    let checked = checked.require(filters.rows())?;
    check(checked.plan())?;
    let output = Output::open(path, arguments.rotation.into())?;
    let wanted = Wanted {
        queue: arguments.queue,
        length: if arguments.snaplen == 0 {
            u32::MAX
        } else {
            arguments.snaplen
        },
        addresses: networks::wanted(filters, &config)?,
    };
    let tables = MapContents {
        // Those of label sets and drops stay empty.
        memory: 0,
        lookups: Lookups::of_networks(&wanted.addresses),
    };
    let loaded = checked
        .keep_needed()?
        .load(tables, |setup, plan| Packets::load(&wanted, setup, plan))?;
    let mut packets = loaded.drop_capabilities()?;
    let stop = Stop::new(arguments.duration, GRACE).map_err(CaptureError::Wait)?;
    let workloads = Arc::default();
    workloads::follow(packets.kernel_mut(), &config, &workloads)?;
    if voice == Voice::All {
        tracing::info!(
            output = output.name(),
            queue = arguments.queue,
            "capturing dropped packets"
        );
    }
    let now = monotonic();
    let writer = Writer::new(output, origin(), arguments.snaplen, monotonic_to_1970(), now)?;
    let mut capture = Capture {
        packets,
        writer,
        sites,
        waiting: Waiting::default(),
        stop,
        namespace: network_namespace(),
        workloads,
        left: arguments.count.unwrap_or(u64::MAX),
        voice,
    };
    let end = capture.run();
    let skipped = capture.packets.detach();
    let end = match end? {
        End::Asked => capture.drain()?,
        closed @ End::Closed => closed,
    };
    capture.finish(end, skipped)
}

fn origin() -> Origin {
    let host = Host::read();
    Origin {
        os: format!("{} {}", host.system, host.release),
        hardware: host.machine,
        application: concat!("tcpvitals capture ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Why there would be nothing to capture.
fn check(plan: &Plan) -> Result<(), CaptureError> {
    const FIELDS: [&str; 4] = [
        global::SK_BUFF_DATA,
        global::SK_BUFF_HEAD,
        global::SK_BUFF_NETWORK_HEADER,
        global::SK_BUFF_MAC_HEADER,
    ];
    if let Some(reason) = plan.why_off(DROPS) {
        return Err(CaptureError::Lacking(reason.to_string()));
    }
    let missing = plan.missing_fields.iter().find(|(global, _)| FIELDS.contains(global));
    missing.map_or(Ok(()), |(_, reason)| Err(CaptureError::Lacking(reason.clone())))
}

/// Why no more packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By a signal, a time or a count.
    Asked,
    /// Nobody reads any more.
    Closed,
}

struct Capture {
    packets: Packets,
    writer: Writer,
    sites: Sites,
    waiting: Waiting,
    stop: Stop,
    namespace: u32,
    workloads: Arc<Known>,
    /// Packets until `--count`.
    left: u64,
    voice: Voice,
}

impl Capture {
    fn run(&mut self) -> Result<End, CaptureError> {
        loop {
            if self.wait()? == End::Closed {
                return Ok(End::Closed);
            }
            // A packet has its time a little before it is in its buffer.
            const ON_ITS_WAY: u64 = 1_000_000;
            let until = monotonic().saturating_sub(ON_ITS_WAY);
            self.read();
            if self.write(until)? == End::Closed {
                return Ok(End::Closed);
            }
            // The word to end may have come while a slow reader was waited for.
            if self.stop.is_due() || self.left == 0 {
                return Ok(End::Asked);
            }
        }
    }

    /// Waits for packets, signals and the end of the reader. While packets are held back, others only join them: then the
    /// time is waited for, and the kernel's word of each new packet is not listened to.
    fn wait(&mut self) -> Result<End, CaptureError> {
        const HELD_BACK: Duration = Duration::from_millis(1);
        let reader = self.writer.output().reader();
        let mut waited: Vec<_> = reader.map(|reader| (reader, PollFlags::empty())).into_iter().collect();
        let readers = waited.len();
        let time = if self.waiting.is_empty() {
            waited.extend(self.packets.buffers().map(|buffer| (buffer, PollFlags::POLLIN)));
            self.stop.left()
        } else {
            Some(HELD_BACK)
        };
        let ready = self.stop.wait(&waited, time).map_err(CaptureError::Wait)?;
        let is_closed = ready
            .iter()
            .take(readers)
            .any(|reader| reader.contains(PollFlags::POLLERR));
        Ok(if is_closed { End::Closed } else { End::Asked })
    }

    fn read(&mut self) {
        let Self { packets, waiting, .. } = self;
        packets.read(|head, bytes| waiting.add(Sent { head, bytes }));
    }

    /// Writes the packets that are older than `until`, as far as they are wanted.
    fn write(&mut self, until: u64) -> Result<End, CaptureError> {
        self.writer.set_clock(monotonic_to_1970());
        let mut done = 0;
        for sent in self.waiting.take(until) {
            done += 1;
            if self.left == 0 || !self.wants(&sent.head.site)? {
                continue;
            }
            if self.writer.is_full(sent.head.time) && self.rotate(sent.head.time)? == End::Closed {
                return Ok(End::Closed);
            }
            let mut namer = KernelNames::new(&mut self.packets, self.namespace, &self.workloads);
            self.writer.add(&sent, &mut self.sites, &mut namer)?;
            self.left -= 1;
            if self.writer.is_heavy() {
                if self.flush()? == End::Closed {
                    return Ok(End::Closed);
                }
                self.packets.done(std::mem::take(&mut done))?;
            }
        }
        let end = self.flush()?;
        if done > 0 {
            self.packets.done(done)?;
        }
        Ok(end)
    }

    /// Whether packets of a site are captured; if not, the programs are told at once.
    fn wants(&mut self, site: &Site) -> Result<bool, CaptureError> {
        let mut namer = KernelNames::new(&mut self.packets, self.namespace, &self.workloads);
        let (known, is_new) = self.sites.get(site, &mut namer);
        if is_new && !known.passes {
            self.packets.refuse(*site)?;
        }
        Ok(known.passes)
    }

    fn flush(&mut self) -> Result<End, CaptureError> {
        let written = self.writer.flush(&mut self.stop)?;
        self.ended(written)
    }

    fn ended(&self, written: Written) -> Result<End, CaptureError> {
        match written {
            Written::All => Ok(End::Asked),
            Written::Closed => Ok(End::Closed),
            Written::Stuck => Err(CaptureError::Stuck(self.writer.output().name())),
        }
    }

    /// Ends the file and begins the next one.
    fn rotate(&mut self, now: u64) -> Result<End, CaptureError> {
        let end = self.end(now)?;
        self.writer.rotate(now)?;
        Ok(end)
    }

    fn end(&mut self, now: u64) -> Result<End, CaptureError> {
        let lost = self.packets.tail_drops()?;
        let mut namer = KernelNames::new(&mut self.packets, self.namespace, &self.workloads);
        self.writer.count(&lost, &mut self.sites, &mut namer)?;
        let written = self.writer.end(now, &mut self.stop)?;
        self.ended(written)
    }

    /// Writes what the programs had sent when they were ended.
    fn drain(&mut self) -> Result<End, CaptureError> {
        self.stop.hurry();
        self.read();
        self.write(u64::MAX)
    }

    /// Ends the file, and says how it went.
    fn finish(mut self, end: End, skipped: u64) -> Result<(), CaptureError> {
        if end == End::Closed && self.voice == Voice::All {
            // Whatever is written now, nobody reads it; the counts are worth knowing all the same.
            tracing::info!(
                output = self.writer.output().name(),
                "the reader closed the pipe: capture ends"
            );
        }
        let ended = self.end(monotonic());
        let of_other_sites = self.packets.tail_drops()?.of_other_sites;
        let total = self.writer.total();
        if self.voice == Voice::All || total.tail_drops + of_other_sites + skipped > 0 {
            tell(total, of_other_sites, skipped);
        }
        ended.map(drop)
    }
}

/// The last words, on stderr, whatever the level of the log.
fn tell(Total { captured, tail_drops }: Total, of_other_sites: u64, skipped: u64) {
    let missed = match tail_drops {
        0 => "none missed".to_owned(),
        some => format!("{some} missed (tail drops)"),
    };
    let mut words = format!("tcpvitals: {captured} packets captured, {missed}");
    if captured + tail_drops + of_other_sites + skipped == 0 {
        words += "; nothing was dropped that passes the filters: `tcpvitals drops` shows all drop sites";
    }
    if of_other_sites > 0 {
        words += &format!(", {of_other_sites} more of too many different sites to tell whether they pass the filters");
    }
    if skipped > 0 {
        words += &format!(", {skipped} not looked at because the kernel skipped the program");
    }
    // Nobody is left to tell when stderr is closed.
    let _unread = writeln!(io::stderr(), "{words}");
}

/// Names of what the kernel numbers.
struct KernelNames<'a> {
    packets: &'a mut Packets,
    namespace: u32,
    workloads: &'a Known,
}

impl<'a> KernelNames<'a> {
    const fn new(packets: &'a mut Packets, namespace: u32, workloads: &'a Known) -> Self {
        Self {
            packets,
            namespace,
            workloads,
        }
    }
}

impl Namer for KernelNames<'_> {
    fn names(&mut self, site: &Site) -> (String, String) {
        if let Err(error) = self.packets.learn(site) {
            tracing::warn!(%error, "a location stays unknown");
        }
        (self.packets.reason(site), self.packets.location(site))
    }

    fn has_reason(&self, name: &str) -> bool {
        self.packets.has_reason(name)
    }

    fn own_device(&self, ifindex: u32) -> Option<String> {
        if_indextoname(ifindex).ok()?.into_string().ok()
    }

    fn own_namespace(&self) -> u32 {
        self.namespace
    }

    fn workload(&self, number: Number) -> Option<Workload> {
        self.workloads.names().name(number).cloned()
    }

    fn instance(&self, cgroup: u64) -> Option<Instance> {
        self.workloads.instance(cgroup)
    }
}
