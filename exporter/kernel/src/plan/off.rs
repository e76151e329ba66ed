//! Why a program does not run. The sentence is the value of a label too: of a closed set, but for the kernel's own words.

use common::map::detail::Detail;

/// Why a program does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Off {
    /// This level of detail does without it.
    #[error("tcp.detail is {}", .0.as_str())]
    Detail(Detail),
    /// Drops are not measured.
    #[error("drops.enabled is false")]
    Drops,
    /// Workloads have no names.
    #[error("workloads.source is none")]
    NoSource,
    /// Workloads are not told apart.
    #[error("workloads.enabled is false")]
    Workloads,
    /// Retransmissions are not told apart by what this host dropped.
    #[error("local_loss.enabled is false")]
    LocalLoss,
    /// Listeners are not looked at.
    #[error("listeners.enabled is false")]
    Listeners,
    /// `trace` does not need it.
    #[error("trace does not count")]
    Trace,
    /// `capture` does not need it.
    #[error("capture copies only packets that the network stack drops")]
    Capture,
    /// The kernel lacks its hook.
    #[error("this kernel has no tracepoint {0}")]
    NoTracepoint(&'static str),
    /// The kernel lacks its iterator.
    #[error("this kernel has no iterator {0}")]
    NoIterator(&'static str),
    /// The kernel does not say for which listener a packet was.
    #[error("this kernel's tracepoint kfree_skb has no argument rx_sk")]
    NoListener,
    /// Programs cannot give types to addresses.
    #[error("this kernel has no typed pointers for programs (bpf_rdonly_cast, Linux 6.2)")]
    NoCasts,
    /// There is nothing for a second program to do.
    #[error("this kernel skips no run of a program and needs no second one")]
    NoSkips,
    /// A second program would count twice.
    #[error("this kernel's type information does not say whether a task can be preempted within a tracepoint")]
    NoPreemptCount,
    /// The kernel lacks a field.
    #[error("the field {global} is missing{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NoField {
        /// The field's global.
        global: &'static str,
        /// What its type information says.
        why: Option<String>,
    },
    /// The kernel does not take the program, in its own words.
    #[error("{0}")]
    Refused(String),
}

impl Off {
    /// Whether that is what somebody asked for.
    pub const fn is_asked_for(&self) -> bool {
        matches!(
            self,
            Self::Detail(_)
                | Self::Drops
                | Self::NoSource
                | Self::Workloads
                | Self::LocalLoss
                | Self::Listeners
                | Self::Trace
                | Self::Capture
        )
    }
}
