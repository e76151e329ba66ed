//! The counters that the kernel keeps for a connection: one row each, from which come the field's global and its reader, the
//! snapshot in a flow's state, the counter of a group, and the number in a flow's record.

/// Calls a macro, `[callback]`, with every counter and with what else it is given: `GLOBAL: type = "structure" . "member" as name_here =>
/// Counter::GroupsCounter, FlowRecord::number_in_a_record;`. A row's documentation is that of all these. The 64-bit ones come first.
#[macro_export]
macro_rules! kept_counters {
    ([$($callback:tt)+] $($more:tt)*) => {
        $($callback)+! {
            {
                /// payload sent, retransmissions included, in bytes
                TCP_SOCK_BYTES_SENT: u64 = "tcp_sock" . "bytes_sent" as bytes_sent =>
                    Counter::DataBytesTransmitted, FlowRecord::data_octets_out;
                /// payload received in order, in bytes; a FIN counts as one
                TCP_SOCK_BYTES_RECEIVED: u64 = "tcp_sock" . "bytes_received" as bytes_received =>
                    Counter::DataBytesReceived, FlowRecord::data_octets_in;
                /// retransmitted payload, in bytes
                TCP_SOCK_BYTES_RETRANS: u64 = "tcp_sock" . "bytes_retrans" as bytes_retrans =>
                    Counter::RetransmittedBytes, FlowRecord::octets_retrans;
                /// segments sent
                TCP_SOCK_SEGS_OUT: u32 = "tcp_sock" . "segs_out" as segs_out =>
                    Counter::SegmentsTransmitted, FlowRecord::segs_out;
                /// segments received
                TCP_SOCK_SEGS_IN: u32 = "tcp_sock" . "segs_in" as segs_in =>
                    Counter::SegmentsReceived, FlowRecord::segs_in;
                /// segments with payload sent
                TCP_SOCK_DATA_SEGS_OUT: u32 = "tcp_sock" . "data_segs_out" as data_segs_out =>
                    Counter::DataSegmentsTransmitted, FlowRecord::data_segs_out;
                /// segments with payload received
                TCP_SOCK_DATA_SEGS_IN: u32 = "tcp_sock" . "data_segs_in" as data_segs_in =>
                    Counter::DataSegmentsReceived, FlowRecord::data_segs_in;
                /// retransmitted segments, SYNs included; the group's counter is without those and those of a kind that has its own
                TCP_SOCK_TOTAL_RETRANS: u32 = "tcp_sock" . "total_retrans" as total_retrans =>
                    Counter::RetransmittedSegmentsOther, FlowRecord::segs_retrans;
                /// segments received out of order
                TCP_SOCK_RCV_OOOPACK: u32 = "tcp_sock" . "rcv_ooopack" as rcv_ooopack =>
                    Counter::OutOfOrderSegments, FlowRecord::ooo_in;
                /// segments that the peer received twice, by its duplicate SACKs
                TCP_SOCK_DSACK_DUPS: u32 = "tcp_sock" . "dsack_dups" as dsack_dups =>
                    Counter::Dsacks, FlowRecord::dsacks_in;
                /// reordering events
                TCP_SOCK_REORD_SEEN: u32 = "tcp_sock" . "reord_seen" as reord_seen =>
                    Counter::ReorderingEvents, FlowRecord::reordering;
                /// segments acknowledged with a congestion mark
                TCP_SOCK_DELIVERED_CE: u32 = "tcp_sock" . "delivered_ce" as delivered_ce =>
                    Counter::EcnMarkedSegments, FlowRecord::ecn_marks;
            }
            $($more)*
        }
    };
}
