//! Traces the running kernel.

use super::{error::TraceError, output::Output, printer::Printer};
use crate::{
    cli::{Interval, TraceArguments, TraceOutput},
    lifecycle::{
        clock::{monotonic, monotonic_to_1970, now},
        setup,
        signals::stop::Written,
        start::{Checked, StartError},
    },
    serve::workloads::{self, Known},
};
use common::{
    kernel::programs::DUMP,
    tcp::{
        event::{Event, EventKind},
        record::FlowRecord,
    },
};
use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};
use tcpvitals_config::numbering::Numbering;
use tcpvitals_kernel::{
    Kernel,
    plan::{Planned, purpose::Purpose},
    read::events::{EVENTS, Events},
};
use tcpvitals_metrics::rows::trace::{
    item::{Item, LostEvents, Setting},
    names::TraceNames,
};

/// Events that are taken before anything else is looked at.
const BATCH: usize = 1024;

/// Time between periodic events unless another is asked for.
const USUAL_INTERVAL: Duration = Duration::from_secs(2);
/// After so much silence somebody who watches is told that it works.
const SILENCE: Duration = Duration::from_secs(5);

/// Traces until it is told to end.
pub(super) fn trace(arguments: &TraceArguments) -> Result<(), TraceError> {
    let config = setup::config_beside(arguments.advanced.config_file.as_deref()).map_err(StartError::from)?;
    let numbering = Numbering::new(&config);
    let setting = Setting {
        names: TraceNames::new(&config, &numbering),
        clock_base: monotonic_to_1970(),
    };
    let checked = Checked::new(&config, arguments.advanced.btf.as_deref(), Purpose::Trace)?;
    let checked = checked.require(arguments.filters.rows())?;
    let printer = Printer::new(arguments, setting)?;
    let loaded = checked
        .with_ring(EVENTS, arguments.buffer)
        .keep_needed()?
        .load(setup::tables(&config, &numbering), Kernel::load)?;
    // From here on signals end it in order.
    let began = now();
    let output = Output::new(arguments.duration).map_err(TraceError::Wait)?;
    let mut kernel = loaded.drop_capabilities()?;
    let events = kernel.take_events()?;
    let workloads = Arc::default();
    workloads::follow(&mut kernel, &config, &workloads)?;
    let off = |planned: &Planned| Some(format!("{}: {}", planned.name(), planned.off.as_ref()?));
    let off: Vec<String> = kernel.plan().programs.iter().filter_map(off).collect();
    tracing::debug!(off = off.join("; "), "programs that do not run");
    let is_watched = arguments.output == TraceOutput::Text && io::stdout().is_terminal();
    let mut interval = arguments.interval.map_or(
        if is_watched { None } else { Some(USUAL_INTERVAL) },
        |Interval(interval)| interval,
    );
    if let Some(reason) = kernel.plan().why_off(DUMP).filter(|_| interval.is_some()) {
        tracing::warn!(%reason, "there are no periodic events: {DUMP} does not run");
        interval = None;
    }
    let mut trace = Trace {
        kernel,
        events,
        output,
        printer,
        workloads,
        limit: arguments.count,
        waits_for: is_watched.then(|| arguments.filters.as_given()),
        tally: Counts::default(),
    };
    tracing::info!("tracing");
    let ended = trace.run(interval, began);
    trace.tally.skipped = trace.kernel.skipped_runs().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read how many events the programs of the trace missed");
        0
    });
    // Nobody is left to tell when stderr is closed.
    let _unread = writeln!(io::stderr(), "tcpvitals: {}", trace.tally);
    ended
}

#[derive(Debug, Default)]
struct Counts {
    received: u64,
    lost: u64,
    /// Runs of programs that the kernel skipped.
    skipped: u64,
    periodic: u64,
    shown: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            received,
            lost,
            skipped,
            periodic,
            shown,
        } = self;
        write!(f, "events received: {received}, lost: {lost}")?;
        if *skipped > 0 {
            write!(f, ", not looked at because the kernel skipped a program: {skipped}")?;
        }
        write!(f, "; periodic: {periodic}; shown: {shown}")
    }
}

#[derive(Debug)]
struct Trace {
    kernel: Kernel,
    events: Events,
    output: Output,
    printer: Printer,
    workloads: Arc<Known>,
    limit: Option<u64>,
    /// What was asked for, until somebody who watches was told that nothing came.
    waits_for: Option<String>,
    tally: Counts,
}

