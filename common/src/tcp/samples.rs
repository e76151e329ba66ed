//! What live flows of a group look like now, as a fold samples them.

use crate::{
    histogram::{Histogram, RATE_BUCKETS, SIZE_BUCKETS, TIME_BUCKETS},
    memory::recent::RECENT,
    net::connection::Name,
};
use zerocopy::FromBytes;

/// What the fold samples from live flows for one group: the value of the map `SAMPLES`.
///
/// Only the fold writes it, and one fold runs at a time, so it is neither per CPU nor atomic. The fields from `epoch` to
/// `peer_mss_min` describe the last fold that met a flow of this group; the histograms grow for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Samples {
    /// The number of that fold.
    pub epoch: u64,
    /// Live flows.
    pub live: u64,
    /// Smallest round-trip time of a live flow's life, in microseconds; 0 without a sample.
    pub rtt_min: u32,
    /// Largest, in microseconds.
    pub rtt_max: u32,
    /// Smallest retransmission time-out of a live flow's life, in jiffies; 0 without a sample.
    pub rto_min: u32,
    /// Largest, in jiffies.
    pub rto_max: u32,
    /// Live flows whose peer announced a receive window of zero last: `tcp_sock.snd_wnd`.
    pub peer_zero_windows: u32,
    /// Live flows that announced a receive window of zero last: `tcp_sock.rcv_wnd`.
    pub own_zero_windows: u32,
    /// Smallest path MTU of a live flow, in bytes: `icsk_pmtu_cookie`; 0 without one.
    pub path_mtu_min: u32,
    /// Smallest MSS that a peer of a live flow announced, in bytes: `tcp_options_received.mss_clamp`; 0 without one.
    pub peer_mss_min: u32,
    /// `tcp_sock.srtt_us` / 8, in microseconds.
    pub smoothed_rtt: Histogram<TIME_BUCKETS>,
    /// `tcp_sock.snd_cwnd`, in segments.
    pub congestion_window: Histogram<SIZE_BUCKETS>,
    /// `tcp_sock.snd_ssthresh`, in segments, where one is set.
    pub slow_start_threshold: Histogram<SIZE_BUCKETS>,
    /// `tcp_sock.mss_cache`, in bytes.
    pub mss: Histogram<SIZE_BUCKETS>,
    /// `inet_connection_sock.icsk_rto`, in jiffies: the buckets are those of the time in microseconds.
    pub rto: Histogram<TIME_BUCKETS>,
    /// [`crate::tcp::record::delivery_rate`], in bytes per second, where the application did not limit it.
    pub delivery_rate: Histogram<RATE_BUCKETS>,
}

impl Samples {
    /// These samples, if fold `epoch` met a live flow; else only the histograms.
    #[must_use]
    pub fn at(self, epoch: u64) -> Self {
        if self.epoch == epoch { self } else { self.without_live() }
    }

    /// Only the histograms.
    #[must_use]
    pub fn without_live(mut self) -> Self {
        self.forget_live();
        self
    }

    /// Begins fold `epoch`, unless it has begun.
    #[inline(always)]
    pub fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.forget_live();
        }
    }

    #[inline(always)]
    fn forget_live(&mut self) {
        self.live = 0;
        self.rtt_min = 0;
        self.rtt_max = 0;
        self.rto_min = 0;
        self.rto_max = 0;
        self.peer_zero_windows = 0;
        self.own_zero_windows = 0;
        self.path_mtu_min = 0;
        self.peer_mss_min = 0;
    }

    /// What the histograms have got since `before`; the rest is as it is now.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        let Self {
            epoch: _,
            live: _,
            rtt_min: _,
            rtt_max: _,
            rto_min: _,
            rto_max: _,
            peer_zero_windows: _,
            own_zero_windows: _,
            path_mtu_min: _,
            peer_mss_min: _,
            smoothed_rtt,
            congestion_window,
            slow_start_threshold,
            mss,
            rto,
            delivery_rate,
        } = &mut self;
        *smoothed_rtt = smoothed_rtt.since(&before.smoothed_rtt);
        *congestion_window = congestion_window.since(&before.congestion_window);
        *slow_start_threshold = slow_start_threshold.since(&before.slow_start_threshold);
        *mss = mss.since(&before.mss);
        *rto = rto.since(&before.rto);
        *delivery_rate = delivery_rate.since(&before.delivery_rate);
        self
    }

    /// Adds the samples of another group of the same fold.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            epoch: _,
            live,
            rtt_min,
            rtt_max,
            rto_min,
            rto_max,
            peer_zero_windows,
            own_zero_windows,
            path_mtu_min,
            peer_mss_min,
            smoothed_rtt,
            congestion_window,
            slow_start_threshold,
            mss,
            rto,
            delivery_rate,
        } = self;
        *live += other.live;
        *rtt_min = smaller(*rtt_min, other.rtt_min);
        *rto_min = smaller(*rto_min, other.rto_min);
        *rtt_max = (*rtt_max).max(other.rtt_max);
        *rto_max = (*rto_max).max(other.rto_max);
        *peer_zero_windows += other.peer_zero_windows;
        *own_zero_windows += other.own_zero_windows;
        *path_mtu_min = smaller(*path_mtu_min, other.path_mtu_min);
        *peer_mss_min = smaller(*peer_mss_min, other.peer_mss_min);
        smoothed_rtt.merge(&other.smoothed_rtt);
        congestion_window.merge(&other.congestion_window);
        slow_start_threshold.merge(&other.slow_start_threshold);
        mss.merge(&other.mss);
        rto.merge(&other.rto);
        delivery_rate.merge(&other.delivery_rate);
    }
}

/// The smaller of two values, where 0 is none.
fn smaller(a: u32, b: u32) -> u32 {
    if a == 0 || (b != 0 && b < a) { b } else { a }
}

/// Live flows of one congestion-control algorithm: an entry of the map `ALGORITHMS`. The first free one from
/// [`crate::memory::recent::place`] of its name on, in a circle; entries of earlier folds are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct AlgorithmCount {
    /// Its name, NUL-padded.
    pub name: Name,
    /// The fold that counted.
    pub epoch: u64,
    /// Live flows.
    pub live: u64,
}

/// Most congestion-control algorithms that are told apart: as many as [`crate::memory::recent::place`] has places.
pub const MOST_ALGORITHMS: u32 = RECENT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_samples_keep_the_extremes_of_those_that_have_any() {
        let of = |live, rtt_min, rtt_max| Samples {
            epoch: 1,
            live,
            rtt_min,
            rtt_max,
            ..Samples::default()
        };
        let mut merged = of(1, 0, 0);
        merged.merge(&of(2, 300, 400));
        merged.merge(&of(3, 200, 250));
        assert_eq!((merged.live, merged.rtt_min, merged.rtt_max), (6, 200, 400));
        assert_eq!(merged.at(2).live, 0);
    }
}
