//! A row of a recording: numbers under names, in an order of their own. One list for both ways.

use common::{
    drops::{Direction, Protocol},
    histogram::Histogram,
    net::connection::ConnectionType,
    tcp::{
        accept_queue::AcceptQueues,
        group::{Counter, GroupCounters},
        record::FlowRecord,
        samples::Samples,
    },
};
use std::fmt;

/// What becomes of a number when a recording begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It says which row this is, and stays.
    Identity,
    /// It goes on from where it was.
    Counter,
    /// It holds for its moment.
    Moment,
}

/// The name of a number in a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    Word(&'static str),
    /// One of several.
    Place(&'static str, usize),
    /// The sum of a histogram.
    Sum(&'static str),
    Counter(Counter),
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => formatter.write_str(word),
            Self::Place(word, place) => write!(formatter, "{word}.{place}"),
            Self::Sum(word) => write!(formatter, "{word}.sum"),
            Self::Counter(counter) => write!(formatter, "{counter:?}"),
        }
    }
}

/// A number of any width. What is too large for it is the largest that it can be.
pub(super) trait Word {
    fn get(&self) -> u64;
    fn set(&mut self, value: u64);
}

macro_rules! words {
    ($($type:ty)+) => {
        $(
            impl Word for $type {
                fn get(&self) -> u64 {
                    (*self).into()
                }

                fn set(&mut self, value: u64) {
                    *self = Self::try_from(value).unwrap_or(Self::MAX);
                }
            }
        )+
    };
}
words!(u8 u16 u32 u64);

/// Closed sets, by the numbers of their values.
macro_rules! sets {
    ($($set:ident)+) => {
        $(
            impl Word for $set {
                fn get(&self) -> u64 {
                    *self as u64
                }

                fn set(&mut self, value: u64) {
                    *self = Self::from_number(u8::try_from(value).unwrap_or(u8::MAX));
                }
            }
        )+
    };
}
sets!(Protocol Direction ConnectionType);

impl Word for bool {
    fn get(&self) -> u64 {
        (*self).into()
    }

    fn set(&mut self, value: u64) {
        *self = value != 0;
    }
}

/// Sees a number of a row, and may change it.
pub(super) type Visit<'a> = dyn FnMut(Name, Kind, &mut dyn Word) + 'a;

/// A row that is made of numbers.
pub(super) trait Fields: Default {
    /// Every number, always in the same order.
    fn each(&mut self, visit: &mut Visit<'_>);
}

/// The names of a row's numbers, and their kinds.
pub(super) fn layout<T: Fields>() -> Vec<(String, Kind)> {
    let mut layout = Vec::new();
    T::default().each(&mut |name, kind, _| layout.push((name.to_string(), kind)));
    layout
}

/// The numbers of a row.
pub(super) fn numbers<T: Fields>(mut row: T) -> Vec<u64> {
    let mut numbers = Vec::new();
    row.each(&mut |_, _, word| numbers.push(word.get()));
    numbers
}

/// The row of these numbers; those that are missing are 0.
pub(super) fn row<T: Fields>(numbers: &[u64]) -> T {
    let mut row = T::default();
    let mut numbers = numbers.iter();
    row.each(&mut |_, _, word| word.set(numbers.next().copied().unwrap_or_default()));
    row
}

/// Visits fields that are words or lists of words, under their own names.
macro_rules! visit {
    ($visit:ident, $kind:expr, $($field:ident)+) => {
        $($visit(Name::Word(stringify!($field)), $kind, $field);)+
    };
}

/// The same of lists.
macro_rules! visit_each {
    ($visit:ident, $kind:expr, $($field:ident)+) => {
        $(
            for (place, word) in $field.iter_mut().enumerate() {
                $visit(Name::Place(stringify!($field), place), $kind, word);
            }
        )+
    };
}

macro_rules! visit_histograms {
    ($visit:ident, $($field:ident)+) => {
        $(histogram($visit, stringify!($field), $field);)+
    };
}
pub(super) use {visit, visit_each};

fn histogram<const N: usize>(visit: &mut Visit<'_>, name: &'static str, Histogram { sum, buckets }: &mut Histogram<N>) {
    visit(Name::Sum(name), Kind::Counter, sum);
    for (place, bucket) in buckets.iter_mut().enumerate() {
        visit(Name::Place(name, place), Kind::Counter, bucket);
    }
}

impl Fields for GroupCounters {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            counters,
            rtt,
            handshake,
            duration,
        } = self;
        for (counter, count) in Counter::ALL.iter().zip(counters) {
            visit(Name::Counter(*counter), Kind::Counter, count);
        }
        visit_histograms!(visit, rtt handshake duration);
    }
}

impl Fields for Samples {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            epoch,
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
        // Nobody reads which collection it was once it is over.
        *epoch = 0;
        visit!(visit, Kind::Moment, live rtt_min rtt_max rto_min rto_max peer_zero_windows own_zero_windows path_mtu_min peer_mss_min);
        visit_histograms!(visit, smoothed_rtt congestion_window slow_start_threshold mss rto delivery_rate);
    }
}

impl Fields for AcceptQueues {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            epoch,
            listeners,
            waiting,
            limit,
            fullness,
            padding,
        } = self;
        (*epoch, *padding) = (0, 0);
        visit!(visit, Kind::Moment, listeners waiting limit fullness);
    }
}

/// The counters that the kernel keeps come from their rows; the others are named here.
macro_rules! flow_record {
    ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
        Counter::$counter:ident, FlowRecord::$number:ident;)+ }
     words { $($word:ident)+ } lists { $($list:ident)+ }) => {
        impl Fields for FlowRecord {
            fn each(&mut self, visit: &mut Visit<'_>) {
                let Self { $($number,)+ $($word,)+ $($list,)+ after_local_drop, reserved } = self;
                // As where nobody looks for them: recordings are older than this field.
                *after_local_drop = u64::MAX;
                *reserved = [0; 3];
                visit!(visit, Kind::Moment, $($number)+ $($word)+);
                visit_each!(visit, Kind::Moment, $($list)+);
            }
        }
    };
}

common::kept_counters! { [flow_record]
    words {
        slot now started cookie sum_rtt_us pacing_rate delivery_rate busy_us receive_window_us send_buffer_us cgroup snd_cwnd mss
        ssthresh srtt_us rto_ms other_segs_retrans timeout_segs_retrans probe_segs_retrans fast_segs_retrans max_rtt_us min_rtt_us
        count_rtt rtt_sample_us max_rto_ms min_rto_ms dup_acks_in sacks_in sack_blks_in locally_dropped unacked in_flight not_sent
        snd_wnd local_port remote_port family state ca_state limit flags
    }
    lists { algorithm local remote labels }
}
