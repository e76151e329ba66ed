//! The system calls that no safe crate wraps.
#![expect(
    unsafe_code,
    reason = "getsockopt into our own structure, the ioctl that names a TUN device, an address of a packet socket, bpf(2), \
              perf_event_open(2), and prctl(2) in a process that is about to become another program"
)]

pub(crate) mod tracing;

use std::fs::File;
use std::io::Error;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::{MapInfo, MapType};

use crate::kernel::tcp_info::TcpInfo;

/// Reads `TCP_INFO`; also how many bytes of it the kernel filled in.
pub(crate) fn tcp_info(socket: BorrowedFd<'_>) -> Result<(TcpInfo, usize)> {
    let mut info = TcpInfo::default();
    let mut length = libc::socklen_t::try_from(size_of::<TcpInfo>())?;
    // SAFETY: the kernel writes at most `length` bytes to `info`, which is as long and valid for any bytes, being integers;
    // both outlive the call, and the descriptor is borrowed for it.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        bail!("read TCP_INFO: {}", Error::last_os_error());
    }
    Ok((info, usize::try_from(length)?))
}

/// `struct ifreq` (include/uapi/linux/if.h) with the member that `TUNSETIFF` reads.
#[repr(C)]
struct DeviceRequest {
    name: [u8; 16],
    flags: i16,
    unused: [u8; 22],
}

const _: () = assert!(size_of::<DeviceRequest>() == size_of::<libc::ifreq>());

/// Makes an open `/dev/net/tun` the other end of a new device, with the flags of `TUNSETIFF`.
pub(crate) fn name_device(tun: &File, name: &str, flags: i16) -> Result<()> {
    // TUNSETIFF reads and writes one `struct ifreq`.
    request_of_device(tun, libc::TUNSETIFF, name, flags).with_context(|| format!("make the TUN device {name}"))
}

/// Takes a queue of a device with several away from it.
pub(crate) fn detach_queue(tun: &File) -> Result<()> {
    // TUNSETQUEUE reads one `struct ifreq`.
    let flags = i16::try_from(libc::IFF_DETACH_QUEUE)?;
    request_of_device(tun, libc::TUNSETQUEUE, "", flags).context("take a queue away from a TUN device")
}

/// A request that takes one `struct ifreq`.
fn request_of_device(tun: &File, number: libc::Ioctl, name: &str, flags: i16) -> Result<()> {
    let mut request = DeviceRequest {
        name: [0; 16],
        flags,
        unused: [0; 22],
    };
    ensure!(name.len() < request.name.len(), "the device name {name} is too long");
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: both requests that come here read and write one `struct ifreq` at most, whose size `request` has; it outlives the call.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), number, &raw mut request) };
    if result != 0 {
        return Err(Error::last_os_error().into());
    }
    Ok(())
}

/// Puts a filter of system calls on the process that a command starts, just before it becomes the program.
pub(crate) fn filter_calls(command: &mut Command, filter: Vec<libc::sock_filter>) -> Result<()> {
    const FILTER: libc::c_ulong = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    let length = u16::try_from(filter.len())?;
    let install = move || {
        let program = libc::sock_fprog {
            len: length,
            // The kernel only reads it.
            filter: filter.as_ptr().cast_mut(),
        };
        let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
        // SAFETY: both calls read their arguments and what `program` names, as many instructions as it says, and copy them.
        let failed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, unused, unused, unused) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, FILTER, &raw const program, unused, unused) != 0
        };
        if failed { Err(Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec it makes two system calls, takes no lock and allocates nothing: the filter is there already.
    unsafe { command.pre_exec(install) };
    Ok(())
}

/// Sets an option of a socket that is an integer.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<()> {
    set_option_bytes(socket, level, name, &value.to_ne_bytes())
        .with_context(|| format!("set option {name} of level {level} to {value}"))
}

/// Sets an option of a socket to what these bytes are.
pub(crate) fn set_option_bytes(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as there are, which outlive the call; the descriptor is borrowed for it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            libc::socklen_t::try_from(value.len())?,
        )
    };
    if result != 0 {
        bail!("setsockopt: {}", Error::last_os_error());
    }
    Ok(())
}

/// `struct ethtool_value` (include/uapi/linux/ethtool.h).
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// `struct ifreq` with the member that `SIOCETHTOOL` reads.
#[repr(C)]
struct EthtoolRequest {
    name: [u8; 16],
    value: *mut EthtoolValue,
    unused: [u8; 16],
}

const _: () = assert!(size_of::<EthtoolRequest>() == size_of::<libc::ifreq>());

/// Turns an offload of a device on or off, as ethtool(8) does; `command` is its number (`ETHTOOL_SGRO`, …).
pub(crate) fn set_offload(socket: BorrowedFd<'_>, device: &str, command: u32, on: bool) -> Result<()> {
    let mut value = EthtoolValue {
        command,
        data: u32::from(on),
    };
    let mut request = EthtoolRequest {
        name: [0; 16],
        value: &raw mut value,
        unused: [0; 16],
    };
    ensure!(
        device.len() < request.name.len(),
        "the device name {device} is too long"
    );
    request.name[..device.len()].copy_from_slice(device.as_bytes());
    // SAFETY: SIOCETHTOOL reads one `struct ifreq`, whose size `request` has, and the value it points to; both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result != 0 {
        return Err(Error::last_os_error()).with_context(|| format!("set an offload of {device}"));
    }
    Ok(())
}

