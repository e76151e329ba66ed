//! BTF built by hand for every rule of the format, this machine's own BTF for the truth, damaged BTF for safety.
//! Never states an offset that a kernel may change: whoever builds this has another one.
//! The only file read is `/sys/kernel/btf/vmlinux`.

mod build;

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::probe::btf::tests::build::{Build, HEADER, zoo};

#[test]
fn members_are_found_wherever_c_finds_them() {
    let btf = Btf::parse(zoo()).unwrap();
    let check = |cases| check_members(&btf, "outer", cases);
    // Plain, nested, through typedef, const, volatile, restrict and a type tag.
    check(
        "number = 0:32
         inner = 32:64
         inner.first = 32:32
         inner.second = 64:32
         alias.second = 128:32
         pointer = 160:64",
    );
    // A struct in a union in the structure, none of which has a name.
    check(
        "left = 224:32
         deep = 256:32
         deeper[1] = 304:16",
    );
    // Whole, element, member of an element, two dimensions, and the array of no length.
    check(
        "list = 320:192
         list[2] = 448:64
         list[2].second = 480:32
         matrix[1] = 560:48
         matrix[1][2] = 592:16
         empty = 608:0",
    );
}

#[test]
fn bit_fields_have_their_width_in_the_member_or_in_the_type() {
    let btf = Btf::parse(zoo()).unwrap();
    check_members(
        &btf,
        "flags",
        "low = 0:3 bits
         high = 3:13 bits
         plain = 32:32
         hidden = 69:2 bits
         nested = 96:64
         nested.second = 128:32
         wider_than_its_type = struct flags has no member wider_than_its_type: its type is malformed",
    );
    // A type of 5 bits, 2 bits into its own word, as pahole wrote before 2019.
    check_members(&btf, "old_flags", "five = 10:5 bits");
}

