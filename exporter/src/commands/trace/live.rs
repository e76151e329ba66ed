//! Traces the running kernel.

use super::{
    Printer, TraceError,
    item::{Item, LostEvents, Setting},
    names::TraceNames,
    output::Output,
};
use crate::{
    cli::TraceArguments,
    lifecycle::{
        clock::{monotonic, monotonic_to_1970, now},
        setup,
        signals::stop::Written,
        start::{Checked, StartError},
    },
    serve::workloads::{self, Known},
};
use common::tcp::{
    event::{Event, EventKind},
    record::FlowRecord,
};
use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};
use tcpvitals_config::{TcpLabel, numbering::Numbering};
use tcpvitals_kernel::{
    Kernel,
    plan::{DUMP, Planned, purpose::Purpose},
    read::events::{EVENTS, Events},
};

/// Events that are taken before anything else is looked at.
const BATCH: usize = 1024;

/// Traces until it is told to end.
pub(super) fn trace(arguments: &TraceArguments) -> Result<(), TraceError> {
    let config = setup::config(arguments.config_file.as_deref()).map_err(StartError::from)?;
    let numbering = Numbering::new(&config);
    let setting = Setting {
        names: TraceNames::new(&config, &numbering),
        clock_base: monotonic_to_1970(),
    };
    let asked = arguments.labels.0.labels().map(TcpLabel::row);
    let checked = Checked::new(&config, arguments.btf.as_deref(), Purpose::Trace)?.require(asked)?;
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
    let mut interval = arguments.interval.0;
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
        tally: Counts::default(),
    };
    tracing::info!("tracing");
    let ended = trace.run(interval, began);
    // Nobody is left to tell when stderr is closed.
    let _unread = writeln!(io::stderr(), "tcpvitals: {}", trace.tally);
    ended
}

#[derive(Debug, Default)]
struct Counts {
    received: u64,
    lost: u64,
    periodic: u64,
    shown: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            received,
            lost,
            periodic,
            shown,
        } = self;
        write!(
            f,
            "events received: {received}, lost: {lost}; periodic: {periodic}; shown: {shown}"
        )
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
                let time = next.map(|next| next.saturating_duration_since(now));
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
