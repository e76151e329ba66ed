//! From the bytes of a file to its frames, within bounds: whatever the bytes are, the answer is a recording or an error, and neither
//! takes more memory than the bounds here allow.

use super::{
    MAGIC, MOST_BYTES,
    message::{Change, Frame, Header, Reason},
    moment::About,
    names::{Names, kept},
    rows::{TABLES, Tables},
    write::{PARTS, word_of},
};
use crate::{
    coverage::{Coverage, Program},
    host::Part,
};
use common::{drops::DropSource, map::capacity::Capacity};
use flate2::{Decompress, DecompressError, FlushDecompress, Status};
use prost::Message;
use std::{sync::Arc, time::Duration};

/// Most bytes of a message once it is unpacked.
const MOST_OF_A_MESSAGE: usize = 1 << 20;
/// Most bytes of all messages.
const MOST_UNPACKED: usize = 64 << 20;
/// Most numbers that a table holds at a time.
const MOST_NUMBERS: usize = 1 << 20;
/// Most names, and most bytes of one.
const MOST_NAMES: usize = 1 << 14;
const LONGEST_NAME: usize = 1024;
/// Longest recording.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a file is no recording that can be served.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is something else.
    #[error("it is no recording of tcpvitals")]
    Other,
    #[error("it is a recording of format {found}, and this version reads format {known}")]
    Version { found: u8, known: u8 },
    #[error("it has more than {MOST_BYTES} bytes")]
    Large,
    /// It was cut or changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The same, as others say.
    #[error("it is damaged: {0}")]
    Unpacked(#[from] DecompressError),
    /// The same of a message.
    #[error("it is damaged: {0}")]
    Decoded(#[from] prost::DecodeError),
}

/// A file that was read whole once, so that all of it can be read again.
#[derive(Clone, Debug)]
pub struct Recording {
    unpacked: Arc<[u8]>,
    header: Arc<Header>,
    about: Arc<About>,
    /// When its first and its last frame were collected, in nanoseconds since 1970.
    pub(super) first: u64,
    pub(super) last: u64,
    /// What the last frame says.
    pub(super) ends: Arc<(Tables, Names)>,
}

impl Recording {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > MOST_BYTES {
            return Err(Unreadable::Large);
        }
        check_magic(bytes)?;
        let unpacked: Arc<[u8]> = unpack(bytes)?.into();
        let header: Header = Messages::new(Arc::clone(&unpacked)).next()?;
        let about = Arc::new(about(&header)?);
        let header = Arc::new(header);
        let mut frames = Frames::new(Arc::clone(&unpacked), &header)?;
        let Some(first) = frames.step()? else {
            return Err(Unreadable::Damaged("it has no frame"));
        };
        let mut last = first;
        while let Some(at) = frames.step()? {
            last = at;
        }
        if first < header.started || Duration::from_nanos(last - first) > LONGEST {
            return Err(Unreadable::Damaged("its times make no sense"));
        }
        Ok(Self {
            unpacked,
            header,
            about,
            first,
            last,
            ends: Arc::new((frames.tables, frames.names)),
        })
    }

    /// What holds for all of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// From its first moment to the end of its last.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.last - self.first) + self.about.interval
    }

    /// Its frames from the first one on.
    pub(super) fn frames(&self) -> Result<Frames, Unreadable> {
        Frames::new(Arc::clone(&self.unpacked), &self.header)
    }
}

fn check_magic(bytes: &[u8]) -> Result<(), Unreadable> {
    let [magic @ .., known] = MAGIC;
    match bytes.strip_prefix(magic).and_then(<[u8]>::first) {
        None => Err(Unreadable::Other),
        Some(found) if found != known => Err(Unreadable::Version {
            found: *found,
            known: *known,
        }),
        Some(_) => Ok(()),
    }
}

