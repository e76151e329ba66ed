//! Writes BTF by hand, and the one file that the tests of the format share.
//! Never shares code with the reader but the numbers of the kinds: both must follow the format, not each other.
//! The tests call it with types as data; the bytes go to `Btf::parse`.

use super::super::format::{
    ARRAY, CONST, DATASEC, DECL_TAG, ENUM, ENUM64, FLOAT, FUNC, FUNC_PROTO, FWD, INT, PTR, RESTRICT, STRUCT, TYPE_TAG,
    TYPEDEF, UNION, VAR, VOLATILE,
};

/// One of each rule that the reader knows, and of each kind that it skips.
pub(super) fn zoo() -> Vec<u8> {
    let mut build = Build::default();
    let number = build.int("u32", 4);
    let short = build.int("u16", 2);
    let int = build.int("int", 4);
    build.raw("section", DATASEC, false, 2, 16, &[1, 0, 8, 2, 8, 8]);
    build.raw("variable", VAR, false, 0, number, &[1]);
    build.raw("tag", DECL_TAG, false, 0, number, &[u32::MAX]);
    build.add("double", FLOAT, false, 8, &[]);
    let elsewhere = build.add("elsewhere", FWD, false, 0, &[]);

    let inner = build.add(
        "inner",
        STRUCT,
        false,
        8,
        &[("first", &[number, 0]), ("second", &[number, 32])],
    );
    let inner_t = build.add("inner_t", TYPEDEF, false, inner, &[]);
    let tagged = build.add("user", TYPE_TAG, false, inner_t, &[]);
    let restricted = build.add("", RESTRICT, false, tagged, &[]);
    let volatile = build.add("", VOLATILE, false, restricted, &[]);
    let alias = build.add("", CONST, false, volatile, &[]);
    let pointer = build.add("", PTR, false, inner, &[]);
    let two_shorts = build.array(short, 2);
    let deep = build.add(
        "",
        STRUCT,
        false,
        12,
        &[("deep", &[number, 32]), ("deeper", &[two_shorts, 64])],
    );
    let left_or_deep = build.add("", UNION, false, 12, &[("left", &[number, 0]), ("", &[deep, 0])]);
    let list = build.array(inner, 3);
    let row = build.array(short, 3);
    let matrix = build.array(row, 2);
    let empty = build.array(number, 0);
    let outer: [(&str, &[u32]); 8] = [
        ("number", &[number, 0]),
        ("inner", &[inner, 32]),
        ("alias", &[alias, 96]),
        ("pointer", &[pointer, 160]),
        ("", &[left_or_deep, 224]),
        ("list", &[list, 320]),
        ("matrix", &[matrix, 512]),
        ("empty", &[empty, 608]),
    ];
    build.add("outer", STRUCT, false, 76, &outer);

    let wide = |width: u32, offset: u32| width << 24 | offset;
    let hidden = build.add("", STRUCT, true, 4, &[("hidden", &[number, wide(2, 5)])]);
    let flags: [(&str, &[u32]); 6] = [
        ("low", &[number, wide(3, 0)]),
        ("high", &[number, wide(13, 3)]),
        ("plain", &[number, 32]),
        ("", &[hidden, 64]),
        ("nested", &[inner, 96]),
        ("wider_than_its_type", &[short, wide(17, 160)]),
    ];
    build.add("flags", STRUCT, true, 24, &flags);
    let five = build.raw("five_bits", INT, false, 0, 4, &[2 << 16 | 5]);
    build.add("old_flags", STRUCT, false, 4, &[("five", &[five, 8])]);
    build.add("twin", STRUCT, false, 4, &[("common", &[number, 0])]);
    build.add(
        "twin",
        STRUCT,
        false,
        8,
        &[("common", &[number, 0]), ("only_in_the_second", &[number, 32])],
    );
    let either = build.add("either", UNION, false, 4, &[("a", &[number, 0]), ("b", &[short, 0])]);

    build.add("forward_enum", ENUM, false, 0, &[]);
    let unsigned = build.add(
        "unsigned_enum",
        ENUM,
        false,
        4,
        &[("ZERO", &[0]), ("MASK", &[0xffff_0000])],
    );
    build.add(
        "signed_enum",
        ENUM,
        true,
        4,
        &[("MINUS", &[0xffff_0000]), ("PLUS", &[1])],
    );
    let large: [(&str, &[u32]); 2] = [("LARGE", &[2, 1]), ("WRAPPED", &[u32::MAX, u32::MAX])];
    build.add("unsigned_enum64", ENUM64, false, 8, &large);
    build.add(
        "signed_enum64",
        ENUM64,
        true,
        8,
        &[("SMALL", &[u32::MAX - 1, u32::MAX])],
    );

    let context = build.add("", PTR, false, 0, &[]);
    let narrow = build.add("", FUNC_PROTO, false, 0, &[("__data", &[context])]);
    build.add("bpf_iter_tcp", FUNC, false, narrow, &[]);
    let narrow = build.add("", PTR, false, narrow, &[]);
    build.add("btf_trace_narrow", TYPEDEF, false, narrow, &[]);
    build.add("btf_trace_not_a_function", TYPEDEF, false, number, &[]);
    let mut chain = |links: &[u32], end: u32| links.iter().fold(end, |to, &kind| build.add("", kind, false, to, &[]));
    let words = [
        context,
        chain(&[CONST, PTR], inner),
        unsigned,
        chain(&[CONST], int),
        number,
        context,
        chain(&[VOLATILE, CONST, PTR, CONST, PTR, RESTRICT], inner),
        chain(&[PTR], elsewhere),
        either,
        narrow,
    ];
    let rows = words.each_ref().map(|word| ("argument", std::slice::from_ref(word)));
    let wide = build.add("", FUNC_PROTO, false, 0, &rows);
    let wide = build.add("", PTR, false, wide, &[]);
    build.add("btf_trace_wide", TYPEDEF, false, wide, &[]);
    build.bytes()
}

