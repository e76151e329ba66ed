//! Sites of drops: numbers and texts of the kernel side become names. Never reads the kernel itself: it asks for names
//! that were learned before. From a reading to the snapshot.

use crate::{labels::classes::coarse, snapshot::DropSite};
use common::{
    drops::{Direction, DropKey, DropRow, DropSource, NamedDropKey, Protocol, skip, xdp_action},
    kernel::programs::{XDP, XDP_REDIRECT},
    net::connection::ConnectionType,
    text::Name,
    workload::number,
};
use nix::errno::Errno;

/// The names of a kernel.
pub trait DropNames {
    /// The function at a code address.
    fn location(&self, address: u64) -> String;
    fn reason(&self, number: u32) -> String;
    /// Whether there is a drop reason of this name.
    fn has_reason(&self, name: &str) -> bool;
}

/// Who dropped, and where and why; without a site the row `other`.
pub fn name(row: &DropRow, kernel: &impl DropNames) -> (DropSource, Option<DropSite>) {
    match row {
        DropRow::Other(source) => (*source, None),
        DropRow::Software(key) => (DropSource::Software, Some(of_software(key, kernel))),
        DropRow::Named(key) => (DropSource::from_number(key.source), Some(of_name(key))),
    }
}

fn of_software(key: &DropKey, kernel: &impl DropNames) -> DropSite {
    let is_known = |without: u8| key.skipped & without == 0;
    let reason = kernel.reason(key.reason);
    DropSite {
        location: kernel.location(key.location),
        marks: key.marks | coarse(&reason, |name| kernel.has_reason(name)),
        reason,
        subnet: is_known(skip::HEADERS | skip::SUBNET).then_some(key.subnet),
        protocol: is_known(skip::HEADERS).then(|| Protocol::from_number(key.protocol)),
        direction: Direction::from_number(key.direction),
        connection: is_known(skip::CONNECTION).then(|| ConnectionType::from_number(key.connection)),
        app_protocol: is_known(skip::APP_PROTOCOL).then_some(key.app_protocol),
        workload: is_known(skip::WORKLOAD).then_some(key.workload),
    }
}

fn of_name(key: &NamedDropKey) -> DropSite {
    let of_xdp = DropSource::from_number(key.source) == DropSource::Xdp;
    DropSite {
        location: match Name(key.place).to_string() {
            // A program may be loaded without a name; then the hook tells at least where to look.
            place if place.is_empty() && of_xdp => hook(key.cause).to_owned(),
            place => place,
        },
        reason: if of_xdp {
            failure(key.cause)
        } else {
            Name(key.group).to_string()
        },
        subnet: Some(key.subnet),
        protocol: Some(Protocol::from_number(key.protocol)),
        direction: Direction::Receive,
        connection: Some(ConnectionType::from_number(key.connection)),
        // Devices and XDP programs are the host's.
        workload: Some(number::HOST),
        ..DropSite::default()
    }
}

/// The tracepoint that reports a failure.
const fn hook(cause: i32) -> &'static str {
    if cause < 0 { XDP_REDIRECT } else { XDP }
}

/// Why an XDP program or its driver dropped a packet: the action, or the error of a redirect.
fn failure(cause: i32) -> String {
    const NAMES: [&str; 5] = ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"];
    let Ok(action) = usize::try_from(cause) else {
        let errno = Errno::from_raw(cause.wrapping_neg());
        // Numbers that the kernel keeps to itself have no name here.
        return if errno == Errno::UnknownErrno {
            cause.wrapping_neg().to_string()
        } else {
            format!("{errno:?}")
        };
    };
    NAMES.get(action).map_or_else(
        || {
            debug_assert_eq!(action, xdp_action::INVALID as usize);
            "INVALID_ACTION".to_owned()
        },
        |name| String::from(*name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::{net::address::SubnetKey, text::named};

    fn check(key: NamedDropKey, expected: [&str; 5]) {
        let site = of_name(&key);
        let (location, reason) = (site.location.as_str(), site.reason.as_str());
        let (protocol, connection) = (site.protocol.unwrap().as_str(), site.connection.unwrap().as_str());
        assert_eq!(
            [location, reason, protocol, site.direction.as_str(), connection],
            expected
        );
    }

    #[test]
    fn a_trap_is_a_place_and_its_group_the_reason() {
        let trap = NamedDropKey {
            place: named("ipv6_mc_dip_interface_local_scope"),
            group: named("l3_drops"),
            subnet: SubnetKey::NONE,
            protocol: Protocol::Udp as u8,
            connection: ConnectionType::Wired as u8,
            source: DropSource::Hardware as u8,
            ..NamedDropKey::default()
        };
        check(
            trap,
            [
                "ipv6_mc_dip_interface_local_scope",
                "l3_drops",
                "udp",
                "receive",
                "wired",
            ],
        );
    }

    #[test]
    fn an_xdp_program_is_a_place_and_what_failed_the_reason() {
        for (cause, place, reason) in [
            (0, "guard", "XDP_ABORTED"),
            (3, "guard", "XDP_TX"),
            (5, "guard", "INVALID_ACTION"),
            (-22, "guard", "EINVAL"),
            (-524, "guard", "524"),
        ] {
            let failed = |place| NamedDropKey {
                place: named(place),
                cause,
                source: DropSource::Xdp as u8,
                ..NamedDropKey::default()
            };
            check(failed("guard"), [place, reason, "other", "receive", "unknown"]);
            check(failed(""), [hook(cause), reason, "other", "receive", "unknown"]);
        }
    }
}
