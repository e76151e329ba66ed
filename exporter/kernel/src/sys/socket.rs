//! What the kernel still holds of a TCP connection.
#![expect(unsafe_code, reason = "ioctl(2) writes through a pointer")]

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

/// How many bytes the other end of a TCP connection has not acknowledged; the end of the connection counts as one.
///
/// # Errors
/// What the kernel says of something that is no TCP connection.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ, which is TIOCOUTQ, writes one `int`, and `bytes` outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::File,
        io::{Read as _, Write as _},
        net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
        os::fd::AsFd as _,
    };

    #[test]
    fn what_is_not_acknowledged_is_counted_with_the_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(unacknowledged(server.as_fd()).unwrap(), 0);
        server.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(written) = server.write(&[0; 1 << 16]) {
            sent += written;
        }
        let held = unacknowledged(server.as_fd()).unwrap();
        assert!(held > 0 && held <= sent as u64, "{held} of {sent}");
        server.shutdown(Shutdown::Write).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
        // The acknowledgment is on its way.
        let is_over = |_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            unacknowledged(server.as_fd()).unwrap() == 0
        };
        assert!((0..5000).any(is_over));
        assert!(unacknowledged(File::open("/dev/null").unwrap().as_fd()).is_err());
    }
}
