//! Values as bytes: numbers little-endian, a structure member by member, a text as its length in 16 bits and its bytes.

use common::tcp::record::FlowRecord;

pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    // No name of a configuration is as long.
    let length = u16::try_from(text.len()).unwrap_or(0);
    length.put(out);
    out.extend(text.bytes().take(length.into()));
}

pub(super) fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length: u16 = take_checked(bytes)?;
    let (text, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

pub(super) fn take_checked<V: Coded>(bytes: &mut &[u8]) -> Option<V> {
    (bytes.len() >= V::SIZE).then(|| V::take(bytes))
}

/// A value of fixed size.
pub(super) trait Coded: Sized {
    /// In bytes.
    const SIZE: usize;
    fn put(&self, out: &mut Vec<u8>);
    /// Takes it from bytes that are long enough; what is missing is zero.
    fn take(bytes: &mut &[u8]) -> Self;
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(
            impl Coded for $number {
                const SIZE: usize = size_of::<Self>();

                fn put(&self, out: &mut Vec<u8>) {
                    out.extend(self.to_le_bytes());
                }

                fn take(bytes: &mut &[u8]) -> Self {
                    match bytes.split_first_chunk() {
                        Some((number, rest)) => {
                            *bytes = rest;
                            Self::from_le_bytes(*number)
                        }
                        None => 0,
                    }
                }
            }
        )+
    };
}

numbers!(u8, u16, u32, u64);

impl<V: Coded, const N: usize> Coded for [V; N] {
    const SIZE: usize = N * V::SIZE;

    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }

    fn take(bytes: &mut &[u8]) -> Self {
        std::array::from_fn(|_| V::take(bytes))
    }
}

/// The size of a member that `_member` leads to.
const fn size_of_member<S, V: Coded>(_member: fn(&S) -> &V) -> usize {
    V::SIZE
}

/// Puts the named members of a structure one after another, and takes them in the same order. The others are not in the format.
macro_rules! structures {
    ($($structure:ident { $($field:ident),+ $(,)? })+) => {
        $(
            impl Coded for $structure {
                const SIZE: usize = 0 $(+ size_of_member(|all: &Self| &all.$field))+;

                fn put(&self, out: &mut Vec<u8>) {
                    $(self.$field.put(out);)+
                }

                fn take(bytes: &mut &[u8]) -> Self {
                    Self { $($field: Coded::take(bytes),)+ ..Self::default() }
                }
            }
        )+
    };
}

structures! {
    FlowRecord {
        now, started, cookie, data_octets_out, data_octets_in, octets_retrans,
        sum_rtt_us, pacing_rate, delivery_rate, busy_us, receive_window_us, send_buffer_us, algorithm, local, remote, labels,
        slot, snd_cwnd, mss, ssthresh, srtt_us, rto_ms, segs_out, data_segs_out, segs_retrans, other_segs_retrans,
        timeout_segs_retrans, probe_segs_retrans, fast_segs_retrans, segs_in, data_segs_in, max_rtt_us, min_rtt_us, count_rtt, rtt_sample_us, max_rto_ms, min_rto_ms,
        dup_acks_in, sacks_in, sack_blks_in, ooo_in, locally_dropped, dsacks_in, reordering, ecn_marks, unacked, in_flight,
        not_sent, snd_wnd, local_port, remote_port, family, state, ca_state, limit, flags, reserved,
    }
}
