//! What a driver says of its device by ethtool: its name, and its own statistics. Neither needs a capability.
#![expect(
    unsafe_code,
    reason = "ioctl(2) writes through pointers in a structure, as much as the kernel likes"
)]

use std::{
    io, mem,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr::{self, NonNull},
    str,
};

/// Commands and sets of include/uapi/linux/ethtool.h.
const GET_DRIVER: u32 = 3;
const GET_STRINGS: u32 = 0x1b;
const GET_STATISTICS: u32 = 0x1d;
const STATISTICS: u32 = 1;

/// `SIOCETHTOOL`
const ETHTOOL: u64 = 0x8946;

/// Length of a name, `ETH_GSTRING_LEN`.
const NAME: usize = 32;

/// `struct ethtool_drvinfo`: where the driver's name is, and where the number of its statistics.
const DRIVER: (usize, usize) = (4, 32);
const COUNT: usize = 180;
const INFORMATION: usize = 196;

/// Most statistics that are read of a device.
const MOST: usize = 1 << 14;

/// The name of a device's driver.
///
/// # Errors
/// What the kernel says: there is no such device, or its driver knows no ethtool.
pub fn driver(socket: BorrowedFd<'_>, device: &str) -> io::Result<String> {
    let information = information(socket, device)?;
    let (start, length) = DRIVER;
    let name = information.get(start..start + length).unwrap_or_default();
    Ok(text(name))
}

/// All statistics of a device, by the names that its driver gives them.
///
/// # Errors
/// As for [`driver`]; [`io::ErrorKind::FileTooLarge`] for more of them than anybody has.
pub fn statistics(socket: BorrowedFd<'_>, device: &str) -> io::Result<Vec<(String, u64)>> {
    let count = word(information(socket, device)?.bytes(), COUNT) as usize;
    if count > MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // `struct ethtool_gstrings`, `struct ethtool_stats`: the kernel writes as many as there are then, not as many as were asked for.
    let mut names = Guarded::new(12 + count * NAME)?;
    names.write(&[GET_STRINGS, STATISTICS, to_u32(count)?]);
    call(socket, device, &mut names)?;
    let mut values = Guarded::new(8 + count * 8)?;
    values.write(&[GET_STATISTICS, to_u32(count)?]);
    call(socket, device, &mut values)?;
    // Queues may have come or gone meanwhile: then names and values do not belong together.
    if (word(names.bytes(), 8), word(values.bytes(), 4)) != (to_u32(count)?, to_u32(count)?) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let names = names.bytes().get(12..).unwrap_or_default().chunks_exact(NAME);
    let values = values.bytes().get(8..).unwrap_or_default().chunks_exact(8);
    let value = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    Ok(names
        .zip(values)
        .take(count)
        .map(|(name, bytes)| (text(name), value(bytes)))
        .collect())
}

fn to_u32(count: usize) -> io::Result<u32> {
    u32::try_from(count).map_err(io::Error::other)
}

fn information(socket: BorrowedFd<'_>, device: &str) -> io::Result<Guarded> {
    let mut information = Guarded::new(INFORMATION)?;
    information.write(&[GET_DRIVER]);
    call(socket, device, &mut information)?;
    Ok(information)
}

#[expect(clippy::needless_pass_by_ref_mut, reason = "the kernel writes there, by a pointer")]
fn call(socket: BorrowedFd<'_>, device: &str, data: &mut Guarded) -> io::Result<()> {
    // SAFETY: all of its members are numbers or pointers, which may be zero.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let (name, zero) = (device.as_bytes(), 1);
    if name.len() + zero > request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_data = data.start.as_ptr().cast();
    // SAFETY: SIOCETHTOOL takes an `ifreq`, which outlives the call. The kernel writes from the start of `data` on, byte after byte, and
    // stops with EFAULT at the page behind it, which nobody may write to.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), ETHTOOL as libc::Ioctl, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Zeroed memory with a page behind it that nobody may write to. Dropping it gives it back.
struct Guarded {
    start: NonNull<u8>,
    /// Bytes that may be used, whole pages.
    length: usize,
    page: usize,
}

impl Guarded {
    fn new(bytes: usize) -> io::Result<Self> {
        let page = super::mapped::page_size()?;
        let length = bytes.next_multiple_of(page);
        // SAFETY: new memory of nobody else, at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length + page,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        let guarded = Self { start, length, page };
        // SAFETY: the last page of the mapping, to which nothing refers.
        if unsafe { libc::mprotect(start.as_ptr().add(length).cast(), page, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(guarded)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: so many initialized bytes of this mapping, which `self` keeps and nobody writes to while it is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    fn get(&self, range: std::ops::Range<usize>) -> Option<&[u8]> {
        self.bytes().get(range)
    }

    /// Writes words from the start on.
    fn write(&mut self, words: &[u32]) {
        // SAFETY: so many initialized bytes of this mapping, which `self` keeps and which are borrowed by nobody else.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) };
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, to which nothing refers any more.
        let _ended = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length + self.page) };
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// A text that ends with a zero, if it is one.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    str::from_utf8(text).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, net::UdpSocket, os::fd::AsFd as _};

    #[test]
    fn layouts_are_those_of_the_kernel() {
        // char driver[32], version[32], fw_version[32], bus_info[32], erom_version[32], reserved2[12] behind cmd; then n_priv_flags.
        assert_eq!(COUNT, 4 + 5 * 32 + 12 + 4);
        assert_eq!(INFORMATION, COUNT + 4 * 4);
    }

    #[test]
    fn every_device_with_hardware_has_a_driver_and_as_many_values_as_names() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for entry in fs::read_dir("/sys/class/net").unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let Ok(link) = fs::read_link(entry.path().join("device/driver")) else {
                continue;
            };
            let expected = link.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(driver(socket.as_fd(), &name).unwrap(), expected);
            match statistics(socket.as_fd(), &name) {
                Ok(statistics) => assert!(
                    statistics.iter().all(|(name, _)| !name.is_empty()),
                    "{name}: {statistics:?}"
                ),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{name}"),
            }
        }
    }

    #[test]
    fn what_is_no_device_has_no_driver() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let absent = driver(socket.as_fd(), "tcpvitals-no").unwrap_err();
        assert_eq!(absent.raw_os_error(), Some(libc::ENODEV));
        let long = driver(socket.as_fd(), "a-name-that-is-too-long").unwrap_err();
        assert_eq!(long.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_the_kernel_writes_beyond_the_end_is_an_error() {
        let mut buffer = Guarded::new(1).unwrap();
        buffer.write(&[7]);
        assert_eq!(buffer.bytes()[..4], 7_u32.to_ne_bytes());
        let file = fs::File::open("/dev/zero").unwrap();
        let length = buffer.length + buffer.page;
        // SAFETY: the kernel writes up to the page that nobody may write to.
        let read = unsafe { libc::read(file.as_raw_fd(), buffer.start.as_ptr().cast(), length) };
        assert!(read <= isize::try_from(buffer.length).unwrap());
        assert_eq!(buffer.bytes()[..4], [0; 4]);
    }
}
