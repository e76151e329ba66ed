//! The bytes of BTF: header, sections, one type at a time, strings. What the types mean is the parent module's business.
//! Never reads outside its section, whatever lengths and offsets say; never looks at another type.
//! Bytes come from `Btf::parse`; `Type`s and strings go back to it. Little-endian, as are all machines that we run on.
//!
//! Format: <https://github.com/torvalds/linux/blob/v6.18/Documentation/bpf/btf.rst>

use std::ops::Range;

/// Why bytes are not BTF that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The first two bytes are something else.
    #[error("starts with {0:#06x} instead of the BTF magic 0xeb9f")]
    Magic(u16),
    /// The magic number is there, its bytes swapped.
    #[error("big-endian BTF is not supported")]
    BigEndian,
    /// `btf_header.version`.
    #[error("version {0} of BTF is not supported")]
    Version(u8),
    /// `btf_header.hdr_len` leaves out a known field.
    #[error("header length {0} is too short")]
    Header(u32),
    /// The file or its type section ends in the middle of something.
    #[error("truncated at byte {0}")]
    Truncated(usize),
    /// The length of a type follows from its kind, so that nothing behind this one can be found.
    #[error("type {id} has unknown kind {kind}")]
    Kind {
        /// Type id.
        id: u32,
        /// The `BTF_KIND_*` that it claims.
        kind: u32,
    },
    /// `name_off` leads to no text in the string section.
    #[error("type {id} has no valid name at string offset {offset}")]
    Name {
        /// Type id.
        id: u32,
        /// Its `name_off`.
        offset: u32,
    },
}

pub(super) const INT: u32 = 1;
pub(super) const PTR: u32 = 2;
pub(super) const ARRAY: u32 = 3;
pub(super) const STRUCT: u32 = 4;
pub(super) const UNION: u32 = 5;
pub(super) const ENUM: u32 = 6;
pub(super) const FWD: u32 = 7;
pub(super) const TYPEDEF: u32 = 8;
pub(super) const VOLATILE: u32 = 9;
pub(super) const CONST: u32 = 10;
pub(super) const RESTRICT: u32 = 11;
pub(super) const FUNC: u32 = 12;
pub(super) const FUNC_PROTO: u32 = 13;
pub(super) const VAR: u32 = 14;
pub(super) const DATASEC: u32 = 15;
pub(super) const FLOAT: u32 = 16;
pub(super) const DECL_TAG: u32 = 17;
pub(super) const TYPE_TAG: u32 = 18;
pub(super) const ENUM64: u32 = 19;

/// Bytes that a name may have, its NUL included: `KSYM_NAME_LEN`, to which the kernel holds names in BTF too. Without a
/// limit, a damaged file of some megabytes could describe prototypes of gigabytes.
const NAME_LIMIT: usize = 512;

/// A BTF file whose sections lie within it.
#[derive(Debug)]
pub(super) struct File {
    bytes: Vec<u8>,
    types: Range<u32>,
    strings: Range<u32>,
}

impl File {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, BtfError> {
        match *bytes {
            [0x9f, 0xeb, 1, ..] => {}
            [0x9f, 0xeb, version, ..] => return Err(BtfError::Version(version)),
            [0xeb, 0x9f, ..] => return Err(BtfError::BigEndian),
            [low, high, ..] if [low, high] != [0x9f, 0xeb] => {
                return Err(BtfError::Magic(u16::from_le_bytes([low, high])));
            }
            _ => return Err(BtfError::Truncated(bytes.len())),
        }
        let truncated = BtfError::Truncated(bytes.len());
        let fields = bytes.get(4..).and_then(|rest| rows(rest).next());
        let Some([header, type_off, type_len, str_off, str_len]) = fields else {
            return Err(truncated);
        };
        if header < 24 {
            return Err(BtfError::Header(header));
        }
        // Offsets count from the end of the header, which newer formats may lengthen.
        let section = |offset: u32, length: u32| {
            let start = header.checked_add(offset)?;
            let end = start.checked_add(length)?;
            (end as usize <= bytes.len()).then_some(start..end)
        };
        let (Some(types), Some(strings)) = (section(type_off, type_len), section(str_off, str_len)) else {
            return Err(truncated);
        };
        Ok(Self { bytes, types, strings })
    }

