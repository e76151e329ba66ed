//! Who may see addresses. Rows of drops and the status name subnets, functions and programs, as the metrics do; flows name peers.
//!
//! Pure: from the address that is served, the command line, and whether there are passwords or certificates of clients.

/// Whether flows may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAccess {
    /// Asked for on the command line, whoever may ask then.
    pub enabled: bool,
    /// Whether one of the addresses is reached from this host alone.
    pub has_local: bool,
}

/// Why they are not shown, and what to do.
pub const REMEDY: &str = "flows name the peers of this host, so they are not shown to everybody who reaches this address; set passwords \
                          or certificates of clients with --web.config.file, ask a loopback address or a unix socket of it, or start with \
                          --web.enable-flows";

impl FlowAccess {
    /// Whether anybody may see them: the page, which is made once for all, then asks, and says why it is refused.
    pub const fn is_open_to_some(self, has_auth: bool) -> bool {
        self.is_open(self.has_local, has_auth)
    }

    /// Whether they are shown; `is_local` if only this host reaches what was asked, `has_auth` if whoever asks has proved who they
    /// are.
    pub const fn is_open(self, is_local: bool, has_auth: bool) -> bool {
        self.enabled || is_local || has_auth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_enough() {
        for (enabled, is_local, has_auth, expected) in [
            (false, false, false, false),
            (true, false, false, true),
            (false, true, false, true),
            (false, false, true, true),
        ] {
            let access = FlowAccess {
                enabled,
                has_local: is_local,
            };
            assert_eq!(access.is_open_to_some(has_auth), expected);
            assert_eq!(
                access.is_open(is_local, has_auth),
                expected,
                "{enabled} {is_local} {has_auth}"
            );
        }
    }
}
