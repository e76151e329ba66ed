//! The kernel's own account of one TCP socket.

use std::os::fd::AsFd;

use anyhow::{Result, ensure};

use crate::kernel::syscalls;

/// `struct tcp_info` (include/uapi/linux/tcp.h) as far as every supported kernel has it. Times are in microseconds unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the kernel's and keep its names, without the prefix"
)]
#[repr(C)]
pub struct TcpInfo {
    pub state: u8,
    pub ca_state: u8,
    pub retransmits: u8,
    pub probes: u8,
    pub backoff: u8,
    pub options: u8,
    pub window_scales: u8,
    pub application_limited: u8,
    pub rto: u32,
    pub ato: u32,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub fackets: u32,
    /// In milliseconds, like the three after it.
    pub last_data_sent: u32,
    pub last_ack_sent: u32,
    pub last_data_recv: u32,
    pub last_ack_recv: u32,
    pub pmtu: u32,
    pub rcv_ssthresh: u32,
    pub rtt: u32,
    pub rttvar: u32,
    pub snd_ssthresh: u32,
    pub snd_cwnd: u32,
    pub advmss: u32,
    pub reordering: u32,
    pub rcv_rtt: u32,
    pub rcv_space: u32,
    pub total_retrans: u32,
    pub pacing_rate: u64,
    pub max_pacing_rate: u64,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub segs_out: u32,
    pub segs_in: u32,
    pub notsent_bytes: u32,
    pub min_rtt: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    pub delivery_rate: u64,
    pub busy_time: u64,
    pub rwnd_limited: u64,
    pub sndbuf_limited: u64,
    pub delivered: u32,
    pub delivered_ce: u32,
    pub bytes_sent: u64,
    pub bytes_retrans: u64,
    pub dsack_dups: u32,
    pub reord_seen: u32,
    pub rcv_ooopack: u32,
    pub snd_wnd: u32,
}

const _: () = assert!(size_of::<TcpInfo>() == 232);

/// `TCP_CLOSE`: the connection is over, its counters are final.
pub const CLOSED: u8 = 7;

impl TcpInfo {
    /// Reads it from a socket, which may already be closed by both ends as long as its descriptor is open.
    pub fn of(socket: &impl AsFd) -> Result<Self> {
        let (info, length) = syscalls::tcp_info(socket.as_fd())?;
        ensure!(
            length == size_of::<Self>(),
            "this kernel's TCP_INFO has {length} bytes of the {} expected",
            size_of::<Self>()
        );
        Ok(info)
    }

    /// Segments sent again that are not yet acknowledged, or data in flight: something is still to happen.
    pub fn is_at_rest(&self) -> bool {
        self.unacked == 0 && self.notsent_bytes == 0
    }
}
