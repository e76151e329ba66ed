//! The kernel fields that the programs read: the one table that both sides are made from, but for the counters of
//! [`kept_counters`](crate::kept_counters).
//!
//! The exporter finds each field in the running kernel's BTF and writes its offset into a read-only global of the object
//! before loading it; the verifier then knows the offset as a constant, and the branch of an absent field is removed.

/// Where a field lies, as the exporter writes it into the global of that field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldOffset {
    /// Offset in bytes.
    pub offset: u32,
    /// Lowest bit within the byte at `offset`, for a bit-field.
    pub shift: u8,
    /// Width in bits, for a bit-field; else 0.
    pub width: u8,
}

impl FieldOffset {
    /// The global's value for a field that the kernel does not have.
    pub const ABSENT: u64 = u64::MAX;

    /// The global's value for this offset.
    pub const fn encode(self) -> u64 {
        self.offset as u64 | (self.shift as u64) << 32 | (self.width as u64) << 40
    }

    /// The offset in the lower half of a global; `None` when the kernel does not have the field.
    #[inline(always)]
    pub const fn decode_offset(half: u32) -> Option<u32> {
        if half == u32::MAX { None } else { Some(half) }
    }

    /// The offset in a global; `None` when the kernel does not have the field.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "takes a word apart")]
    pub const fn decode(value: u64) -> Option<Self> {
        if value == Self::ABSENT {
            return None;
        }
        Some(Self {
            offset: value as u32,
            shift: (value >> 32) as u8,
            width: (value >> 40) as u8,
        })
    }
}

/// A field as the exporter looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the global in the object.
    pub global: &'static str,
    /// Structure in BTF.
    pub structure: &'static str,
    /// Path of the member, through named members by `.`.
    pub member: &'static str,
    /// Size in bytes that the programs read; the field must have it, unless it is a bit-field.
    pub size: u32,
}

