//! Network cards of a guest, which are joined outside it and interrupt its processors as real ones do: a cable like that of
//! [`Pair`]. What a virtual pair of devices sends is received where it was sent; what a card sends interrupts whatever runs.

use std::fs::{read_dir, read_to_string, write};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};

use crate::machine::wait::until;
use crate::net::namespace::{Namespace, host};
use crate::net::pair::{DEVICE, Pair, hardware_address};
use crate::net::subnet::{CLIENT, SERVER, Subnet};

/// The devices of cards, whichever namespace they are in.
const DRIVER: &str = "/sys/bus/virtio/drivers/virtio_net";

/// A pair with a card at either end, each with the interrupts on a processor of its own as far as there are that many; `None`
/// where there are no two cards. One at a time: a card comes back when its namespace is gone.
pub fn pair() -> Result<Option<Pair>> {
    let devices = devices()?;
    let [first, second, ..] = &devices[..] else {
        return Ok(None);
    };
    let (client, server) = (Namespace::new()?, Namespace::new()?);
    for (device, end, number) in [(first, &client, CLIENT), (second, &server, SERVER)] {
        let name = until("a card to come back", || name(device))?;
        host(&format!("ip link set dev {name} down"))?;
        host(&format!("ip link set dev {name} netns {} name {DEVICE}", end.name()))?;
        let address = hardware_address(number);
        end.exec(&format!("ip link set dev {DEVICE} address {address}"))?;
    }
    let pair = Pair::join(client, server, vec![Subnet::take()?], false)?;
    let processors = available_parallelism()?.get();
    for (number, device) in [first, second].into_iter().enumerate() {
        pin(device, number % processors)?;
    }
    Ok(Some(pair))
}

/// The cards in the order of their numbers, without those that are at work where the test runs: the machine may need them.
fn devices() -> Result<Vec<PathBuf>> {
    let Ok(entries) = read_dir(DRIVER) else {
        return Ok(Vec::new());
    };
    let mut devices = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_device = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("virtio"));
        if is_device && !is_up(&path)? {
            devices.push(path);
        }
    }
    devices.sort();
    Ok(devices)
}

/// What it is called where the test runs, if it is there.
fn name(device: &Path) -> Result<Option<String>> {
    let Ok(mut names) = read_dir(device.join("net")) else {
        return Ok(None);
    };
    let name = names.next().transpose()?;
    Ok(name.map(|name| name.file_name().to_string_lossy().into_owned()))
}

/// Whether it is at work where the test runs.
fn is_up(device: &Path) -> Result<bool> {
    const UP: u32 = 1;
    let Some(name) = name(device)? else {
        return Ok(false);
    };
    let path = device.join("net").join(name).join("flags");
    let flags = read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16)? & UP != 0)
}

/// Has a processor take all interrupts of a card.
fn pin(device: &Path, processor: usize) -> Result<()> {
    let device = device.canonicalize()?;
    let interrupts = device.parent().context("a device on no bus")?.join("msi_irqs");
    for interrupt in read_dir(&interrupts).with_context(|| format!("list {}", interrupts.display()))? {
        let number = interrupt?.file_name().to_string_lossy().into_owned();
        let path = format!("/proc/irq/{number}/smp_affinity_list");
        write(&path, processor.to_string()).with_context(|| format!("write {processor} to {path}"))?;
    }
    Ok(())
}
