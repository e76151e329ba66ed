//! Who may see addresses. Rows of drops and the status name subnets, functions and programs, as the metrics do; flows name peers.
//!
//! Pure: from the address that is served, the command line, and whether there are passwords or certificates of clients.

use std::net::IpAddr;

/// Whether flows may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAccess {
    /// Asked for on the command line, whoever may ask then.
    pub enabled: bool,
    /// Only this host reaches the address.
    pub loopback: bool,
}

/// Why they are not shown, and what to do.
pub const REMEDY: &str = "flows name the peers of this host, so they are not shown to everybody who reaches this address; set passwords \
                          or certificates of clients with --web.config.file, serve on a loopback address, or start with \
                          --web.enable-flows";

impl FlowAccess {
    pub fn new(enabled: bool, address: IpAddr) -> Self {
        Self {
            enabled,
            loopback: address.to_canonical().is_loopback(),
        }
    }

    /// Whether they are shown; `has_auth` if whoever asks has proved who they are.
    pub const fn is_open(self, has_auth: bool) -> bool {
        self.enabled || self.loopback || has_auth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_enough() {
        for (enabled, address, has_auth, expected) in [
            (false, "::", false, false),
            (false, "192.0.2.1", false, false),
            (false, "::ffff:192.0.2.1", false, false),
            (true, "::", false, true),
            (false, "::", true, true),
            (false, "127.0.0.9", false, true),
            (false, "::1", false, true),
            (false, "::ffff:127.0.0.1", false, true),
        ] {
            let access = FlowAccess::new(enabled, address.parse().unwrap());
            assert_eq!(access.is_open(has_auth), expected, "{enabled} {address} {has_auth}");
        }
    }
}