/// Calls `$callback!` with the table: `GLOBAL: type = "structure" . "member";` for each field. Those of
/// [`kept_counters`](crate::kept_counters) come first.
#[macro_export]
macro_rules! kernel_fields {
    ($callback:ident) => {
        $crate::kept_counters! { [$crate::kernel_fields] $callback
            SOCK_COMMON_FAMILY: u16 = "sock_common" . "skc_family";
            SOCK_COMMON_STATE: u8 = "sock_common" . "skc_state";
            SOCK_COMMON_DADDR: u32 = "sock_common" . "skc_daddr";
            SOCK_COMMON_V6_DADDR: [u32; 4] = "sock_common" . "skc_v6_daddr";
            SOCK_COMMON_RCV_SADDR: u32 = "sock_common" . "skc_rcv_saddr";
            SOCK_COMMON_V6_RCV_SADDR: [u32; 4] = "sock_common" . "skc_v6_rcv_saddr";
            SOCK_COMMON_DPORT: u16 = "sock_common" . "skc_dport";
            SOCK_COMMON_NUM: u16 = "sock_common" . "skc_num";
            SOCK_COMMON_COOKIE: u64 = "sock_common" . "skc_cookie.counter";
            SOCK_COMMON_NET: u64 = "sock_common" . "skc_net.net";
            INET_SOCK_SPORT: u16 = "inet_sock" . "inet_sport";
            INET_SOCK_MC_INDEX: u32 = "inet_sock" . "mc_index";
            INET_SOCK_FLOW_DADDR: u32 = "inet_sock" . "cork.fl.u.ip4.daddr";
            INET_SOCK_FLOW_DPORT: u16 = "inet_sock" . "cork.fl.u.ip4.uli.ports.dport";
            INET_SOCK_PINET6: u64 = "inet_sock" . "pinet6";
            IPV6_PINFO_MCAST_OIF: u32 = "ipv6_pinfo" . "mcast_oif";
            SOCK_PROTOCOL: u16 = "sock" . "sk_protocol";
            SOCK_ERR: i32 = "sock" . "sk_err";
            SOCK_ERR_SOFT: i32 = "sock" . "sk_err_soft";
            SOCK_SHUTDOWN: u8 = "sock" . "sk_shutdown";
            SOCK_DROPS: u32 = "sock" . "sk_drops";
            SOCK_ACK_BACKLOG: u32 = "sock" . "sk_ack_backlog";
            SOCK_MAX_ACK_BACKLOG: u32 = "sock" . "sk_max_ack_backlog";
            SOCK_DST_CACHE: u64 = "sock" . "sk_dst_cache";
            SOCK_WRITE_QUEUE: u64 = "sock" . "sk_write_queue.next";
            SOCK_PACING_RATE: u64 = "sock" . "sk_pacing_rate";
            SOCK_CGROUP: u64 = "sock" . "sk_cgrp_data.cgroup";
            SOCKET_SK: u64 = "socket" . "sk";
            SOCK_COMMON_LISTENER: u64 = "sock_common" . "skc_listener";
            CGROUP_KN: u64 = "cgroup" . "kn";
            CGROUP_ROOT: u64 = "cgroup" . "root";
            CGROUP_ROOT_HIERARCHY_ID: u32 = "cgroup_root" . "hierarchy_id";
            CGROUP_SELF: u64 = "cgroup" . "self.cgroup";
            CGROUP_PARENT: u64 = "cgroup" . "self.parent";
            CGROUP_CHILDREN: u64 = "cgroup" . "self.children.next";
            CGROUP_SIBLING: u64 = "cgroup" . "self.sibling.next";
            CGROUP_FLAGS: u32 = "cgroup" . "self.flags";
            CGROUP_OF_SUBSYSTEM: u64 = "cgroup_subsys_state" . "cgroup";
            CGROUP_ROOT_NODE: u64 = "cgroup_root" . "cgrp.kn";
            CSS_SET_CGROUP: u64 = "css_set" . "dfl_cgrp";
            TASK_CSS_SET: u64 = "task_struct" . "cgroups";
            KERNFS_NODE_ID: u64 = "kernfs_node" . "id";
            KERNFS_NODE_NAME: u64 = "kernfs_node" . "name";
            KERNFS_NODE_PARENT: u64 = "kernfs_node" . "__parent";
            KERNFS_NODE_PARENT_BEFORE_6_15: u64 = "kernfs_node" . "parent";

            TCP_SOCK_CHRONO_BUSY: u32 = "tcp_sock" . "chrono_stat[0]";
            TCP_SOCK_CHRONO_RECEIVE_WINDOW: u32 = "tcp_sock" . "chrono_stat[1]";
            TCP_SOCK_CHRONO_SEND_BUFFER: u32 = "tcp_sock" . "chrono_stat[2]";
            TCP_SOCK_CHRONO_START: u32 = "tcp_sock" . "chrono_start";
            TCP_SOCK_CHRONO_TYPE: u8 = "tcp_sock" . "chrono_type";
            TCP_SOCK_SRTT_US: u32 = "tcp_sock" . "srtt_us";
            TCP_SOCK_RACK_RTT_US: u32 = "tcp_sock" . "rack.rtt_us";
            TCP_SOCK_RACK_MSTAMP: u64 = "tcp_sock" . "rack.mstamp";
            TCP_SOCK_SND_CWND: u32 = "tcp_sock" . "snd_cwnd";
            TCP_SOCK_SND_SSTHRESH: u32 = "tcp_sock" . "snd_ssthresh";
            TCP_SOCK_MSS_CACHE: u32 = "tcp_sock" . "mss_cache";
            TCP_SOCK_SND_UNA: u32 = "tcp_sock" . "snd_una";
            TCP_SOCK_SND_WND: u32 = "tcp_sock" . "snd_wnd";
            TCP_SOCK_PACKETS_OUT: u32 = "tcp_sock" . "packets_out";
            TCP_SOCK_SACKED_OUT: u32 = "tcp_sock" . "sacked_out";
            TCP_SOCK_LOST_OUT: u32 = "tcp_sock" . "lost_out";
            TCP_SOCK_RETRANS_OUT: u32 = "tcp_sock" . "retrans_out";
            TCP_SOCK_WRITE_SEQ: u32 = "tcp_sock" . "write_seq";
            TCP_SOCK_SND_NXT: u32 = "tcp_sock" . "snd_nxt";
            TCP_SOCK_RATE_DELIVERED: u32 = "tcp_sock" . "rate_delivered";
            TCP_SOCK_RATE_INTERVAL_US: u32 = "tcp_sock" . "rate_interval_us";
            TCP_SOCK_RATE_APP_LIMITED: u8 = "tcp_sock" . "rate_app_limited";
            TCP_SOCK_RCV_WND: u32 = "tcp_sock" . "rcv_wnd";
            TCP_SOCK_CLOCK: u64 = "tcp_sock" . "tcp_clock_cache";
            TCP_SOCK_FASTOPEN_CONNECT: u8 = "tcp_sock" . "fastopen_connect";
            TCP_SOCK_MSS_CLAMP: u16 = "tcp_sock" . "rx_opt.mss_clamp";
            TCP_SOCK_LSNDTIME: u32 = "tcp_sock" . "lsndtime";
            TCP_SOCK_SND_WSCALE: u8 = "tcp_sock" . "rx_opt.snd_wscale";
            ICSK_RTO: u32 = "inet_connection_sock" . "icsk_rto";
            ICSK_CA_STATE: u8 = "inet_connection_sock" . "icsk_ca_state";
            ICSK_PMTU_COOKIE: u32 = "inet_connection_sock" . "icsk_pmtu_cookie";
            ICSK_ACK_LRCVTIME: u32 = "inet_connection_sock" . "icsk_ack.lrcvtime";
            ICSK_PENDING: u8 = "inet_connection_sock" . "icsk_pending";
            TCP_SOCK_UNDO_MARKER: u32 = "tcp_sock" . "undo_marker";
            TCP_SOCK_HIGH_SEQ: u32 = "tcp_sock" . "high_seq";
            ICSK_SYN_QUEUE: u32 = "inet_connection_sock" . "icsk_accept_queue.qlen";
            ICSK_CA_OPS: u64 = "inet_connection_sock" . "icsk_ca_ops";
            TCP_CONGESTION_OPS_NAME: [u64; 2] = "tcp_congestion_ops" . "name";

            SK_BUFF_LEN: u32 = "sk_buff" . "len";
            SK_BUFF_SK: u64 = "sk_buff" . "sk";
            SK_BUFF_DEV: u64 = "sk_buff" . "dev";
            SK_BUFF_IIF: u32 = "sk_buff" . "skb_iif";
            SK_BUFF_PACKET_TYPE: u8 = "sk_buff" . "pkt_type";
            SK_BUFF_PROTOCOL: u16 = "sk_buff" . "protocol";
            SK_BUFF_HEAD: u64 = "sk_buff" . "head";
            SK_BUFF_DATA: u64 = "sk_buff" . "data";
            SK_BUFF_TAIL: u32 = "sk_buff" . "tail";
            SK_BUFF_END: u32 = "sk_buff" . "end";
            SK_BUFF_TSTAMP: u64 = "sk_buff" . "tstamp";
            SK_BUFF_MAC_HEADER: u16 = "sk_buff" . "mac_header";
            SK_BUFF_NETWORK_HEADER: u16 = "sk_buff" . "network_header";
            SK_BUFF_INNER_NETWORK_HEADER: u16 = "sk_buff" . "inner_network_header";
            SK_BUFF_TRANSPORT_HEADER: u16 = "sk_buff" . "transport_header";
            SK_BUFF_REFDST: u64 = "sk_buff" . "_skb_refdst";
            SK_BUFF_CB: [u8; 48] = "sk_buff" . "cb";
            SK_BUFF_CONNTRACK: u64 = "sk_buff" . "_nfct";
            TCP_SKB_CB_SEQ: u32 = "tcp_skb_cb" . "seq";
            TCP_SKB_CB_END_SEQ: u32 = "tcp_skb_cb" . "end_seq";
            TCP_SKB_CB_GSO_SIZE: u16 = "tcp_skb_cb" . "tcp_gso_size";
            NF_CONN_ORIGINAL: [u32; 10] = "nf_conn" . "tuplehash[0].tuple";
            NF_CONN_REPLY: [u32; 10] = "nf_conn" . "tuplehash[1].tuple";
            SKB_SHARED_INFO_GSO_SIZE: u16 = "skb_shared_info" . "gso_size";
            SKB_SHARED_INFO_GSO_SEGS: u16 = "skb_shared_info" . "gso_segs";

            DST_ENTRY_DEV: u64 = "dst_entry" . "dev";
            DST_ENTRY_ERROR: u16 = "dst_entry" . "error";
            NET_DEVICE_IFINDEX: u32 = "net_device" . "ifindex";
            NET_DEVICE_TYPE: u16 = "net_device" . "type";
            NET_DEVICE_FLAGS: u32 = "net_device" . "flags";
            NET_DEVICE_NAME: [u64; 2] = "net_device" . "name";
            NET_DEVICE_IEEE80211_PTR: u64 = "net_device" . "ieee80211_ptr";
            NET_DEVICE_RTNL_LINK_OPS: u64 = "net_device" . "rtnl_link_ops";
            NET_DEVICE_XDP_PROG: u64 = "net_device" . "xdp_prog";
            NET_DEVICE_NET: u64 = "net_device" . "nd_net.net";
            NET_DEVICE_STATE: u64 = "net_device" . "state";
            NET_DEVICE_TX: u64 = "net_device" . "_tx";
            NETDEV_QUEUE_QDISC: u64 = "netdev_queue" . "qdisc";
            QDISC_OPS: u64 = "Qdisc" . "ops";
            QDISC_OPS_ID: [u64; 2] = "Qdisc_ops" . "id";
            NET_DEVICE_PORTS: [u64; 2] = "net_device" . "adj_list.lower";
            NETDEV_ADJACENT_DEV: u64 = "netdev_adjacent" . "dev";
            NETDEV_ADJACENT_NEXT: u64 = "netdev_adjacent" . "list.next";
            NET_INUM: u32 = "net" . "ns.inum";
            NET_COOKIE: u64 = "net" . "net_cookie";
            NET_SYN_COOKIES: u8 = "net" . "ipv4.sysctl_tcp_syncookies";
            NET_SYN_BACKLOG: u32 = "net" . "ipv4.sysctl_max_syn_backlog";
            RTNL_LINK_OPS_KIND: u64 = "rtnl_link_ops" . "kind";

            DEVLINK_TRAP_NAME: u64 = "devlink_trap_metadata" . "trap_name";
            DEVLINK_TRAP_GROUP_NAME: u64 = "devlink_trap_metadata" . "trap_group_name";
            DEVLINK_TRAP_TYPE: u32 = "devlink_trap_metadata" . "trap_type";
            STORAGE_ELEMENT_NEXT: u64 = "bpf_local_storage_elem" . "map_node.next";
            STORAGE_ELEMENT_STORAGE: u64 = "bpf_local_storage_elem" . "local_storage";
            STORAGE_ELEMENT_MAP: u64 = "bpf_local_storage_elem" . "sdata.smap";
            STORAGE_OWNER: u64 = "bpf_local_storage" . "owner";
            BPF_PROG_AUX: u64 = "bpf_prog" . "aux";
            BPF_PROG_ACTIVE: u64 = "bpf_prog" . "active";
            BPF_PROG_AUX_ID: u32 = "bpf_prog_aux" . "id";
            BPF_ARRAY_PPTRS: [u64; 0] = "bpf_array" . "pptrs";
            TASK_PREEMPT_COUNT: u32 = "task_struct" . "thread_info.preempt.count";
            TASK_PID: u32 = "task_struct" . "pid";
            TASK_PARENT: u64 = "task_struct" . "real_parent";
            TASK_NAMESPACES: u64 = "task_struct" . "nsproxy";
            NSPROXY_NETWORK: u64 = "nsproxy" . "net_ns";
            BPF_PROG_AUX_NAME: [u64; 2] = "bpf_prog_aux" . "name";
        }
    };
    ({ $($(#[$doc:meta])* $kept:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
        Counter::$counter:ident, FlowRecord::$number:ident;)+ }
     $callback:ident $($rows:tt)+) => {
        $callback! {
            $($kept: $type = $structure . $member;)+
            $($rows)+
        }
    };
}

/// Structures that addresses are given as types: the fact that has the number, and the name in BTF.
pub const CAST_TYPES: [(&str, &str); 4] = [
    (fact::TYPE_IN6_ADDR, "in6_addr"),
    (fact::TYPE_TCP_SOCK, "tcp_sock"),
    (fact::TYPE_DST_ENTRY, "dst_entry"),
    (fact::TYPE_STORAGE_ELEMENT, "bpf_local_storage_elem"),
];

/// Calls `$callback!` with the facts that are no field: `/// what it says` `GLOBAL;` for each. All are 0 unless the
/// exporter sets them.
#[macro_export]
macro_rules! kernel_facts {
    ($callback:ident) => {
        $callback! {
            // What the kernel has, and what runs: 0 or 1.
            /// The tracepoint `kfree_skb` has the argument `reason`.
            HAS_DROP_REASON;
            /// `qdisc_drop` runs, which knows a better reason.
            HAS_QDISC_REASONS;
            /// The tracepoint `tcp_retransmit_skb` has the argument `err`.
            HAS_RETRANSMIT_ERROR;
            /// The kernel does not let storage be walked: what is known of sockets is kept in tables.
            KEEPS_TABLES;
            /// `fold_listeners` runs: what is freed for a listener, by the argument `rx_sk` of the tracepoint `kfree_skb`, is noted for it.
            HAS_RECEIVING_SOCKET;
            /// Listeners are looked at.
            HAS_LISTENERS;
            /// `xdp_redirect_err` runs.
            HAS_REDIRECT_ERRORS;
            /// The tracepoint `kfree_skb` has the argument `rx_sk`.
            NAMES_RECEIVING_SOCKET;
            /// Workloads are told apart: the programs ask for the cgroup of a socket.
            HAS_WORKLOADS;
            /// Dropped TCP data is remembered until it is retransmitted.
            HAS_LOSSES;
            /// `tcp_probe` runs: round-trip times are taken per acknowledgment, not from `srtt_us`.
            HAS_SEGMENT_PATH;
            /// A task can lose its CPU within a tracepoint.
            HAS_PREEMPTIBLE_TRACEPOINTS;
            /// The kernel has the per-CPU variable `__preempt_count`.
            HAS_PREEMPT_COUNT;
            /// The kernel skips a run of a program that begins on a CPU where a run of the same program is under way: what one
            /// program alone writes, per CPU, needs no atomics.
            HAS_ONE_RUN_PER_CPU;
            /// Somebody reads events of flows (`trace`): the hooks write them.
            HAS_EVENTS;
            /// Somebody reads dropped packets (`capture`): the hooks copy them.
            HAS_PACKETS;
            /// `capture` wants packets of the addresses in `SUBNETS_V4` and `SUBNETS_V6` only.
            CAPTURE_HAS_ADDRESSES;

            // Numbers of drop reasons, by the names of these without `SKB_DROP_`; 0 for one that the kernel does not have.
            /// Number of the drop reason `NOT_SPECIFIED`.
            REASON_NOT_SPECIFIED;
            /// Number of the drop reason `CPU_BACKLOG`.
            REASON_CPU_BACKLOG;
            /// Number of the drop reason `XDP`, when an XDP hook runs.
            REASON_XDP;
            /// Number of the drop reason `QDISC_DROP`.
            REASON_QDISC_DROP;
            /// Number of the drop reason `DEV_READY`.
            REASON_DEV_READY;
            /// Number of the drop reason `NO_TX_TARGET`.
            REASON_NO_TX_TARGET;
            /// Number of the drop reason `TUNNEL_TXINFO`.
            REASON_TUNNEL_TXINFO;
            /// Number of the drop reason `NO_SOCKET`.
            REASON_NO_SOCKET;
            /// Number of the drop reason `TCP_FLAGS`.
            REASON_TCP_FLAGS;
            /// Number of the drop reason `TCP_INVALID_SYN`.
            REASON_TCP_INVALID_SYN;
            /// Number of the drop reason `IP_INNOROUTES`.
            REASON_IP_INNOROUTES;
            /// Number of the drop reason `IP_OUTNOROUTES`.
            REASON_IP_OUTNOROUTES;
            /// Number of the drop reason `PKT_TOO_BIG`.
            REASON_PKT_TOO_BIG;
            /// Number of the drop reason `TCP_OLD_DATA`.
            REASON_TCP_OLD_DATA;
            /// Number of the drop reason `TCP_OLD_SEQUENCE`.
            REASON_TCP_OLD_SEQUENCE;
            /// Number of the drop reason `TCP_OFOMERGE`.
            REASON_TCP_OFOMERGE;
            /// Number of the drop reason `TCP_CSUM`.
            REASON_TCP_CSUM;

            // Numbers of structures in the kernel's BTF, where addresses can be given types.
            /// Number of `struct in6_addr`, which stands for 16 bytes of anything, where addresses can be given types.
            TYPE_IN6_ADDR;
            /// Number of `struct tcp_sock`, likewise.
            TYPE_TCP_SOCK;
            /// Number of `struct dst_entry`, likewise.
            TYPE_DST_ENTRY;
            /// Number of `struct bpf_local_storage_elem`, likewise.
            TYPE_STORAGE_ELEMENT;

            // Sizes and limits.
            /// Most packets that may wait for `capture`.
            CAPTURE_QUEUE_LIMIT;
            /// Most bytes of a packet that `capture` wants.
            CAPTURE_LENGTH_LIMIT;
            /// Number of slots of `GROUPS`.
            GROUP_CAPACITY;
            /// Number of slots of `DROPS`.
            DROP_CAPACITY;
            /// Entries of `GROUPS` from a shard to the next.
            GROUP_STRIDE;
            /// Entries of `DROPS` from a shard to the next.
            DROP_STRIDE;
            /// `Shards::own`
            SHARDS_OWN;
            /// `Shards::shared`
            SHARDS_SHARED;
            /// `Shards::spread`
            SHARDS_SPREAD;
            /// Entries of `RECENT_GROUPS` and of `RECENT_DROPS` on a CPU, less one.
            RECENT_MASK;
            /// Nanoseconds in a jiffy.
            JIFFY_NANOSECONDS;
        }
    };
}

macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident;)+) => {
        /// The names of the facts' globals.
        pub mod fact {
            $(
                $(#[$doc])*
                pub const $fact: &str = stringify!($fact);
            )+
        }
    };
}