#[test]
fn what_is_missing_says_why() {
    let btf = Btf::parse(zoo()).unwrap();
    check_members(&btf, "nothing", "number = no struct nothing");
    check_members(&btf, "elsewhere", "number = no struct elsewhere");
    check_members(&btf, "u32", "number = no struct u32");
    assert_eq!(place(&btf, "", "number"), "no struct ");
    check_members(
        &btf,
        "outer",
        "total = struct outer has no member total
         inner.total = struct outer has no member inner.total
         inner. = struct outer has no member inner.
         .inner = struct outer has no member .inner
         list[ = struct outer has no member list[
         list[x] = struct outer has no member list[x]
         list[0]first = struct outer has no member list[0]first
         list[4294967296] = struct outer has no member list[4294967296]
         list[3] = struct outer has no member list[3]: index 3 in an array of 3
         empty[0] = struct outer has no member empty[0]: index 0 in an array of 0
         number[0] = struct outer has no member number[0]: number[0] is not in a structure or array
         list.first = struct outer has no member list.first: first is not in a structure or array
         pointer.first = struct outer has no member pointer.first: first is not in a structure or array
         number.first = struct outer has no member number.first: first is not in a structure or array",
    );
    assert_eq!(place(&btf, "outer", ""), "struct outer has no member ");
}

#[test]
fn of_namesakes_the_first_that_has_the_member_answers() {
    let btf = Btf::parse(zoo()).unwrap();
    check_members(
        &btf,
        "twin",
        "common = 0:32
         only_in_the_second = 32:32
         in_neither = struct twin has no member in_neither",
    );
    // A typedef will do, and a union.
    check_members(&btf, "inner_t", "second = 32:32");
    check_members(&btf, "either", "b = 0:16");
}

#[test]
fn enumerators_keep_their_sign_and_width() {
    let btf = Btf::parse(zoo()).unwrap();
    let check = |name: &str, expected: &str| {
        let found = btf.enumerators(name).unwrap();
        let text = found.iter().map(|(name, value)| format!("{name} {value}"));
        assert_eq!(text.collect::<Vec<_>>().join(", "), expected);
    };
    check("unsigned_enum", "ZERO 0, MASK 4294901760");
    check("signed_enum", "MINUS -65536, PLUS 1");
    check("unsigned_enum64", "LARGE 4294967298, WRAPPED -1");
    check("signed_enum64", "SMALL -2");
    assert_eq!(btf.enumerators("forward_enum"), None);
    assert_eq!(btf.enumerators("outer"), None);
    assert_eq!(btf.enumerators(""), None);
}

#[test]
fn tracepoints_are_c_text_without_the_context() {
    let btf = Btf::parse(zoo()).unwrap();
    let expected = [
        "const struct inner *",
        "enum unsigned_enum",
        "const int",
        "u32",
        "void *",
        "const volatile struct inner *const *restrict",
        "struct elsewhere *",
        "union either",
        "(anonymous) *",
    ];
    assert_eq!(btf.tracepoint("wide").unwrap(), expected);
    assert_eq!(btf.tracepoint("narrow").unwrap(), Vec::<String>::new());
    assert_eq!(btf.tracepoint("not_a_function"), None);
    assert_eq!(btf.tracepoint("missing"), None);
}

#[test]
fn functions_are_not_confused_with_types() {
    let btf = Btf::parse(zoo()).unwrap();
    assert!(btf.function("bpf_iter_tcp"));
    assert!(!btf.function("outer"));
    assert!(!btf.function("missing"));
}

#[test]
fn variables_are_found_by_name_and_not_confused_with_types() {
    let btf = Btf::parse(zoo()).unwrap();
    assert_eq!(btf.variable_number("variable"), Some(5));
    assert_eq!(btf.variable_number("outer"), None);
    assert_eq!(btf.variable_number("missing"), None);
}

#[test]
fn split_btf_continues_its_base() {
    let mut kernel = Build::default();
    let number = kernel.int("u32", 4);
    let pair = kernel.add("pair", STRUCT, false, 8, &[("a", &[number, 0]), ("b", &[number, 32])]);
    let mut module = kernel.split();
    module.add(
        "module",
        STRUCT,
        false,
        12,
        &[("pair", &[pair, 0]), ("number", &[number, 64])],
    );
    module.add("pair", STRUCT, false, 4, &[("c", &[number, 0])]);

    let kernel = Arc::new(Btf::parse(kernel.bytes()).unwrap());
    let module = Btf::parse_split(module.bytes(), &kernel).unwrap();
    assert_eq!(place(&module, "module", "pair.b"), "32:32");
    assert_eq!(place(&module, "module", "number"), "64:32");
    assert_eq!(place(&module, "pair", "c"), "0:32", "its own namesake");
    assert_eq!(place(&module, "pair", "b"), "32:32", "that of the base");
    assert_eq!(place(&kernel, "module", "number"), "no struct module");
}

#[test]
fn bytes_that_are_no_btf_are_refused() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = zoo();
        change(&mut bytes);
        assert_eq!(Btf::parse(bytes).unwrap_err().to_string(), expected);
    };
    let first_type = HEADER;
    check(&|bytes| bytes.clear(), "truncated at byte 0");
    check(&|bytes| bytes.truncate(2), "truncated at byte 2");
    check(&|bytes| bytes.truncate(20), "truncated at byte 20");
    check(&|bytes| bytes.truncate(100), "truncated at byte 100");
    check(
        &|bytes| bytes[..4].copy_from_slice(b"\x7fELF"),
        "starts with 0x457f instead of the BTF magic 0xeb9f",
    );
    check(&|bytes| bytes.swap(0, 1), "big-endian BTF is not supported");
    check(&|bytes| bytes[2] = 2, "version 2 of BTF is not supported");
    check(&|bytes| bytes[4] = 23, "header length 23 is too short");
    check(
        &|bytes| bytes[12..16].copy_from_slice(&30_u32.to_le_bytes()),
        "truncated at byte 54",
    );
    check(
        &|bytes| bytes[8..12].fill(0xff),
        &format!("truncated at byte {}", zoo().len()),
    );
    check(&|bytes| bytes[first_type + 7] = 20, "type 1 has unknown kind 20");
    check(&|bytes| bytes[first_type + 7] = 0, "type 1 has unknown kind 0");
    check(
        &|bytes| bytes[20..24].fill(0),
        "type 5 has no valid name at string offset 21",
    );
}

