//! Devices: which connection type carries a flow or a packet.
#![expect(unsafe_code, reason = "a function that the verifier checks once is exported by name")]

use crate::{
    kernel::{Device, SkBuff, Sock, port_at},
    maps::SETTINGS,
};
use common::{
    kernel::verifier::forgotten,
    map::settings::OVERRIDES,
    net::connection::{self, ConnectionType, Name},
};
use core::hint::black_box;

/// A [`ConnectionType`] as a number: what comes back from a function that the verifier has checked on its own.
pub(crate) type Connection = u8;

/// Nothing is known.
pub(crate) const UNKNOWN: Connection = ConnectionType::Unknown as u8;

/// Of a flow: its route's device.
#[inline(always)]
pub(crate) fn of_socket(sock: Sock) -> Connection {
    sock.route_device().map_or(UNKNOWN, of_device)
}

/// Of a packet that came in.
#[inline(always)]
pub(crate) fn of_received(packet: SkBuff) -> Connection {
    packet.receiving_device().map_or(UNKNOWN, of_device)
}

/// Of a packet that this host sends.
#[inline(always)]
pub(crate) fn of_transmitted(packet: SkBuff) -> Connection {
    match packet.route_device() {
        Some(device) => of_device(device),
        None => packet.nearest_device().map_or(UNKNOWN, of_device),
    }
}

/// Of a device.
#[inline(always)]
pub(crate) fn of_device(device: Device) -> Connection {
    if let Some(settings) = SETTINGS.get(0)
        && settings.override_count != 0
        && let Some(name) = device.name()
    {
        let configured = overridden(name, settings.override_count);
        if configured != NOT_OVERRIDDEN {
            return configured as u8;
        }
    }
    let kind = device.kind();
    let itself = by_itself(device, kind);
    if itself == ConnectionType::Wired as u32
        && kind == const { connection::name("bridge") }
        && let Some([first, last]) = device.ports()
    {
        return of_bridge(first, last) as u8;
    }
    itself as u8
}

/// Whether a device leads out of this host by itself.
#[inline(always)]
pub(crate) fn leads_out(device: Device) -> bool {
    connection::leads_out(by_itself(device, device.kind()))
}

/// What a device says of itself, whatever its ports are.
#[inline(always)]
fn by_itself(device: Device, [first, second]: Name) -> u32 {
    // Without it the compiler compares what a failed read has not written, which the verifier of a 6.1 with PREEMPT_RT refuses.
    let wireless = (black_box(device.wireless().unwrap_or(0)) != 0) as u32;
    let hardware_type = device.hardware_type().unwrap_or(0) as u32;
    connection_type(hardware_type, device.flags().unwrap_or(0), wireless, first, second)
}

/// The connection type of a bridge by the places of its first and its last port: wired if one leads out of this host, else virtual.
#[inline(always)]
fn of_bridge(first: u64, last: u64) -> ConnectionType {
    /// Ports that are looked at: those that were added first.
    const MOST: u32 = 16;
    let mut place = first;
    let mut count = 0;
    while count < MOST {
        let next = after_port(place);
        if next == LEADS_OUT {
            return ConnectionType::Wired;
        }
        // A list without a port leads to itself.
        if next == NOWHERE || next == place || place == last {
            break;
        }
        place = next;
        count += 1;
    }
    ConnectionType::Virtual
}

/// No address: the port leads out of this host.
const LEADS_OUT: u64 = 1;
/// No address: the port cannot be read.
const NOWHERE: u64 = 0;

/// The place of the port that comes after the one at `place`, [`LEADS_OUT`] or [`NOWHERE`]. With global linkage for the same reason
/// as [`connection_type`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn after_port(place: u64) -> u64 {
    let Some((device, next)) = port_at(place) else {
        return NOWHERE;
    };
    // What stands at the end of an empty list is no port.
    if next != place && leads_out(device) {
        LEADS_OUT
    } else {
        next
    }
}

/// No device-name pattern matched.
const NOT_OVERRIDDEN: u32 = u32::MAX;

/// The connection type that the configuration gives a device of this name.
#[inline(always)]
fn overridden([first, second]: Name, count: u64) -> u32 {
    let mut index = 0;
    while index < OVERRIDES as u32 && (index as u64) < count {
        let configured = overridden_by(index, first, second);
        if configured != NOT_OVERRIDDEN {
            return configured;
        }
        index += 1;
    }
    NOT_OVERRIDDEN
}

/// [`Settings::overridden_by`](common::map::settings::Settings::overridden_by). With global linkage for the same reason as
/// [`connection_type`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn overridden_by(index: u32, first: u64, second: u64) -> u32 {
    let settings = SETTINGS.get(0);
    let configured = settings.and_then(|settings| settings.overridden_by(forgotten(index as usize), [first, second]));
    configured.map_or(NOT_OVERRIDDEN, |connection| connection as u32)
}

/// The verifier checks a function with global linkage once, and not again on every path that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn connection_type(hardware_type: u32, flags: u32, wireless: u32, first: u64, second: u64) -> u32 {
    let kind: Name = [first, second];
    connection::connection_type(&connection::Device {
        hardware_type: hardware_type as u16,
        flags,
        wireless: wireless != 0,
        kind,
    }) as u32
}