pub(super) const HEADER: usize = 24;

/// Writes BTF: types in the order of the calls, each of which gives the id of its type.
pub(super) struct Build {
    pub(super) types: Vec<u32>,
    strings: Vec<u8>,
    first_string: u32,
    pub(super) next_id: u32,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            first_string: 0,
            next_id: 1,
        }
    }
}

impl Build {
    /// A module on top of what is there.
    pub(super) fn split(&self) -> Self {
        let first_string = self.strings.len().try_into().unwrap();
        Self {
            types: Vec::new(),
            strings: Vec::new(),
            first_string,
            next_id: self.next_id,
        }
    }

    pub(super) fn int(&mut self, name: &str, size: u32) -> u32 {
        self.raw(name, INT, false, 0, size, &[8 * size])
    }

    pub(super) fn array(&mut self, element: u32, length: u32) -> u32 {
        self.raw("", ARRAY, false, 0, 0, &[element, 1, length])
    }

    /// A type, followed by rows that start with a name.
    pub(super) fn add(&mut self, name: &str, kind: u32, flag: bool, value: u32, rows: &[(&str, &[u32])]) -> u32 {
        let mut data = Vec::new();
        for (name, words) in rows {
            data.push(self.text(name));
            data.extend_from_slice(words);
        }
        self.raw(name, kind, flag, rows.len().try_into().unwrap(), value, &data)
    }

    pub(super) fn raw(&mut self, name: &str, kind: u32, flag: bool, vlen: u32, value: u32, data: &[u32]) -> u32 {
        let name = self.text(name);
        self.types
            .extend([name, u32::from(flag) << 31 | kind << 24 | vlen, value]);
        self.types.extend(data);
        self.next_id += 1;
        self.next_id - 1
    }

    /// A type of the right length whose every other number is arbitrary.
    pub(super) fn nonsense(&mut self, kind: u32, flag: bool, vlen: u32, numbers: &[u32]) {
        let [name, value, rest @ ..] = numbers else {
            return;
        };
        let length = match kind {
            INT | VAR | DECL_TAG => 1,
            ARRAY => 3,
            ENUM | FUNC_PROTO => 2 * vlen,
            STRUCT | UNION | DATASEC | ENUM64 => 3 * vlen,
            _ => 0,
        };
        // Some have names that are asked for, those of tracepoints among them.
        let name = super::NAMES.get(*name as usize).copied().unwrap_or_default();
        let prefix = if kind == TYPEDEF && flag { "btf_trace_" } else { "" };
        self.raw(
            &format!("{prefix}{name}"),
            kind,
            flag,
            vlen,
            *value,
            &rest[..length as usize],
        );
    }

    pub(super) fn text(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset: u32 = self.strings.len().try_into().unwrap();
        self.strings.extend(text.bytes().chain([0]));
        self.first_string + offset
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let types_len = u32::try_from(4 * self.types.len()).unwrap();
        let strings_len = self.strings.len().try_into().unwrap();
        let header = [0x1_eb9f, 24, 0, types_len, types_len, strings_len];
        let words = header.iter().chain(&self.types).flat_map(|word| word.to_le_bytes());
        words.chain(self.strings.iter().copied()).collect()
    }
}