#[test]
fn a_longer_header_and_a_gap_before_the_strings_are_skipped() {
    let mut bytes = zoo();
    bytes.splice(HEADER..HEADER, [0xee; 8]);
    bytes[4] += 8;
    let strings_start = HEADER + 8 + u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    bytes.splice(strings_start..strings_start, [0xee; 4]);
    bytes[16] += 4;
    assert_eq!(place(&Btf::parse(bytes).unwrap(), "outer", "list[2].second"), "480:32");
}

#[test]
fn circles_and_overflows_end() {
    let mut build = Build::default();
    let number = build.int("u32", 4);
    let next = build.next_id;
    build.add("circle", TYPEDEF, false, next + 1, &[]);
    build.add("circle_back", TYPEDEF, false, next, &[]);
    let own_array = build.next_id;
    build.array(own_array, 1);
    let own_pointer = build.next_id;
    build.add("", PTR, false, own_pointer, &[]);
    let vast = build.array(number, u32::MAX);
    let own_member = build.next_id;
    build.add(
        "self",
        STRUCT,
        false,
        4,
        &[("", &[own_member, 32]), ("", &[own_member, 64])],
    );
    let mut nested = build.add("", UNION, false, 4, &[("bottom", &[number, 0])]);
    for _ in 0..64 {
        nested = build.add("", UNION, false, 4, &[("", &[nested, 0]), ("", &[nested, 0])]);
    }
    let damaged = [
        ("circle", [next, 0]),
        ("own_array", [own_array, 0]),
        ("vast", [vast, 0]),
        ("far", [number, u32::MAX]),
        ("unknown", [1 << 30, 0]),
        ("void", [0, 0]),
        ("", [nested, 0]),
    ];
    let rows = damaged.each_ref().map(|(name, words)| (*name, words.as_slice()));
    let structure = build.add("damaged", STRUCT, false, 4, &rows);
    build.add("around", STRUCT, false, 4, &[("damaged", &[structure, 64])]);
    let prototype = build.add("", FUNC_PROTO, false, 0, &[("", &[0]), ("", &[own_pointer])]);
    let pointer = build.add("", PTR, false, prototype, &[]);
    build.add("btf_trace_endless", TYPEDEF, false, pointer, &[]);
    let btf = Btf::parse(build.bytes()).unwrap();

    check_members(
        &btf,
        "damaged",
        "circle = struct damaged has no member circle: its type is malformed
         own_array = struct damaged has no member own_array: its type is malformed
         own_array[0][0] = struct damaged has no member own_array[0][0]: its type is malformed
         vast = struct damaged has no member vast: its type is malformed
         vast[4294967294] = struct damaged has no member vast[4294967294]: its type is malformed
         unknown = struct damaged has no member unknown: its type is malformed
         void = struct damaged has no member void: its type is malformed
         top = struct damaged has no member top
         bottom = 0:32",
    );
    let too_far = "damaged.far = struct around has no member damaged.far";
    check_members(&btf, "around", too_far);
    check_members(&btf, "circle", "any = no struct circle");
    check_members(&btf, "self", "any = struct self has no member any");
    assert_eq!(btf.tracepoint("endless"), None);
}

