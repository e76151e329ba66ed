//! Who has a port or a socket already, as far as /proc tells. It must never hold anything up: whom it cannot name it leaves out.
//! Asked when listening failed; its answer is for people.

use std::{
    fmt::{self, Display},
    fs,
    path::Path,
};

/// A process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holder {
    name: String,
    pid: u32,
}

impl Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (pid {})", self.name, self.pid)
    }
}

/// Who listens on a TCP port of this network namespace.
pub(super) fn of_port(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter();
    let mut tables = tables.filter_map(|table| fs::read_to_string(table).ok());
    tables.find_map(|table| holder(listening_on(&table, port)?))
}

/// Who listens on a path.
pub(super) fn of_path(path: &Path) -> Option<Holder> {
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    let path = path.to_str()?;
    let mut lines = table.lines().filter(|line| line.ends_with(&format!(" {path}")));
    lines.find_map(|line| holder(line.split_whitespace().nth(6)?))
}

/// The inode of the socket that listens on a port, by a table of the kernel.
fn listening_on(table: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next()?.ends_with(&port) && fields.nth(1)? == LISTEN;
        fields.nth(5).filter(|_| is_it)
    })
}

/// The process that has a socket open.
fn holder(inode: &str) -> Option<Holder> {
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find_map(|pid: u32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
            let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
            links.any(|link| link.as_os_str() == socket.as_str()).then(|| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                Holder {
                    name: name.trim().to_owned(),
                    pid,
                }
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_listens_has_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:2710 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n   \
                     1: 0100007F:2710 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n";
        assert_eq!(listening_on(table, 10_000), Some("222"));
        assert_eq!(listening_on(table, 40_000), None);
    }
}