/// Sends bytes of a type of Ethernet's out of a device, without a link-layer header, whatever becomes of them: packet(7).
pub(crate) fn send_through(socket: BorrowedFd<'_>, device: u32, ethertype: u16, bytes: &[u8]) -> Result<()> {
    let to = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET)?,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(device)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads `bytes` and `to`, whose lengths are theirs; both outlive the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const to).cast(),
            libc::socklen_t::try_from(size_of_val(&to))?,
        )
    };
    let error = Error::last_os_error();
    // The kernel says so when it has dropped the packet.
    let is_dropped = error.raw_os_error() == Some(libc::ENOBUFS);
    ensure!(sent >= 0 || is_dropped, "send through a packet socket: {error}");
    Ok(())
}

/// A descriptor as bpf(2) takes it.
pub(crate) fn number(descriptor: &OwnedFd) -> i32 {
    descriptor.as_raw_fd()
}

/// `union bpf_attr` as `BPF_MAP_CREATE` reads it (include/uapi/linux/bpf.h).
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// The same for `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
struct MapUpdate {
    map: u64,
    key: u64,
    value: u64,
    flags: u64,
}

/// A map with one device, of the calling thread's namespace.
pub(crate) fn device_map(device: u32) -> Result<OwnedFd> {
    const BPF_MAP_CREATE: i32 = 0;
    const BPF_MAP_UPDATE_ELEM: i32 = 2;
    const BPF_MAP_TYPE_DEVMAP: u32 = 14;
    let create = MapCreate {
        map_type: BPF_MAP_TYPE_DEVMAP,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
    };
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    let map = unsafe { OwnedFd::from_raw_fd(bpf(BPF_MAP_CREATE, &create)?) };
    let key = 0_u32;
    let update = MapUpdate {
        map: u64::try_from(map.as_raw_fd())?,
        key: address(&key),
        value: address(&device),
        flags: 0,
    };
    bpf(BPF_MAP_UPDATE_ELEM, &update)?;
    Ok(map)
}

/// The same for `BPF_PROG_LOAD`.
#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    device: u32,
    attach_type: u32,
}

const BPF_XDP: u32 = 37;

/// Loads an XDP program.
pub(crate) fn load_xdp(name: &str, instructions: &[u64]) -> Result<OwnedFd> {
    const BPF_PROG_LOAD: i32 = 5;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    let license = c"GPL".to_bytes_with_nul();
    let mut load = ProgramLoad {
        program_type: BPF_PROG_TYPE_XDP,
        instruction_count: u32::try_from(instructions.len())?,
        instructions: address(&instructions[0]),
        license: address(&license[0]),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: [0; 16],
        device: 0,
        attach_type: BPF_XDP,
    };
    ensure!(name.len() < load.name.len(), "the program name {name} is too long");
    load.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(bpf(BPF_PROG_LOAD, &load)?) })
}

/// The same for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    program: u32,
    device: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches an XDP program to a device of the calling thread's namespace, until the link is closed.
pub(crate) fn attach_xdp(program: &OwnedFd, device: u32, flags: u32) -> Result<OwnedFd> {
    const BPF_LINK_CREATE: i32 = 28;
    let link = LinkCreate {
        program: u32::try_from(program.as_raw_fd())?,
        device,
        attach_type: BPF_XDP,
        flags,
    };
    // SAFETY: the kernel gives a descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(bpf(BPF_LINK_CREATE, &link)?) })
}

/// `union bpf_attr` as `BPF_MAP_GET_NEXT_KEY` reads it.
#[repr(C)]
struct NextKey {
    map: u64,
    key: u64,
    next: u64,
}

/// Number of the keys of a hash table or an LPM trie; none for other kinds of maps. A key that goes while they are listed makes
/// the kernel begin again, so the count ends at what the map can hold.
pub(crate) fn map_keys(map: &MapInfo) -> Result<Option<u64>> {
    const BPF_MAP_GET_NEXT_KEY: i32 = 4;
    let lists_keys = [MapType::Hash, MapType::LruHash, MapType::PerCpuHash, MapType::LpmTrie];
    if !lists_keys.contains(&map.map_type()?) {
        return Ok(None);
    }
    let descriptor = map.fd()?;
    let number = u64::try_from(descriptor.as_fd().as_raw_fd())?;
    let most = u64::from(map.max_entries());
    let (mut key, mut next) = (Vec::new(), vec![0_u8; usize::try_from(map.key_size())?]);
    let mut keys = 0;
    while keys <= most {
        let step = NextKey {
            map: number,
            key: key.first().map_or(0, address),
            next: next.as_mut_ptr() as u64,
        };
        // SAFETY: the kernel reads `step` and the key that it points to, if any, and writes a key to `next`: both are as long as
        // the map's keys and outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_GET_NEXT_KEY,
                &raw const step,
                size_of::<NextKey>(),
            )
        };
        if result != 0 {
            let error = Error::last_os_error();
            ensure!(
                error.raw_os_error() == Some(libc::ENOENT),
                "list the keys of a map: {error}"
            );
            return Ok(Some(keys));
        }
        key.clone_from(&next);
        keys += 1;
    }
    Ok(Some(most))
}

fn bpf<T>(command: i32, attributes: &T) -> Result<i32> {
    // SAFETY: the kernel reads `attributes`, whose size it is told, and what it points to, which the callers keep alive; for the
    // commands used here it writes to neither.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 {
        return Err(Error::last_os_error()).with_context(|| format!("bpf(2), command {command}"));
    }
    Ok(i32::try_from(result)?)
}

fn address<T>(of: &T) -> u64 {
    std::ptr::from_ref(of) as u64
}