/// The messages of a file: all of its stream, with nothing missing and nothing behind it.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    /// By so many bytes the messages grow while they are unpacked.
    const STEP: usize = 1 << 16;
    let packed = bytes.get(MAGIC.len()..).unwrap_or_default();
    let mut stream = Decompress::new(true);
    let mut rest = packed;
    let mut unpacked = Vec::new();
    loop {
        unpacked.reserve(STEP);
        let before = (rest.len(), unpacked.len());
        let status = stream.decompress_vec(rest, &mut unpacked, FlushDecompress::None)?;
        let used = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        rest = packed.get(used..).unwrap_or_default();
        if unpacked.len() > MOST_UNPACKED {
            return Err(Unreadable::Damaged("it holds too much"));
        }
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(unpacked),
            Status::StreamEnd => return Err(Unreadable::Damaged("something follows its end")),
            Status::Ok | Status::BufError if before == (rest.len(), unpacked.len()) => {
                return Err(Unreadable::Damaged("it ends early"));
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

/// The messages of a file, one after the other.
#[derive(Debug)]
struct Messages {
    unpacked: Arc<[u8]>,
    /// Where the next one begins.
    at: usize,
}

impl Messages {
    const fn new(unpacked: Arc<[u8]>) -> Self {
        Self { unpacked, at: 0 }
    }

    fn next<M: Message + Default>(&mut self) -> Result<M, Unreadable> {
        const EARLY: Unreadable = Unreadable::Damaged("it ends early");
        let mut rest = self.unpacked.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Err(EARLY);
        }
        let length = prost::decode_length_delimiter(&mut rest)?;
        if length > MOST_OF_A_MESSAGE {
            return Err(Unreadable::Damaged("a message is too long"));
        }
        let (message, rest) = rest.split_at_checked(length).ok_or(EARLY)?;
        self.at = self.unpacked.len() - rest.len();
        Ok(M::decode(message)?)
    }
}

/// The tables of a recording as they are at one frame.
#[derive(Debug)]
pub(super) struct Frames {
    messages: Messages,
    /// For each table of the file which one of ours it is, and for each of its numbers which one of that.
    places: Vec<Option<(usize, Vec<Option<usize>>)>>,
    /// Numbers in a row of each table of ours.
    widths: Vec<usize>,
    pub(super) tables: Tables,
    pub(super) names: Names,
    /// When it was collected, in nanoseconds since 1970; 0 before the first one.
    pub(super) at: u64,
    next: Option<Frame>,
}

impl Frames {
    fn new(unpacked: Arc<[u8]>, header: &Header) -> Result<Self, Unreadable> {
        let layouts: Vec<Vec<String>> = TABLES
            .iter()
            .map(|table| (table.layout)().into_iter().map(|(name, _)| name).collect())
            .collect();
        let places = header.tables.iter().map(|table| {
            let own = TABLES.iter().position(|own| own.name == table.name)?;
            let layout = layouts.get(own)?;
            let places = table
                .fields
                .iter()
                .map(|field| layout.iter().position(|own| own == field));
            Some((own, places.collect()))
        });
        let mut frames = Self {
            messages: Messages::new(unpacked),
            places: places.collect(),
            widths: layouts.iter().map(Vec::len).collect(),
            tables: Tables::default(),
            names: Names::default(),
            at: 0,
            next: None,
        };
        // The header.
        frames.messages.next::<Header>()?;
        frames.look_ahead()?;
        Ok(frames)
    }

    /// When the next frame was collected; `None` at the end.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.next.as_ref().map(|frame| frame.at)
    }

    /// Goes on to the next frame and says when it was collected; `None` at the end.
    pub(super) fn step(&mut self) -> Result<Option<u64>, Unreadable> {
        let Some(frame) = self.next.take() else {
            return Ok(None);
        };
        if frame.at <= self.at {
            return Err(Unreadable::Damaged("its frames are not in order"));
        }
        self.at = frame.at;
        self.apply(frame)?;
        self.look_ahead()?;
        Ok(Some(self.at))
    }

    fn look_ahead(&mut self) -> Result<(), Unreadable> {
        let frame: Frame = self.messages.next()?;
        self.next = (!frame.is_end).then_some(frame);
        Ok(())
    }

    fn apply(&mut self, frame: Frame) -> Result<(), Unreadable> {
        for name in frame.names {
            if self.names.len() >= MOST_NAMES || name.len() > LONGEST_NAME {
                return Err(Unreadable::Damaged("it has too many names"));
            }
            self.names.push(name);
        }
        for changes in frame.changes {
            let table = usize::try_from(changes.table).unwrap_or(usize::MAX);
            let Some(known) = self.places.get(table) else {
                return Err(Unreadable::Damaged("a table has no name"));
            };
            // Of a later version, perhaps.
            let Some((table, places)) = known else { continue };
            let (Some(rows), Some(width)) = (self.tables.get_mut(*table), self.widths.get(*table)) else {
                continue;
            };
            for row in changes.gone {
                rows.remove(&row);
            }
            for Change { row, skipped, by } in changes.rows {
                if rows.len() * width >= MOST_NUMBERS {
                    return Err(Unreadable::Damaged("it has too many rows"));
                }
                let numbers = rows.entry(row).or_insert_with(|| vec![0; *width]);
                grow(numbers, places, &skipped, &by)?;
            }
        }
        Ok(())
    }
}