impl Trace {
    fn run(&mut self, interval: Option<Duration>, began: Instant) -> Result<(), TraceError> {
        self.output.add(&self.printer.header());
        let mut next = interval.map(|interval| began + interval);
        while !self.output.is_asked_to_end() {
            let more = self.take_batch()?;
            self.look_for_losses()?;
            let now = now();
            if let (Some(at), Some(interval)) = (next, interval)
                && now >= at
            {
                self.look_at_all()?;
                next = Some(now.max(at + interval));
            }
            if self.write()? != Written::All {
                return Ok(());
            }
            if self.is_enough() || self.output.is_due() {
                break;
            }
            if !more {
                self.tell_of_silence(now.saturating_duration_since(began))?;
                let silence = self.waits_for.as_ref().map(|_| began + SILENCE);
                let time = [next, silence].into_iter().flatten().min();
                let time = time.map(|next| next.saturating_duration_since(now));
                self.output.wait(self.events.as_fd(), time).map_err(TraceError::Wait)?;
            }
        }
        self.finish()
    }

    /// Takes what has come, but not for ever; whether there may be more.
    fn take_batch(&mut self) -> Result<bool, TraceError> {
        for _ in 0..BATCH {
            if self.is_enough() {
                return Ok(false);
            }
            let Some(Event {
                kind,
                reserved: _,
                record,
            }) = self.events.next_event()
            else {
                return Ok(false);
            };
            self.tally.received += 1;
            if let Some(kind) = EventKind::from_number(kind) {
                self.show(kind, record)?;
            }
        }
        Ok(true)
    }

    /// Says once that it works, when nothing was shown for a while.
    fn tell_of_silence(&mut self, since: Duration) -> Result<(), TraceError> {
        if self.tally.shown > 0 {
            self.waits_for = None;
        }
        if since < SILENCE {
            return Ok(());
        }
        let Some(asked) = self.waits_for.take() else {
            return Ok(());
        };
        let Ok(flows) = self.kernel.dump() else { return Ok(()) };
        let Printer { filter, setting, .. } = &self.printer;
        let chosen = flows
            .iter()
            .filter(|record| filter.chooses(record, &setting.names))
            .count();
        let none = match (asked.as_str(), chosen) {
            ("", _) => "nothing has happened to them yet".to_owned(),
            (asked, 0) => format!("none matches {asked}"),
            (asked, _) => format!("{chosen} match {asked}, nothing has happened to them yet"),
        };
        let live = flows.len();
        // Nobody is left to tell when stderr is closed.
        let _unread = writeln!(io::stderr(), "waiting; {live} connections live, {none}");
        Ok(())
    }

    /// Shows every live flow.
    fn look_at_all(&mut self) -> Result<(), TraceError> {
        for record in self.kernel.dump()? {
            if self.is_enough() {
                break;
            }
            self.tally.periodic += 1;
            self.show(EventKind::Periodic, record)?;
        }
        Ok(())
    }

    fn show(&mut self, kind: EventKind, record: FlowRecord) -> Result<(), TraceError> {
        let Self { printer, workloads, .. } = self;
        printer.learn(&record, || workloads.names(), || workloads.instance(record.cgroup));
        if let Some(bytes) = printer.print(&Item::Event(kind, record))? {
            self.tally.shown += 1;
            self.output.add(&bytes);
        }
        Ok(())
    }

    /// Tells of events that found no room since this was last asked.
    fn look_for_losses(&mut self) -> Result<(), TraceError> {
        let lost = self.kernel.events_lost()?;
        let count = lost - self.tally.lost;
        if count > 0 {
            self.tally.lost = lost;
            let now = monotonic();
            if let Some(bytes) = self.printer.print(&Item::Lost(LostEvents { now, count }))? {
                self.output.add(&bytes);
            }
            tracing::warn!(count, "events lost: a larger --buffer or a faster reader loses fewer");
        }
        Ok(())
    }

    /// Takes what is still in the ring buffer, as long as somebody reads it.
    fn finish(&mut self) -> Result<(), TraceError> {
        if !self.is_enough() {
            // Of a flood not more than the ring buffer can hold.
            let most = self.kernel.plan().ring(EVENTS) as usize / size_of::<Event>();
            let mut left = most / BATCH + 1;
            while left > 0 && self.take_batch()? {
                left -= 1;
                if self.write()? != Written::All {
                    return Ok(());
                }
            }
        }
        self.look_for_losses()?;
        self.write()?;
        Ok(())
    }

    fn write(&mut self) -> Result<Written, TraceError> {
        self.output.write().map_err(TraceError::Write)
    }

    fn is_enough(&self) -> bool {
        self.limit.is_some_and(|limit| self.tally.shown >= limit)
    }
}
