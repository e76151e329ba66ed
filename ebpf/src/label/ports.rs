//! The ports of a packet: where TCP and UDP have them, behind whatever headers come before.
#![expect(unsafe_code, reason = "a function that the verifier checks once is exported by name")]

use crate::{
    kernel::{SkBuff, words_at},
    label::{groups, packet},
};
use common::{
    drops::ethertype,
    net::{extension, ports},
};

/// The number of the application protocol of a packet that came in or is sent; 0 for none. The port of this host comes first, then that of
/// the remote one.
#[inline(always)]
pub(crate) fn app_protocol(packet: SkBuff, came_in: bool) -> u16 {
    let of_header = of_header(packet, came_in);
    let pair = if of_header == 0 && !came_in {
        of_sender(packet)
    } else {
        of_header
    };
    let (local, remote) = ports::local_and_remote(pair, came_in);
    match groups::protocol_of(local) {
        0 => groups::protocol_of(remote),
        number => number,
    }
}

/// Source and destination port by the headers, in host byte order; 0 where they have none.
#[inline(always)]
fn of_header(packet: SkBuff, came_in: bool) -> u32 {
    let header = packet::network_header(packet, came_in);
    let (length, next) = match packet.ethertype() {
        ethertype::IPV4 => match packet.words_of::<3>(header, 0) {
            Some(words) => ports::behind_ipv4(words),
            None => return 0,
        },
        ethertype::IPV6 => match packet.words_of::<2>(header, 0) {
            Some(words) => (extension::FIXED_HEADER, ports::next_of_ipv6(words)),
            None => return 0,
        },
        _ => return 0,
    };
    match packet.bounds_from(header, length) {
        Some((at, end)) => ports_behind(at, end, next as u32),
        None => 0,
    }
}

/// Those of the socket that sends a packet without headers.
#[inline(always)]
fn of_sender(packet: SkBuff) -> u32 {
    let Some(sock) = packet.socket() else { return 0 };
    if !sock.is_internet() || !ports::has_ports(sock.protocol() as u8) {
        return 0;
    }
    (sock.local_port() as u32) << 16 | sock.remote_port() as u32
}

/// The ports behind headers that begin at `at` and end before `end`; with global linkage so that the verifier checks it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ports_behind(at: u64, end: u64, next: u32) -> u32 {
    let (mut at, mut next) = (at, next as u8);
    let mut count = 0;
    while count < extension::MOST && extension::is_extension(next) && at + 8 <= end {
        let Some(words) = words_at(at) else { return 0 };
        if extension::is_later_fragment(next, words) {
            return 0;
        }
        let (following, length) = extension::step(next, words);
        next = following;
        at += length as u64;
        count += 1;
    }
    if !ports::has_ports(next) || at + 4 > end {
        return 0;
    }
    match words_at::<1>(at) {
        Some([word]) => u32::from_be(word),
        None => 0,
    }
}
