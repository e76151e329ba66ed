//! The types of the running kernel, as the product reads them from BTF. An offset that kernels may change is stated nowhere.

use std::fs::read;
use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tcpvitals_kernel::probe::btf::{Btf, Member};

const BTF: &str = "/sys/kernel/btf/vmlinux";

static KERNEL: LazyLock<Btf> = LazyLock::new(|| Btf::parse(bytes()).expect("types that can be read"));

fn bytes() -> Vec<u8> {
    read(BTF).expect("this kernel has BTF")
}

/// Offset and width of a member in bits, or why there is none.
fn place(structure: &str, path: &str) -> String {
    match KERNEL.member(structure, path) {
        Ok(Member {
            bit_offset,
            bit_size,
            bit_field,
        }) => format!("{bit_offset}:{bit_size}{}", if bit_field { " bits" } else { "" }),
        Err(absent) => absent.to_string(),
    }
}

fn check_members(structure: &str, cases: &str) {
    for case in cases.lines() {
        let (path, expected) = case.trim().split_once(" = ").expect("a path and its place");
        assert_eq!(place(structure, path), expected, "{structure}.{path}");
    }
}

#[test]
fn members_are_where_every_kernel_has_them() {
    // The same from 5.10 to 7.2.
    check_members(
        "sock_common",
        "skc_daddr = 0:32
         skc_rcv_saddr = 32:32
         skc_hash = 64:32
         skc_dport = 96:16
         skc_num = 112:16
         skc_family = 128:16
         skc_state = 144:8
         skc_ipv6only = 157:1 bits
         skc_bound_dev_if = 160:32
         skc_v6_daddr = 448:128
         skc_v6_daddr.in6_u.u6_addr32[3] = 544:32
         skc_cookie.counter = 704:64",
    );
    check_members(
        "tcp_sock",
        "inet_conn.icsk_inet.sk.__sk_common.skc_dport = 96:16
         no_such_member = struct tcp_sock has no member no_such_member
         chrono_stat[3] = struct tcp_sock has no member chrono_stat[3]: index 3 in an array of 3",
    );
    check_members(
        "sk_buff",
        "dev = 128:64
         sk = 192:64
         cb = 320:384
         len = 896:32
         pkt_type = 1024:3 bits
         ip_summed = 1029:2 bits
         dev.ifindex = struct sk_buff has no member dev.ifindex: ifindex is not in a structure or array",
    );
    check_members(
        "dst_entry",
        "dev = 0:64
         flags = 448:16",
    );
    check_members("request_sock", "num_timeout = 1177:7 bits");
    check_members("skb_shared_info", "gso_segs = 48:16");
    check_members("minmax_sample", "v = 32:32");
    check_members("possible_net_t", "net = 0:64");
    check_members("no_such_struct", "x = no struct no_such_struct");
}

#[test]
fn members_have_the_widths_that_we_read() {
    let check = |structure: &str, expected: &str, paths: &str| {
        for path in paths.split_whitespace() {
            let found = place(structure, path);
            let (_offset, width) = found.split_once(':').unwrap();
            assert_eq!(width, expected, "{structure}.{path}");
        }
    };
    let tcp_sock = "segs_in segs_out data_segs_in data_segs_out total_retrans dsack_dups reord_seen rcv_ooopack
        snd_cwnd snd_ssthresh mss_cache srtt_us rack.rtt_us rtt_min.s[0].v delivered snd_wnd chrono_start chrono_stat[0]";
    check("tcp_sock", "32", tcp_sock);
    check(
        "tcp_sock",
        "64",
        "bytes_received bytes_sent bytes_acked bytes_retrans tcp_mstamp",
    );
    check("tcp_sock", "96", "chrono_stat");
    check("inet_connection_sock", "5 bits", "icsk_ca_state");
    check("inet_connection_sock", "8", "icsk_retransmits icsk_backoff");
    check("inet_connection_sock", "32", "icsk_rto");
    check("inet_connection_sock", "64", "icsk_ca_ops");
    check("sock", "1088", "__sk_common");
    check("sock", "16", "sk_protocol");
    check("sock", "32", "sk_err sk_wmem_queued sk_sndbuf");
    check("sock", "64", "sk_dst_cache");
    check("sk_buff", "16", "protocol network_header transport_header");
    check("sk_buff", "32", "skb_iif data_len");
    check("net_device", "16", "type");
    check("net_device", "32", "ifindex flags");
    check("net_device", "64", "rtnl_link_ops");
    check("net_device", "128", "name");
    check("rtnl_link_ops", "64", "kind");
}

