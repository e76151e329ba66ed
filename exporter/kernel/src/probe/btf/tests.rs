//! BTF built by hand for every rule of the format, and damaged BTF for safety. `tests/kernel/types.rs` reads the running kernel's.

mod build;

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