/// Adds to the numbers of a row what they have grown by.
fn grow(numbers: &mut [u64], places: &[Option<usize>], skipped: &[u32], by: &[i64]) -> Result<(), Unreadable> {
    if skipped.len() != by.len() {
        return Err(Unreadable::Damaged("a row has numbers without places"));
    }
    let mut of_file: usize = 0;
    for (skipped, by) in skipped.iter().zip(by) {
        of_file = of_file.saturating_add(usize::try_from(*skipped).unwrap_or(usize::MAX));
        let Some(own) = places.get(of_file) else {
            return Err(Unreadable::Damaged("a row has numbers without names"));
        };
        if let Some(number) = own.and_then(|own| numbers.get_mut(own)) {
            *number = number.wrapping_add_signed(*by);
        }
        of_file = of_file.saturating_add(1);
    }
    Ok(())
}

fn about(header: &Header) -> Result<About, Unreadable> {
    let known = |name: &str| {
        let is_word = !name.is_empty() && name.len() <= 128;
        let kept = is_word.then(|| kept(name)).flatten();
        kept.ok_or(Unreadable::Damaged("a program or a field has no name"))
    };
    let programs = header.programs.iter().map(|program| {
        Ok(Program {
            name: known(&program.name)?,
            hook: known(&program.hook)?,
            off: program.off.clone(),
        })
    });
    let missing = header
        .missing_fields
        .iter()
        .map(|Reason { what, reason }| Ok((known(what)?, reason.clone())));
    let host_off = header.host_off.iter().filter_map(|Reason { what, reason }| {
        let part: Option<Part> = PARTS.into_iter().find(|part| word_of(*part) == what);
        Some((part?, reason.clone()))
    });
    let coverage = Coverage {
        programs: programs.collect::<Result<_, Unreadable>>()?,
        missing_fields: missing.collect::<Result<_, Unreadable>>()?,
        host_off: host_off.collect(),
    };
    let capacity = Capacity {
        groups: header.group_slots,
        drops: header.drop_slots,
    };
    if capacity.groups == 0 || capacity.drops < DropSource::OTHER_SLOTS {
        return Err(Unreadable::Damaged("its tables have no room"));
    }
    let times = [header.interval, header.jiffy].map(Duration::from_nanos);
    if times.iter().any(|time| time.is_zero() || *time > LONGEST) {
        return Err(Unreadable::Damaged("its times make no sense"));
    }
    let [interval, jiffy] = times;
    Ok(About {
        version: header.version.clone(),
        configuration: header.configuration.clone(),
        host: header.host.clone(),
        kernel: header.kernel.clone(),
        started: Duration::from_nanos(header.started),
        interval,
        entry: Duration::from_nanos(header.entry),
        jiffy,
        capacity,
        coverage,
        source_of_names: (!header.source_of_names.is_empty())
            .then(|| known(&header.source_of_names))
            .transpose()?,
    })
}
