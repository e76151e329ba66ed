//! Messages of rtnetlink (rtnetlink(7)): which devices there are, what has hardware behind it, and their statistics.
//! It must never trust a length: what the kernel would not send ends the reading. Numbers are in the CPU's byte order.

use super::{
    Device,
    causes::{self, FIELDS, RX_PACKETS, Statistic, TX_PACKETS},
};
use std::{iter, str};

const HEADER: usize = 16;
/// `struct ifinfomsg`.
const LINK: usize = 16;
/// Types of messages: `NLMSG_*`, `RTM_*`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;

/// Flags: `NLM_F_*`.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const WAS_INTERRUPTED: u16 = 0x10;

/// Attributes: `IFLA_*`, without the two bits that tell of nesting and byte order.
const TYPE: u16 = 0x3fff;
const NAME: u16 = 3;
const STATS_64: u16 = 23;
const EXTENSIONS: u16 = 29;
const PARENT: u16 = 56;
const PARENT_BUS: u16 = 57;

/// `RTEXT_FILTER_SKIP_STATS`: leaves out the counters of IPv4 and IPv6 of each device.
const SKIP_STATS: u32 = 8;

/// What the kernel answers instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error number.
    Errno(i32),
    /// Bytes that are no such message.
    Malformed,
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// Name of the bus and of the hardware on it; none for a device of software, and where the kernel does not tell (before 5.14).
    pub parent: Option<String>,
    /// `struct rtnl_link_stats64`.
    pub statistics: Vec<u64>,
}

/// Asks for all devices.
pub fn ask_for_links(sequence: u32) -> Vec<u8> {
    let mut body = vec![0; LINK];
    body.extend(8_u16.to_ne_bytes());
    body.extend(EXTENSIONS.to_ne_bytes());
    body.extend(SKIP_STATS.to_ne_bytes());
    message(GET_LINK, REQUEST | DUMP, sequence, &body)
}

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::from(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    message
}

/// How a dump goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// That was all.
    pub is_over: bool,
    /// Devices came or went meanwhile: it is to be asked again.
    pub was_interrupted: bool,
}

/// Reads one datagram of a dump of devices.
///
/// # Errors
/// [`Fault`]
pub fn links(datagram: &[u8], links: &mut Vec<Link>) -> Result<Dump, Fault> {
    let mut dump = Dump::default();
    for message in messages(datagram) {
        let Message { kind, flags, body } = message?;
        dump.was_interrupted |= flags & WAS_INTERRUPTED != 0;
        match kind {
            DONE => dump.is_over = true,
            ERROR => return Err(errno(body)),
            NEW_LINK => links.push(link(body).ok_or(Fault::Malformed)?),
            _ => {}
        }
    }
    Ok(dump)
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link {
        index: word(body, 4)?,
        ..Link::default()
    };
    let (mut parent, mut bus) = (None, None);
    for (kind, value) in attributes(body.get(LINK..)?) {
        match kind {
            NAME => link.name = text(value)?,
            STATS_64 => link.statistics = words(value),
            PARENT => parent = text(value),
            PARENT_BUS => bus = text(value),
            _ => {}
        }
    }
    link.parent = parent.map(|parent| format!("{}/{parent}", bus.unwrap_or_default()));
    (!link.name.is_empty()).then_some(link)
}

impl Link {
    /// The device with its losses; `parent` is what is behind it, and `driver` whose it is, if that is known.
    ///
    /// # Errors
    /// [`Fault::Malformed`] without statistics.
    pub fn device(&self, parent: &str, driver: Option<&str>) -> Result<Device, Fault> {
        let field = |place: usize| self.statistics.get(place).copied().ok_or(Fault::Malformed);
        let mut device = Device {
            parent: parent.to_owned(),
            index: self.index,
            name: self.name.clone(),
            packets: (field(RX_PACKETS)?, field(TX_PACKETS)?),
            ..Device::default()
        };
        for (place, direction, cause) in FIELDS {
            if causes::counts(driver, direction, cause) {
                device.lost.insert((direction, cause), field(place)?);
            }
        }
        Ok(device)
    }
}

/// Adds what ethtool tells of a device: names and values.
pub fn add_ethtool(statistics: &[(String, u64)], driver: &str, device: &mut Device) {
    for (name, value) in statistics {
        match causes::statistic(driver, name) {
            Some(Statistic::Lost(direction, cause)) => {
                device.lost.insert((direction, cause), *value);
            }
            Some(Statistic::Over(allowance)) => {
                device.over_allowance.insert(allowance, *value);
            }
            None => {}
        }
    }
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Fault>> {
    iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = split(&mut bytes);
        if message.is_none() {
            bytes = &[];
        }
        Some(message.ok_or(Fault::Malformed))
    })
}

/// The first message of several, which is taken off.
fn split<'a>(bytes: &mut &'a [u8]) -> Option<Message<'a>> {
    let length = usize::try_from(word(bytes, 0)?).ok()?;
    let (kind, flags) = (half(bytes, 4)?, half(bytes, 6)?);
    let body = bytes.get(HEADER..length)?;
    *bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some(Message { kind, flags, body })
}

/// Attributes: type and value. What is cut off is left out.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let kind = half(bytes, 2)? & TYPE;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn errno(body: &[u8]) -> Fault {
    let number = body.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
    number.map_or(Fault::Malformed, |number| Fault::Errno(number.wrapping_neg()))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
}

/// A text that ends with a zero.
fn text(value: &[u8]) -> Option<String> {
    let text = value.split(|byte| *byte == 0).next()?;
    str::from_utf8(text).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests;
