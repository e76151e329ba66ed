//! What is listened on: addresses and unix sockets of the command line, or the sockets that systemd passes.
//! It must never take some of them and leave others: one that cannot be had ends the start.
//! From the arguments, while a port below 1024 may still be taken; to the server.

mod holder;

use crate::cli::{ListenAddress, ServeArguments};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt},
};
use std::{
    fmt::{self, Display},
    fs::{self, Permissions},
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};
use tcpvitals_kernel::sys::passed;

/// Why an address cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("listening on {address} failed: {what}")]
pub struct ListenError {
    address: String,
    what: String,
}

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// Of an address.
    Tcp(TcpListener),
    /// Of a path, with its file if that is the exporter's own.
    Unix(UnixListener, Option<SocketFile>),
}

impl Listener {
    /// Whether only this host reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .is_ok_and(|address| address.ip().to_canonical().is_loopback()),
            Self::Unix(..) => true,
        }
    }

    /// Makes it return where it would wait.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener, _) => listener.set_nonblocking(true),
        }
    }
}

impl Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(formatter),
                Err(error) => error.fmt(formatter),
            },
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                write!(formatter, "unix://{}", path.unwrap_or(Path::new("")).display())
            }
        }
    }
}

/// The file of a unix socket; it goes when this is dropped, unless another is in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    made: Made,
}

/// Which file it is: its inode, whose number another may get later, and when that was made. Owner and mode may change.
type Made = (u64, u64, i64, i64);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if made(&self.path).is_ok_and(|made| made == self.made)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "the file of the socket stays");
        }
    }
}

fn made(path: &Path) -> io::Result<Made> {
    let data = fs::symlink_metadata(path)?;
    Ok((data.dev(), data.ino(), data.mtime(), data.mtime_nsec()))
}

/// Listens on what the arguments say.
///
/// # Errors
/// [`ListenError`] with the next step.
pub fn open(arguments: &ServeArguments) -> Result<Vec<Listener>, ListenError> {
    if arguments.systemd_socket {
        return of_systemd();
    }
    let mut listeners = Vec::new();
    for address in &arguments.listen_address {
        match address {
            ListenAddress::Every(port) => listeners.push(every(*port)?),
            ListenAddress::Address(address) => listeners.push(bound(address, *address)?),
            ListenAddress::Name(name, port) => listeners.extend(named(address, name, *port)?),
            ListenAddress::Socket(path) => listeners.push(socket(address, path)?),
        }
    }
    Ok(listeners)
}

/// IPv4 alone where the kernel has no IPv6.
fn every(port: u16) -> Result<Listener, ListenError> {
    let shown = ListenAddress::Every(port);
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(listener) => Ok(Listener::Tcp(listener)),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            bound(&shown, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        Err(error) => Err(refused(&shown, port, &error)),
    }
}

fn bound(shown: &impl Display, address: SocketAddr) -> Result<Listener, ListenError> {
    TcpListener::bind(address)
        .map(Listener::Tcp)
        .map_err(|error| refused(shown, address.port(), &error))
}

/// All addresses of a name that this host has.
fn named(shown: &ListenAddress, name: &str, port: u16) -> Result<Vec<Listener>, ListenError> {
    let failed = |what: String| ListenError {
        address: shown.to_string(),
        what,
    };
    let addresses = (name, port).to_socket_addrs().map_err(|_unsaid| {
        failed(format!(
            "the name {name} has no address here. Check the name, or write an address, for example 127.0.0.1:{port}."
        ))
    })?;
    let mut addresses: Vec<SocketAddr> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut listeners = Vec::new();
    let mut first_failure = None;
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(Listener::Tcp(listener)),
            // A host may have a name for an address of a family that is switched off.
            Err(error) if is_absent(&error) => {
                tracing::debug!(%address, %error, "this address of the name is left out");
                first_failure.get_or_insert((address, error));
            }
            Err(error) => return Err(refused(&address, port, &error)),
        }
    }
    match (listeners.is_empty(), first_failure) {
        (true, Some((address, error))) => Err(refused(&address, port, &error)),
        (true, None) => Err(failed(format!("the name {name} has no address. Write an address."))),
        (false, _) => Ok(listeners),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT))
}

/// Why an address was refused, and what to do.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors are many, and more to come"
)]
fn refused(shown: &impl Display, port: u16, error: &io::Error) -> ListenError {
    let what = match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE. Start as root, or choose a port from \
             1024 on, for example --web.listen-address=:{}.",
            if port == 80 { 8080 } else { 10_717 }
        ),
        ErrorKind::AddrInUse => {
            let holder =
                holder::of_port(port).map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            format!("{holder} uses it. Stop that, or choose another port with --web.listen-address.")
        }
        _ if is_absent(error) => {
            "this host has no such address. Choose one that `ip address` shows, or :PORT for all of \
                                  them, with --web.listen-address."
                .to_owned()
        }
        _ => format!("{}. Choose another address with --web.listen-address.", plain(error)),
    };
    ListenError {
        address: shown.to_string(),
        what,
    }
}

/// In the words of the C library, without the number.
fn plain(error: &io::Error) -> String {
    let number = error.raw_os_error();
    number.map_or_else(
        || error.to_string(),
        |number| Errno::from_raw(number).desc().to_lowercase(),
    )
}