kernel_facts!(facts);

macro_rules! table {
    ($($global:ident: $type:ty = $structure:literal . $member:literal;)+) => {
        /// The names of the fields' globals.
        pub mod global {
            $(
                #[doc = concat!("`", $structure, ".", $member, "`")]
                pub const $global: &str = stringify!($global);
            )+
        }

        /// Every field, for the exporter.
        #[expect(clippy::cast_possible_truncation, reason = "sizes of small types")]
        pub const FIELDS: &[Field] = &[$(Field {
            global: global::$global,
            structure: $structure,
            member: $member,
            size: size_of::<$type>() as u32,
        },)+];
    };
}

kernel_fields!(table);

#[cfg(test)]
mod tests {
    use super::*;

    fn lower_half(global: u64) -> u32 {
        u32::try_from(global & u64::from(u32::MAX)).unwrap()
    }

    #[test]
    fn an_offset_survives_its_global() {
        for offset in [
            FieldOffset {
                offset: 1248,
                shift: 0,
                width: 5,
            },
            FieldOffset {
                offset: 2304,
                shift: 0,
                width: 0,
            },
            FieldOffset {
                offset: 0,
                shift: 7,
                width: 1,
            },
        ] {
            let global = offset.encode();
            assert_eq!(FieldOffset::decode(global), Some(offset));
            assert_eq!(FieldOffset::decode_offset(lower_half(global)), Some(offset.offset));
        }
        assert_eq!(FieldOffset::decode(FieldOffset::ABSENT), None);
        assert_eq!(FieldOffset::decode_offset(lower_half(FieldOffset::ABSENT)), None);
    }

    #[test]
    fn no_field_is_named_twice() {
        for (i, a) in FIELDS.iter().enumerate() {
            for b in &FIELDS[i + 1..] {
                assert_ne!(a.global, b.global);
                assert_ne!((a.structure, a.member), (b.structure, b.member));
            }
        }
    }
}
