//! Reads the host: one dump of rtnetlink, ethtool where a driver tells more, and files of /proc. None of it takes a capability.

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
            sockopt::ReceiveTimeout,
        },
        time::{TimeVal, TimeValLike as _},
    },
};
use std::{
    collections::HashMap,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
};
use tcpvitals_config::file::files;
use tcpvitals_kernel::sys::ethtool;
use tcpvitals_metrics::host::{
    Device, Part, Reading, causes,
    files::{Conntrack, MemoryFiles, TcpMemory, conntrack, cookies_sent, squeezed, tcp_memory},
    netlink::{self, Fault, Link},
};

/// Most bytes of a file of /proc.
const MOST: u64 = 4 << 20;

/// What the kernel puts into one datagram at most.
const DATAGRAM: usize = 64 << 10;

/// How often a dump is asked for while devices come and go.
const ATTEMPTS: u32 = 4;

/// Reads what is wanted.
#[derive(Debug)]
pub(super) struct Reader {
    devices: bool,
    memory: bool,
    cookies: bool,
    socket: Option<OwnedFd>,
    sequence: u32,
    /// By number and name of a device; none where the driver does not tell its own name.
    drivers: HashMap<(u32, String), Option<String>>,
}

impl Reader {
    pub(super) fn new(parts: &[Part]) -> Self {
        Self {
            devices: parts.contains(&Part::Devices),
            memory: parts.contains(&Part::TcpMemory),
            cookies: parts.contains(&Part::SynCookies),
            socket: None,
            sequence: 0,
            drivers: HashMap::new(),
        }
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// What the kernel says where devices cannot be read. A file that is not there is left out: its kernel has no such thing.
    pub(super) fn read(&mut self) -> io::Result<Reading> {
        let mut reading = Reading::default();
        if self.devices {
            let devices = self.devices();
            if devices.is_err() {
                // Whatever else comes on this socket belongs to nothing.
                self.socket = None;
            }
            reading.devices = Some(devices?);
            reading.squeezed = text("/proc/net/softnet_stat").and_then(|text| squeezed(&text));
            reading.conntrack = connections();
        }
        if self.memory {
            reading.memory = memory();
        }
        if self.cookies {
            reading.cookies_sent = text("/proc/net/netstat").and_then(|text| cookies_sent(&text));
        }
        Ok(reading)
    }

    fn devices(&mut self) -> io::Result<Vec<Device>> {
        let links = self.links()?;
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        // Kernels before 5.14 do not say what is behind a device.
        let tells = links.iter().any(|link| link.parent.is_some());
        let mut drivers = HashMap::new();
        let mut devices = Vec::new();
        for link in links {
            let parent = link.parent.clone().or_else(|| (!tells).then(|| parent(&link.name))?);
            let Some(parent) = parent else { continue };
            let key = (link.index, link.name.clone());
            let driver = match self.drivers.remove(&key) {
                Some(driver) => driver,
                None => ethtool::driver(socket.as_fd(), &link.name).ok(),
            };
            let mut device = link.device(&parent, driver.as_deref()).map_err(said)?;
            if let Some(driver) = driver.as_deref().filter(|driver| causes::has_statistics(driver)) {
                match ethtool::statistics(socket.as_fd(), &link.name) {
                    Ok(statistics) => netlink::add_ethtool(&statistics, driver, &mut device),
                    Err(error) => tracing::debug!(device = link.name, %error, "ethtool tells no statistics"),
                }
            }
            drivers.insert(key, driver);
            devices.push(device);
        }
        self.drivers = drivers;
        Ok(devices)
    }

    fn links(&mut self) -> io::Result<Vec<Link>> {
        for _ in 0..ATTEMPTS {
            if let Some(links) = self.dump()? {
                return Ok(links);
            }
        }
        Err(io::Error::other("devices come and go too fast to be listed"))
    }

    /// All devices; `None` if some came or went meanwhile.
    fn dump(&mut self) -> io::Result<Option<Vec<Link>>> {
        if self.socket.is_none() {
            self.socket = Some(open()?);
        }
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        self.sequence = self.sequence.wrapping_add(1);
        send(
            socket.as_raw_fd(),
            &netlink::ask_for_links(self.sequence),
            MsgFlags::empty(),
        )?;
        let mut links = Vec::new();
        let mut datagram = vec![0; DATAGRAM];
        let mut was_interrupted = false;
        loop {
            let length = match recv(socket.as_raw_fd(), &mut datagram, MsgFlags::MSG_TRUNC) {
                Err(Errno::EINTR) => continue,
                length => length?,
            };
            let Some(datagram) = datagram.get(..length) else {
                return Err(io::Error::other("a datagram of rtnetlink is too long"));
            };
            let dump = netlink::links(datagram, &mut links).map_err(said)?;
            was_interrupted |= dump.was_interrupted;
            if dump.is_over {
                return Ok((!was_interrupted).then_some(links));
            }
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    // It answers at once or not at all.
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(5))?;
    Ok(socket)
}

fn said(fault: Fault) -> io::Error {
    match fault {
        Fault::Errno(number) => io::Error::from_raw_os_error(number),
        Fault::Malformed => io::Error::other("rtnetlink answers what it should not"),
    }
}

/// What is behind a device, by sysfs.
fn parent(name: &str) -> Option<String> {
    let link = fs::read_link(Path::new("/sys/class/net").join(name).join("device")).ok()?;
    Some(format!("/{}", link.file_name()?.to_str()?))
}

fn connections() -> Option<Conntrack> {
    conntrack(
        &text("/proc/sys/net/netfilter/nf_conntrack_count")?,
        &text("/proc/sys/net/netfilter/nf_conntrack_max")?,
        text("/proc/net/stat/nf_conntrack").as_deref(),
    )
}

fn memory() -> Option<TcpMemory> {
    let files = MemoryFiles {
        sockstat: text("/proc/net/sockstat")?,
        tcp_mem: text("/proc/sys/net/ipv4/tcp_mem")?,
        protocols: text("/proc/net/protocols"),
        netstat: text("/proc/net/netstat"),
        max_orphans: text("/proc/sys/net/ipv4/tcp_max_orphans"),
    };
    tcp_memory(&files, procfs::page_size())
}

fn text(path: &str) -> Option<String> {
    let bytes = files::read(Path::new(path), MOST).ok()?;
    String::from_utf8(bytes).ok()
}
