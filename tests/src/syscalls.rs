//! The two system calls that no safe crate wraps.
#![expect(
    unsafe_code,
    reason = "getsockopt into our own structure, and the ioctl that names a TUN device"
)]

use std::fs::File;
use std::io::Error;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use anyhow::{Context as _, Result, bail, ensure};

use crate::tcp_info::TcpInfo;

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

/// Makes an open `/dev/net/tun` the other end of a new device that carries bare IP packets.
pub(crate) fn name_tun(tun: &File, name: &str) -> Result<()> {
    let mut request = DeviceRequest {
        name: [0; 16],
        flags: i16::try_from(libc::IFF_TUN | libc::IFF_NO_PI)?,
        unused: [0; 22],
    };
    ensure!(name.len() < request.name.len(), "the device name {name} is too long");
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, whose size `request` has; it outlives the call.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result != 0 {
        return Err(Error::last_os_error()).with_context(|| format!("make the TUN device {name}"));
    }
    Ok(())
}
