//! From moments to the bytes of a file: each frame has what numbers have grown by since the one before.

use super::{
    MAGIC,
    message::{Change, Changes, Frame, Header, Program, Reason, Table},
    moment::{About, Moment, nanos},
    names::Names,
    rows::{Rows, TABLES, Tables},
};
use crate::host::Part;
use flate2::{Compression, write::ZlibEncoder};
use prost::Message;
use std::{
    io::{self, Write},
    mem,
};

/// Writes a recording.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: ZlibEncoder<W>,
    names: Names,
    last: Tables,
}

impl<W: Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W, about: &About) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let mut writer = Self {
            out: ZlibEncoder::new(out, Compression::best()),
            names: Names::default(),
            last: Tables::default(),
        };
        writer.put(&header(about))?;
        Ok(writer)
    }

    /// Adds a moment, which is later than those before it.
    ///
    /// # Errors
    /// What `out` says.
    pub fn add(&mut self, moment: &Moment) -> io::Result<()> {
        let tables = moment.tables(&mut self.names);
        let last = mem::replace(&mut self.last, tables);
        let changes = (0..).zip(last.iter().zip(&self.last));
        let changes = changes.map(|(table, (before, now))| changed(table, before, now));
        let frame = Frame {
            at: nanos(moment.snapshot.at),
            names: self.names.take_new(),
            changes: changes
                .filter(|changes| !changes.rows.is_empty() || !changes.gone.is_empty())
                .collect(),
            is_end: false,
        };
        self.put(&frame)
    }

    /// Ends the recording: without that it cannot be read.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&Frame {
            is_end: true,
            ..Frame::default()
        })?;
        self.out.finish()
    }

    fn put(&mut self, message: &impl Message) -> io::Result<()> {
        self.out.write_all(&message.encode_length_delimited_to_vec())
    }
}

fn changed(table: u32, before: &Rows, now: &Rows) -> Changes {
    let rows = now.iter().filter_map(|(row, numbers)| {
        let before = before.get(row);
        let change = change(*row, before.map_or(&[], Vec::as_slice), numbers);
        (before.is_none() || !change.by.is_empty()).then_some(change)
    });
    Changes {
        table,
        rows: rows.collect(),
        gone: before.keys().filter(|row| !now.contains_key(row)).copied().collect(),
    }
}

fn change(row: u64, before: &[u64], now: &[u64]) -> Change {
    let mut change = Change {
        row,
        ..Change::default()
    };
    let mut skipped = 0;
    for (place, number) in now.iter().enumerate() {
        let by = number.wrapping_sub(before.get(place).copied().unwrap_or_default());
        if by == 0 {
            skipped += 1;
        } else {
            change.skipped.push(mem::take(&mut skipped));
            change.by.push(by.cast_signed());
        }
    }
    change
}

fn header(about: &About) -> Header {
    let About {
        version,
        configuration,
        host,
        kernel,
        started,
        interval,
        entry,
        jiffy,
        capacity,
        coverage,
        source_of_names,
    } = about;
    let programs = coverage.programs.iter().map(|program| Program {
        name: program.name.to_owned(),
        hook: program.hook.to_owned(),
        off: program.off.clone(),
    });
    let missing_fields = coverage.missing_fields.iter().map(|(field, reason)| Reason {
        what: (*field).to_owned(),
        reason: reason.clone(),
    });
    let host_off = coverage.host_off.iter().map(|(part, reason)| Reason {
        what: word_of(*part).to_owned(),
        reason: reason.clone(),
    });
    let tables = TABLES.iter().map(|table| Table {
        name: table.name.to_owned(),
        fields: (table.layout)().into_iter().map(|(name, _)| name).collect(),
    });
    Header {
        version: version.clone(),
        configuration: configuration.clone(),
        host: host.clone(),
        kernel: kernel.clone(),
        started: nanos(*started),
        interval: nanos(*interval),
        entry: nanos(*entry),
        jiffy: nanos(*jiffy),
        group_slots: capacity.groups,
        drop_slots: capacity.drops,
        programs: programs.collect(),
        missing_fields: missing_fields.collect(),
        host_off: host_off.collect(),
        source_of_names: source_of_names.unwrap_or_default().to_owned(),
        tables: tables.collect(),
    }
}

/// Parts of the host.
pub(super) const PARTS: [Part; 3] = [Part::Devices, Part::TcpMemory, Part::SynCookies];

/// The word of a part in a file.
pub(super) const fn word_of(part: Part) -> &'static str {
    match part {
        Part::Devices => "devices",
        Part::TcpMemory => "tcp_memory",
        Part::SynCookies => "syn_cookies",
    }
}
