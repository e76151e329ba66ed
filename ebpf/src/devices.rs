//! Devices: which connection type carries a flow or a packet.

use crate::{
    kernel::{Device, SkBuff, Sock},
    maps::SETTINGS,
};
use common::connection::{self, ConnectionType};

/// Of a flow: its route's device.
#[inline(always)]
pub(crate) fn of_socket(sock: Sock) -> ConnectionType {
    sock.route_device().map_or(ConnectionType::Unknown, of_device)
}

/// Of a packet that came in.
#[inline(always)]
pub(crate) fn of_received(packet: SkBuff) -> ConnectionType {
    packet.receiving_device().map_or(ConnectionType::Unknown, of_device)
}

/// Of a packet that this host sends.
#[inline(always)]
pub(crate) fn of_transmitted(packet: SkBuff) -> ConnectionType {
    match packet.route_device() {
        Some(device) => of_device(device),
        None => packet.transmitting_device().map_or(ConnectionType::Unknown, of_device),
    }
}

#[inline(always)]
fn of_device(device: Device) -> ConnectionType {
    if let Some(settings) = SETTINGS.get(0)
        && settings.override_count != 0
        && let Some(name) = device.name()
        && let Some(configured) = settings.overridden(name)
    {
        return configured;
    }
    connection::connection_type(&connection::Device {
        hardware_type: device.hardware_type().unwrap_or(0),
        flags: device.flags().unwrap_or(0),
        wireless: device.wireless().unwrap_or(0) != 0,
        kind: device.kind(),
    })
}