    /// Offsets of types: from the start of the first one to the end of the last one.
    pub(super) fn types(&self) -> Range<u32> {
        self.types.clone()
    }

    pub(super) fn strings_len(&self) -> u32 {
        self.strings.end - self.strings.start
    }

    pub(super) fn type_at(&self, start: u32, id: u32) -> Result<Type<'_>, BtfError> {
        let truncated = || BtfError::Truncated(self.types.end as usize);
        let rest = self
            .bytes
            .get(start as usize..self.types.end as usize)
            .ok_or_else(truncated)?;
        let [name, info, value] = rows(rest).next().ok_or_else(truncated)?;
        // The documented vlen is 16 bits wide and the kind 5, with unused bits above each. Reading those too makes an
        // unknown kind or a truncation of what a newer format may put there, instead of a wrong answer.
        let (vlen, kind, flag) = (info & 0xff_ffff, info >> 24 & 0x7f, info >> 31 == 1);
        let length = match kind {
            PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => 0,
            INT | VAR | DECL_TAG => 4,
            ARRAY => 12,
            ENUM | FUNC_PROTO => 8 * vlen,
            STRUCT | UNION | DATASEC | ENUM64 => 12 * vlen,
            _ => return Err(BtfError::Kind { id, kind }),
        };
        let end = 12 + length;
        let data = rest.get(12..end as usize).ok_or_else(truncated)?;
        Ok(Type {
            id,
            name,
            kind,
            flag,
            value,
            data,
            end: start.saturating_add(end),
        })
    }

    /// The string at an offset. `None` if it is no UTF-8 or does not end in time.
    pub(super) fn string(&self, offset: u32) -> Option<&str> {
        let rest = self.strings_from(offset)?;
        let end = rest.iter().take(NAME_LIMIT).position(|&byte| byte == 0)?;
        str::from_utf8(rest.get(..end)?).ok()
    }

    /// Whether that is the string at an offset: quicker than to look for its end first.
    pub(super) fn is_string(&self, offset: u32, text: &str) -> bool {
        let rest = self
            .strings_from(offset)
            .and_then(|rest| rest.strip_prefix(text.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    fn strings_from(&self, offset: u32) -> Option<&[u8]> {
        let section = self.bytes.get(self.strings.start as usize..self.strings.end as usize)?;
        section.get(offset as usize..)
    }
}

/// A `btf_type` with what follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type<'a> {
    pub(super) id: u32,
    /// `name_off`.
    pub(super) name: u32,
    pub(super) kind: u32,
    /// `kind_flag`.
    pub(super) flag: bool,
    /// `size` or `type`, whichever the kind has.
    pub(super) value: u32,
    data: &'a [u8],
    /// Where the next type starts.
    pub(super) end: u32,
}

impl Type<'_> {
    /// Type 0 is not in the file.
    pub(super) const VOID: Self = Self {
        id: 0,
        name: 0,
        kind: 0,
        flag: false,
        value: 0,
        data: &[],
        end: 0,
    };

    /// The members, enumerators, parameters, bounds or encoding that follow the `btf_type`, as rows of `N` numbers.
    pub(super) fn rows<const N: usize>(&self) -> impl Iterator<Item = [u32; N]> {
        rows(self.data)
    }
}

fn rows<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u32; N]> {
    let (words, _) = bytes.as_chunks::<4>();
    let (rows, _) = words.as_chunks::<N>();
    rows.iter().map(|row| row.map(u32::from_le_bytes))
}