/// Listens on a path. The file of a socket that nobody listens on any more, as a killed process leaves it, is replaced.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of errors are many, and more to come"
)]
fn socket(shown: &ListenAddress, path: &Path) -> Result<Listener, ListenError> {
    /// For its owner and its group: who may connect may write.
    const MODE: u32 = 0o660;
    let failed = |what: String| ListenError {
        address: shown.to_string(),
        what,
    };
    let wrong = |error: io::Error| {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => "Let the user that runs tcpvitals write in its folder.",
            ErrorKind::NotFound => "Make its folder first.",
            _ => "Choose another path.",
        };
        failed(format!("{}. {remedy}", plain(&error)))
    };
    if fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            let holder =
                holder::of_path(path).map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            return Err(failed(format!("{holder} uses it. Stop that, or choose another path.")));
        }
        fs::remove_file(path).map_err(wrong)?;
    }
    let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => failed("there is a file of this name. Choose another path, or remove it.".to_owned()),
        ErrorKind::InvalidInput => {
            failed("the path is longer than a socket's may be. Choose one of 107 bytes or less.".to_owned())
        }
        _ => wrong(error),
    })?;
    let file = SocketFile {
        path: path.to_owned(),
        made: made(path).map_err(wrong)?,
    };
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(wrong)?;
    Ok(Listener::Unix(listener, Some(file)))
}

/// The sockets that systemd passes.
fn of_systemd() -> Result<Vec<Listener>, ListenError> {
    let failed = |what: String| ListenError {
        address: "the sockets of systemd".to_owned(),
        what,
    };
    let sockets = passed::sockets().map_err(|error| failed(format!("{error}. Start tcpvitals by its socket unit.")))?;
    if sockets.is_empty() {
        let what = "none were passed to this process (LISTEN_FDS, LISTEN_PID). Start it by `systemctl start tcpvitals.socket`, or leave \
                    out --web.systemd-socket.";
        return Err(failed(what.to_owned()));
    }
    sockets
        .into_iter()
        .map(|socket| {
            let number = socket.as_raw_fd();
            listening(socket).map_err(|why| {
                failed(format!(
                    "descriptor {number} {why}. Use ListenStream= in the socket unit, with Accept=no."
                ))
            })
        })
        .collect()
}

/// A socket that somebody else has opened, if one can listen on it.
fn listening(socket: OwnedFd) -> Result<Listener, &'static str> {
    let listens = getsockopt(&socket, sockopt::AcceptConn);
    let Ok(listens) = listens else {
        return Err("is no socket");
    };
    if !listens || getsockopt(&socket, sockopt::SockType) != Ok(SockType::Stream) {
        return Err("is no stream socket that listens");
    }
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd()).map_err(|_unsaid| "has no address")?;
    match address.family() {
        Some(AddressFamily::Inet | AddressFamily::Inet6) => Ok(Listener::Tcp(socket.into())),
        Some(AddressFamily::Unix) => Ok(Listener::Unix(socket.into(), None)),
        _ => Err("is a socket of another family than IPv4, IPv6 and unix"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<Listener, ListenError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn whoever_uses_a_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let expected = format!(
            "listening on {address} failed: {} (pid {}) uses it. Stop that, or choose another port with --web.listen-address.",
            name.trim(),
            std::process::id()
        );
        assert_eq!(said(bound(&address, address)), expected);
    }

    #[test]
    fn an_address_of_another_host_is_refused_in_plain_words() {
        let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let said = said(bound(&address, address));
        assert!(
            said.starts_with("listening on 192.0.2.1:1 failed: this host has no such address. "),
            "{said}"
        );
        assert!(!said.contains("os error"), "{said}");
    }

    #[test]
    fn a_name_is_all_its_addresses() {
        let shown: ListenAddress = "localhost:0".parse().unwrap();
        let listeners = named(&shown, "localhost", 0).unwrap();
        assert!(!listeners.is_empty() && listeners.iter().all(Listener::is_local));
        let shown: ListenAddress = "no-such-host.invalid:1".parse().unwrap();
        let said = named(&shown, "no-such-host.invalid", 1).unwrap_err().to_string();
        assert!(
            said.contains("no-such-host.invalid:1 failed: the name no-such-host.invalid has no address here."),
            "{said}"
        );
    }

    #[test]
    fn a_socket_has_a_mode_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let shown = ListenAddress::Socket(path.clone());
        let listener = socket(&shown, &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(listener.is_local());
        let expected = format!("unix://{} failed: ", path.display());
        let second = said(socket(&shown, &path));
        assert!(
            second.contains(&expected) && second.contains(&format!("(pid {}) uses it", std::process::id())),
            "{second}"
        );
        // Left behind by one that was killed.
        let Listener::Unix(listener, Some(file)) = listener else {
            panic!("another kind")
        };
        drop(listener);
        assert!(path.exists());
        // The kernel's clock of files ticks in milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let anew = socket(&shown, &path).unwrap();
        // The file is another's now.
        drop(file);
        assert!(path.exists());
        drop(anew);
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(
            said(socket(&shown, &path)).ends_with("there is a file of this name. Choose another path, or remove it.")
        );
        let absent = folder.path().join("absent/http.sock");
        assert!(said(socket(&ListenAddress::Socket(absent.clone()), &absent)).ends_with("Make its folder first."));
    }

    #[test]
    fn only_sockets_that_listen_are_taken_over() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connected = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        assert!(matches!(listening(tcp.into()), Ok(Listener::Tcp(_))));
        assert_eq!(
            listening(connected.into()).unwrap_err(),
            "is no stream socket that listens"
        );
        let datagram = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(
            listening(datagram.into()).unwrap_err(),
            "is no stream socket that listens"
        );
        let file = fs::File::open("/dev/null").unwrap();
        assert_eq!(listening(file.into()).unwrap_err(), "is no socket");
    }
}