#[test]
#[cfg_attr(miri, ignore = "reads /sys")]
fn this_kernel_agrees_with_every_kernel_in_the_reference() {
    let check = |structure, cases| check_members(&KERNEL, structure, cases);
    // Only what is the same from 5.10 to 7.2.
    check(
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
    check(
        "tcp_sock",
        "inet_conn.icsk_inet.sk.__sk_common.skc_dport = 96:16
         no_such_member = struct tcp_sock has no member no_such_member
         chrono_stat[3] = struct tcp_sock has no member chrono_stat[3]: index 3 in an array of 3",
    );
    check(
        "sk_buff",
        "dev = 128:64
         sk = 192:64
         cb = 320:384
         len = 896:32
         pkt_type = 1024:3 bits
         ip_summed = 1029:2 bits
         dev.ifindex = struct sk_buff has no member dev.ifindex: ifindex is not in a structure or array",
    );
    check(
        "dst_entry",
        "dev = 0:64
         flags = 448:16",
    );
    check("request_sock", "num_timeout = 1177:7 bits");
    check("skb_shared_info", "gso_segs = 48:16");
    check("minmax_sample", "v = 32:32");
    check("possible_net_t", "net = 0:64");
    check("no_such_struct", "x = no struct no_such_struct");
}

#[test]
#[cfg_attr(miri, ignore = "reads /sys")]
fn members_of_this_kernel_have_the_widths_that_we_read() {
    let check = |structure: &str, expected: &str, paths: &str| {
        for path in paths.split_whitespace() {
            let found = place(&KERNEL, structure, path);
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
#[cfg_attr(miri, ignore = "reads /sys")]
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
#[cfg_attr(miri, ignore = "reads /sys")]
fn this_kernel_names_its_enumerators_hooks_and_functions() {
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_an_error_or_an_answer(damage in damage()) {
        ask(&inflict(zoo(), damage));
    }

    /// Well-formed lengths and small numbers, so that types refer to each other in every way.
    #[test]
    fn nonsense_is_an_error_or_an_answer(types in vec((1..20_u32, any::<bool>(), 0..4_u32, vec(0..40_u32, 14)), 0..40)) {
        let mut build = Build::default();
        // At the string offsets 1, 3 and 5, which the numbers hit.
        for name in ["a", "b", "c"] {
            build.text(name);
        }
        for (kind, flag, vlen, numbers) in types {
            build.nonsense(kind, flag, vlen, &numbers);
        }
        ask(&build.bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "reads /sys")]
    fn damage_to_this_kernels_btf_too(damage in damage()) {
        ask(&inflict(kernel(), damage));
    }
}

/// Bytes to overwrite, and where to cut.
type Damage = (Vec<(Index, u8)>, Option<Index>);

fn damage() -> impl Strategy<Value = Damage> {
    (vec((any::<Index>(), any::<u8>()), 0..8), any::<Option<Index>>())
}

fn inflict(mut bytes: Vec<u8>, (overwritten, end): Damage) -> Vec<u8> {
    for (at, byte) in overwritten {
        *at.get_mut(&mut bytes) = byte;
    }
    if let Some(end) = end {
        bytes.truncate(end.index(bytes.len()));
    }
    bytes
}

static KERNEL: LazyLock<Btf> = LazyLock::new(|| Btf::parse(kernel()).unwrap());

fn kernel() -> Vec<u8> {
    std::fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has BTF")
}

fn check_members(btf: &Btf, structure: &str, cases: &str) {
    for case in cases.lines() {
        let (path, expected) = case.trim().split_once(" = ").unwrap();
        assert_eq!(place(btf, structure, path), expected, "{structure}.{path}");
    }
}

fn place(btf: &Btf, structure: &str, path: &str) -> String {
    match btf.member(structure, path) {
        Ok(Member {
            bit_offset,
            bit_size,
            bit_field: false,
        }) => format!("{bit_offset}:{bit_size}"),
        Ok(Member {
            bit_offset,
            bit_size,
            bit_field: true,
        }) => format!("{bit_offset}:{bit_size} bits"),
        Err(absent) => absent.to_string(),
    }
}

/// Asks everything of what may be damaged, also as a module of itself.
fn ask(bytes: &[u8]) {
    if let Ok(btf) = Btf::parse(bytes.to_vec()).map(Arc::new) {
        ask_all(&btf);
        if let Ok(module) = Btf::parse_split(bytes.to_vec(), &btf) {
            ask_all(&module);
        }
    }
}

fn ask_all(btf: &Btf) {
    for name in NAMES {
        for path in PATHS {
            let _answer = btf.member(name, path);
        }
        let _answer = (btf.tracepoint(name), btf.enumerators(name), btf.function(name));
    }
}

const NAMES: [&str; 12] = [
    "outer",
    "flags",
    "old_flags",
    "twin",
    "either",
    "inner_t",
    "wide",
    "narrow",
    "signed_enum",
    "signed_enum64",
    "tcp_sock",
    "skb_drop_reason",
];
const PATHS: [&str; 14] = [
    "inner.second",
    "alias.first",
    "deeper[1]",
    "list[2].second",
    "matrix[1][2]",
    "hidden",
    "five",
    "common",
    "b",
    "a[1]",
    "c.b[0].a",
    "no.such[7].member",
    "rack.rtt_us",
    "inet_conn.icsk_ca_state",
];
