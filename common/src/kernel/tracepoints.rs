//! The tracepoints that have two programs: the one that does the work, and one that takes over where the kernel skips the first.

use crate::closed::indices;

macro_rules! tracepoints {
    ($($tracepoint:ident = $system:literal / $name:literal;)+) => {
        /// A tracepoint that has two programs. The number is the index into the maps `PROGRAM_IDS` and `TAKEN_OVER`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Tracepoint {
            $(
                #[doc = concat!("`", $name, "`")]
                $tracepoint,
            )+
        }

        impl Tracepoint {
            /// Every tracepoint, in the order of its number.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$tracepoint),+];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The kernel's name of the tracepoint, which is that of the first program too.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$tracepoint => $name,)+
                }
            }

            /// The system that its event has in tracefs, `events/SYSTEM/NAME`.
            pub const fn system(self) -> &'static str {
                match self {
                    $(Self::$tracepoint => $system,)+
                }
            }

            /// The name of the program that takes over.
            pub const fn nested(self) -> &'static str {
                match self {
                    $(Self::$tracepoint => concat!($name, "_nested"),)+
                }
            }
        }
    };
}

// `tests/again.sh` reads these rows too.
tracepoints! {
    InetSockSetState = "sock" / "inet_sock_set_state";
    TcpRetransmitSkb = "tcp" / "tcp_retransmit_skb";
    TcpRetransmitSynack = "tcp" / "tcp_retransmit_synack";
    TcpReceiveReset = "tcp" / "tcp_receive_reset";
    TcpSendReset = "tcp" / "tcp_send_reset";
    TcpCongStateSet = "tcp" / "tcp_cong_state_set";
    KfreeSkb = "skb" / "kfree_skb";
    QdiscDrop = "qdisc" / "qdisc_drop";
    DevlinkTrapReport = "devlink" / "devlink_trap_report";
    XdpRedirectErr = "xdp" / "xdp_redirect_err";
    XdpException = "xdp" / "xdp_exception";
    XdpBulkTx = "xdp" / "xdp_bulk_tx";
    XdpDevmapXmit = "xdp" / "xdp_devmap_xmit";
    XdpCpumapEnqueue = "xdp" / "xdp_cpumap_enqueue";
    XdpCpumapKthread = "xdp" / "xdp_cpumap_kthread";
    TcpProbe = "tcp" / "tcp_probe";
    TcpDestroySock = "tcp" / "tcp_destroy_sock";
}

impl Tracepoint {
    /// The tracepoint of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tracepoint| tracepoint.name() == name)
    }
}

indices! {
    /// Which of the two programs runs. The number is the index of the counters that it alone writes.
    Run {
        /// The first, which does the work unless the kernel skips it.
        First,
        /// The second, in place of the first.
        Nested,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracepoint_is_found_by_its_name_and_stands_at_its_number() {
        for (number, tracepoint) in Tracepoint::ALL.into_iter().enumerate() {
            assert_eq!(tracepoint as usize, number);
            assert_eq!(Tracepoint::of_name(tracepoint.name()), Some(tracepoint));
            assert_eq!(tracepoint.nested().strip_suffix("_nested"), Some(tracepoint.name()));
        }
        assert_eq!(Tracepoint::of_name("iter_tcp"), None);
    }
}