#[test]
fn a_path_is_the_sum_of_its_parts() {
    let offset = |structure: &str, path: &str| KERNEL.member(structure, path).unwrap().bit_offset;
    let check = |structure: &str, outer: &str, inner_structure: &str, inner: &str| {
        let parts = offset(structure, outer) + offset(inner_structure, inner);
        assert_eq!(
            offset(structure, &format!("{outer}.{inner}")),
            parts,
            "{structure}.{outer}.{inner}"
        );
    };
    check("tcp_sock", "rack", "tcp_rack", "rtt_us");
    check("tcp_sock", "inet_conn", "inet_connection_sock", "icsk_ca_state");
    check("tcp_sock", "inet_conn.icsk_inet.sk", "sock", "sk_err");
    check("tcp_sock", "rtt_min.s[2]", "minmax_sample", "v");
    check("sock", "__sk_common", "sock_common", "skc_v6_rcv_saddr");
    check("net_device", "nd_net", "possible_net_t", "net");
    assert_eq!(
        offset("tcp_sock", "chrono_stat[2]"),
        offset("tcp_sock", "chrono_stat") + 64
    );
}

#[test]
fn enumerators_hooks_and_functions_have_their_names() {
    let value = |of: &str, name: &str| {
        let all = KERNEL.enumerators(of).unwrap();
        all.into_iter().find(|(other, _)| other == name).unwrap().1
    };
    assert_eq!(value("tcp_ca_state", "TCP_CA_Open"), 0);
    assert_eq!(value("tcp_ca_state", "TCP_CA_Loss"), 4);
    assert_eq!(value("skb_drop_reason", "SKB_NOT_DROPPED_YET"), 0);
    assert_eq!(value("skb_drop_reason", "SKB_DROP_REASON_SOCKET_FILTER"), 5);
    assert!(value("skb_drop_reason", "SKB_DROP_REASON_NETFILTER_DROP") > 5);
    // Its sign is the compiler's choice; its 32 bits are not.
    assert_eq!(
        value("skb_drop_reason", "SKB_DROP_REASON_SUBSYS_MASK") & 0xffff_ffff,
        0xffff_0000
    );

    let check = |name: &str, expected: &[&str]| assert_eq!(KERNEL.tracepoint(name).unwrap(), expected, "{name}");
    check(
        "inet_sock_set_state",
        &["const struct sock *", "const int", "const int"],
    );
    check("tcp_receive_reset", &["struct sock *"]);
    check(
        "tcp_retransmit_synack",
        &["const struct sock *", "const struct request_sock *"],
    );
    let kfree_skb = KERNEL.tracepoint("kfree_skb").unwrap();
    assert_eq!(kfree_skb[..3], ["struct sk_buff *", "void *", "enum skb_drop_reason"]);
    assert_eq!(
        KERNEL.tracepoint("tcp_retransmit_skb").unwrap()[..2],
        ["const struct sock *", "const struct sk_buff *"]
    );
    assert_eq!(KERNEL.tracepoint("no_such_tracepoint"), None);

    assert!(KERNEL.function("bpf_iter_bpf_sk_storage_map"));
    assert!(!KERNEL.function("bpf_iter_no_such_target"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes are overwritten, and the end is cut off; what is left is also a module of itself.
    #[test]
    fn damaged_types_are_an_error_or_an_answer(overwritten in vec((any::<Index>(), any::<u8>()), 0..8), end: Option<Index>) {
        let mut bytes = bytes();
        for (at, byte) in overwritten {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(btf) = Btf::parse(bytes.clone()).map(Arc::new) {
            ask(&btf);
            if let Ok(module) = Btf::parse_split(bytes, &btf) {
                ask(&module);
            }
        }
    }
}

/// Asks for members of every kind, and for what else has a name.
fn ask(btf: &Btf) {
    for name in [
        "tcp_sock",
        "sk_buff",
        "skb_drop_reason",
        "inet_sock_set_state",
        "no_such_name",
    ] {
        for path in [
            "inet_conn.icsk_inet.sk.__sk_common.skc_dport",
            "rack.rtt_us",
            "rtt_min.s[2].v",
            "chrono_stat[3]",
            "pkt_type",
            "cb",
            "dev.ifindex",
            "no_such_member",
        ] {
            let _answer = btf.member(name, path);
        }
        let _answer = (btf.tracepoint(name), btf.enumerators(name), btf.function(name));
    }
}
