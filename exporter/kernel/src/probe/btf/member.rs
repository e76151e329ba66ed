//! `Btf::member`: from a path of C names to bits in a structure.
//! Never follows a pointer, never walks in circles: damaged BTF may have structures that contain themselves.
//! Names come from the table of kernel fields; places go into the read-only globals of the programs.

use std::collections::HashSet;

use super::format::{ARRAY, ENUM, ENUM64, FLOAT, INT, PTR, STRUCT, TYPEDEF, Type, UNION};
use super::{Btf, CHAIN};

/// Where a member lies in its outermost structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Bits from the start of the structure; within a byte they count from the least significant one.
    pub bit_offset: u32,
    /// The width of a bit-field, else eight times the size of the type, which may be a whole array.
    pub bit_size: u32,
    /// Whether it is a C bit-field, which need not start or end at a byte.
    pub bit_field: bool,
}

/// Why a member could not be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// Nothing of that name is a struct, a union or a typedef of one; a forward declaration does not count.
    #[error("no struct {0}")]
    Structure(String),
    /// The structure exists and does not have the member.
    #[error("struct {structure} has no member {path}{why}")]
    Member {
        /// The structure asked for.
        structure: String,
        /// The path asked for.
        path: String,
        /// What the path failed at.
        why: Missing,
    },
}

/// What a path failed at; it completes the sentence of [`Absent::Member`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A name in it, or its form, which is `name.name[index]`.
    #[error("")]
    Name,
    /// This step, because C has no `.` or no `[]` there: behind a pointer, inside a number.
    #[error(": {0} is not in a structure or array")]
    Inside(String),
    /// An index that its array does not reach.
    #[error(": index {index} in an array of {length}")]
    Index {
        /// The index asked for.
        index: u32,
        /// `btf_array.nelems`.
        length: u32,
    },
    /// Its type, which makes no sense: the BTF is damaged.
    #[error(": its type is malformed")]
    Type,
}

impl Btf {
    /// The place of a member, such as `rack.rtt_us`, `sk.__sk_common.skc_daddr` or `chrono_stat[2]` of `tcp_sock`. Sees
    /// through anonymous structs and unions, typedefs, qualifiers and type tags, not through pointers. Where several
    /// structures share the name, the first one that has the member answers.
    ///
    /// # Errors
    /// [`Absent`] when this kernel has no such member.
    pub fn member(&self, structure: &str, path: &str) -> Result<Member, Absent> {
        let mut absent = None;
        let named = self.named(structure, &[STRUCT, UNION, TYPEDEF]);
        for candidate in named.filter_map(|found| self.structure(found.id)) {
            match self.walk(candidate, path) {
                Ok(member) => return Ok(member),
                Err(why) => absent = absent.or(Some(why)),
            }
        }
        let (structure, path) = (structure.to_owned(), path.to_owned());
        Err(match absent {
            Some(why) => Absent::Member { structure, path, why },
            None => Absent::Structure(structure),
        })
    }

    fn walk(&self, root: Type<'_>, path: &str) -> Result<Member, Missing> {
        let inside = |step: &str| Missing::Inside(step.to_owned());
        let mut place = MemberOffset {
            bits: 0,
            width: 0,
            id: root.id,
        };
        for step in path.split('.') {
            let (name, indices) = split_step(step).ok_or(Missing::Name)?;
            let parent = self.structure(place.id).ok_or_else(|| inside(step))?;
            place = self.field(parent, place.bits, name).ok_or(Missing::Name)?;
            for index in indices {
                let (element, length) = self.array(place.id).ok_or_else(|| inside(step))?;
                if index >= length {
                    return Err(Missing::Index { index, length });
                }
                let distance = self.bit_size(element).and_then(|size| size.checked_mul(index));
                let bits = distance.and_then(|distance| place.bits.checked_add(distance));
                place = MemberOffset {
                    bits: bits.ok_or(Missing::Type)?,
                    width: 0,
                    id: element,
                };
            }
        }
        self.measure(place).ok_or(Missing::Type)
    }

    /// Looks for a name in `parent` and in the anonymous structures within. Each of those is searched once, so that
    /// nesting in circles or by powers of two ends.
    fn field(&self, parent: Type<'_>, bits: u32, name: &str) -> Option<MemberOffset> {
        let mut searched = HashSet::new();
        let mut open = vec![(parent, bits)];
        while let Some((parent, start)) = open.pop() {
            for [member, id, offset] in parent.rows() {
                // With kind_flag, the upper byte of the offset is the width of the bit-field.
                let (offset, width) = if parent.flag {
                    (offset & 0xff_ffff, offset >> 24)
                } else {
                    (offset, 0)
                };
                let bits = start.checked_add(offset)?;
                if self.is_string(member, name) {
                    return Some(MemberOffset { bits, width, id });
                }
                let anonymous = if self.is_string(member, "") {
                    self.structure(id)
                } else {
                    None
                };
                if let Some(inner) = anonymous.filter(|inner| searched.insert(inner.id)) {
                    open.push((inner, bits));
                }
            }
        }
        None
    }

    fn measure(&self, place: MemberOffset) -> Option<Member> {
        let whole = self.bit_size(place.id)?;
        let int = self.resolve(place.id).filter(|found| found.kind == INT);
        let (shift, bit_size) = match (place.width, int.and_then(|int| int.rows().next())) {
            // Without kind_flag, a bit-field has its width and a part of its offset in an integer type of its own.
            (0, Some([encoding])) => (encoding >> 16 & 0xff, encoding & 0xff),
            (0, None) => (0, whole),
            (width, _) => (0, width),
        };
        let bit_offset = place.bits.checked_add(shift)?;
        let bit_field = place.width != 0 || bit_size != whole;
        let sane = bit_size <= whole && !(bit_field && bit_size == 0);
        sane.then_some(Member {
            bit_offset,
            bit_size,
            bit_field,
        })
    }

    fn bit_size(&self, mut id: u32) -> Option<u32> {
        let mut bits = 8_u32;
        for _ in 0..CHAIN {
            let found = self.resolve(id)?;
            let bytes = match found.kind {
                ARRAY => {
                    let (element, length) = self.array(id)?;
                    bits = bits.checked_mul(length)?;
                    id = element;
                    continue;
                }
                // BPF programs see 64-bit pointers on every machine that runs them.
                PTR => 8,
                INT | FLOAT | STRUCT | UNION | ENUM | ENUM64 => found.value,
                _ => return None,
            };
            return bits.checked_mul(bytes);
        }
        None
    }

    fn structure(&self, id: u32) -> Option<Type<'_>> {
        self.resolve(id).filter(|found| matches!(found.kind, STRUCT | UNION))
    }

    /// Element type and length.
    fn array(&self, id: u32) -> Option<(u32, u32)> {
        let array = self.resolve(id).filter(|found| found.kind == ARRAY)?;
        array.rows().next().map(|[element, _index, length]| (element, length))
    }
}

/// Something inside a structure, on the way to a [`Member`].
#[derive(Clone, Copy)]
struct MemberOffset {
    /// From the start of the outermost structure.
    bits: u32,
    /// 0 unless it is a bit-field by `kind_flag`.
    width: u32,
    id: u32,
}

/// `chrono_stat[2]` is `chrono_stat` and 2.
fn split_step(step: &str) -> Option<(&str, Vec<u32>)> {
    let (name, mut rest) = step.split_at(step.find('[').unwrap_or(step.len()));
    let mut indices = Vec::new();
    while let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        indices.push(index.parse().ok()?);
        rest = after;
    }
    (!name.is_empty() && rest.is_empty()).then_some((name, indices))
}
