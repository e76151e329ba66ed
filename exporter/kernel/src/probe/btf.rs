//! BTF, the kernel's description of its own types: where a member lies, what an enumerator is worth, what a tracepoint passes.
//! Never trusts a byte of it (every walk is bounded, what does not add up is an error), never reads a file, never guesses.
//! Bytes come from `/sys/kernel/btf/*` or `--btf PATH` through `kernel.rs`; answers go to the plan and to the names of drop reasons.

mod format;
mod member;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::iter;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use crate::probe::btf::format::{
    CONST, ENUM, ENUM64, FUNC, FUNC_PROTO, FWD, File, PTR, RESTRICT, STRUCT, TYPE_TAG, TYPEDEF, Type, UNION, VAR,
    VOLATILE,
};

pub use crate::probe::btf::{
    format::BtfError,
    member::{Absent, Member, Missing},
};

/// The types of a kernel, or of one of its modules on top of it.
#[derive(Debug)]
pub struct Btf {
    file: File,
    /// Where in the file each type starts; the first one is type `first_id`.
    starts: Vec<u32>,
    /// (hash of the name, type id) of whatever is looked up by name, sorted: a map of the names would double the memory.
    names: Vec<(u32, u32)>,
    first_id: u32,
    first_string: u32,
    base: Option<Arc<Self>>,
}

impl Btf {
    /// Reads the BTF of a whole kernel: `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// [`BtfError`] when the bytes are not BTF of a known form.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        Self::index(File::open(bytes)?, None)
    }

    /// Reads the split BTF of a module: `/sys/kernel/btf/<module>`. Its type ids and string offsets continue those of
    /// `base`, and what it lacks is looked up there.
    ///
    /// # Errors
    /// [`BtfError`] when the bytes are not BTF of a known form.
    pub fn parse_split(bytes: Vec<u8>, base: &Arc<Self>) -> Result<Self, BtfError> {
        Self::index(File::open(bytes)?, Some(Arc::clone(base)))
    }

    /// The arguments of a raw tracepoint as C text (`const struct sk_buff *`, `enum skb_drop_reason`, `int`), from the
    /// typedef `btf_trace_<name>` without its leading `void *__data`. `None` when the kernel has no such tracepoint.
    pub fn tracepoint(&self, name: &str) -> Option<Vec<String>> {
        self.named(&format!("btf_trace_{name}"), &[TYPEDEF])
            .find_map(|typedef| {
                let pointer = self.resolve(typedef.id).filter(|found| found.kind == PTR)?;
                let prototype = self.resolve(pointer.value).filter(|found| found.kind == FUNC_PROTO)?;
                prototype.rows().skip(1).map(|[_name, id]| self.c_text(id)).collect()
            })
    }

    /// Name and value of each enumerator of an `enum`, in the kernel's order. Values have the sign that the kernel's
    /// compiler chose (`kind_flag`); an unsigned one beyond `i64::MAX` wraps. `None` when there is no such enum.
    pub fn enumerators(&self, name: &str) -> Option<Vec<(String, i64)>> {
        let found = self
            .named(name, &[ENUM, ENUM64])
            .find(|found| found.rows::<2>().next().is_some())?;
        let named = |name, value| Some((self.string(name)?.to_owned(), value));
        if found.kind == ENUM64 {
            let value = |low, high| (u64::from(high) << 32 | u64::from(low)).cast_signed();
            found
                .rows()
                .map(|[name, low, high]| named(name, value(low, high)))
                .collect()
        } else {
            let value = |bits: u32| {
                if found.flag {
                    bits.cast_signed().into()
                } else {
                    bits.into()
                }
            };
            found.rows().map(|[name, bits]| named(name, value(bits))).collect()
        }
    }

    /// Whether the kernel has a `BTF_KIND_FUNC` of that name; that of an iterator's target is `bpf_iter_<target>`.
    pub fn function(&self, name: &str) -> bool {
        self.function_number(name).is_some()
    }

    /// The number of the `BTF_KIND_FUNC` of that name.
    pub fn function_number(&self, name: &str) -> Option<u32> {
        Some(self.named(name, &[FUNC]).next()?.id)
    }

    /// The number of the `BTF_KIND_VAR` of that name.
    pub fn variable_number(&self, name: &str) -> Option<u32> {
        Some(self.named(name, &[VAR]).next()?.id)
    }

    /// The number of the structure of that name.
    pub fn structure_number(&self, name: &str) -> Option<u32> {
        Some(self.named(name, &[STRUCT]).next()?.id)
    }
}

/// Links that are followed in one chain of typedefs, qualifiers, pointers and arrays; damaged BTF may have circles. As many
/// as the kernel follows: <https://github.com/torvalds/linux/blob/v6.18/kernel/bpf/btf.c>, `MAX_RESOLVE_DEPTH`.
const CHAIN: usize = 32;
/// Types of the same name that are tried. Kernels have up to four; without a limit, damage could make it all of them.
const NAMESAKES: usize = 8;

impl Btf {
    /// Renders a type as C text, of which BTF has the outermost link first: `PTR`, `CONST`, `STRUCT` is `const struct s *`.
    fn c_text(&self, mut id: u32) -> Option<String> {
        let (mut qualifiers, mut stars) = (String::new(), String::new());
        for _ in 0..CHAIN {
            let found = self.get(id)?;
            match found.kind {
                PTR => stars = format!("*{}{stars}", mem::take(&mut qualifiers)),
                CONST => qualifiers.push_str("const "),
                VOLATILE => qualifiers.push_str("volatile "),
                RESTRICT => qualifiers.push_str("restrict "),
                TYPE_TAG => {}
                _ => {
                    let text = format!("{qualifiers}{} {stars}", self.c_name(found)?);
                    return Some(text.trim_end().to_owned());
                }
            }
            id = found.value;
        }
        None
    }

    fn c_name(&self, found: Type<'_>) -> Option<String> {
        let keyword = match found.kind {
            STRUCT => "struct ",
            UNION => "union ",
            ENUM | ENUM64 => "enum ",
            FWD if found.flag => "union ",
            FWD => "struct ",
            _ => "",
        };
        Some(match self.string(found.name)? {
            _ if found.id == 0 => "void".to_owned(),
            "" => format!("{keyword}(anonymous)"),
            name => format!("{keyword}{name}"),
        })
    }

    /// What is left of a type without typedefs, qualifiers and tags.
    fn resolve(&self, mut id: u32) -> Option<Type<'_>> {
        for _ in 0..CHAIN {
            let found = self.get(id)?;
            if !matches!(found.kind, TYPEDEF | CONST | VOLATILE | RESTRICT | TYPE_TAG) {
                return Some(found);
            }
            id = found.value;
        }
        None
    }

    fn named(&self, name: &str, kinds: &[u32]) -> impl Iterator<Item = Type<'_>> {
        let hash = hash(name);
        iter::successors(Some(self), |btf| btf.base.as_deref())
            .flat_map(move |btf| {
                let from = btf.names.partition_point(|&(other, _)| other < hash);
                btf.names
                    .iter()
                    .skip(from)
                    .take_while(move |&&(other, _)| other == hash)
            })
            .filter_map(|&(_, id)| self.get(id))
            .filter(move |found| kinds.contains(&found.kind) && self.is_string(found.name, name))
            .take(NAMESAKES)
    }

    fn get(&self, id: u32) -> Option<Type<'_>> {
        if id == 0 {
            return Some(Type::VOID);
        }
        match id.checked_sub(self.first_id) {
            Some(own) => self.file.type_at(*self.starts.get(own as usize)?, id).ok(),
            None => self.base.as_ref()?.get(id),
        }
    }

    fn string(&self, offset: u32) -> Option<&str> {
        match offset.checked_sub(self.first_string) {
            Some(own) => self.file.string(own),
            None => self.base.as_ref()?.string(offset),
        }
    }

    fn is_string(&self, offset: u32, text: &str) -> bool {
        match (offset.checked_sub(self.first_string), &self.base) {
            (Some(own), _) => self.file.is_string(own, text),
            (None, Some(base)) => base.is_string(offset, text),
            (None, None) => false,
        }
    }

    fn next_id(&self) -> u32 {
        u32::try_from(self.starts.len()).map_or(u32::MAX, |own| self.first_id.saturating_add(own))
    }

    fn index(file: File, base: Option<Arc<Self>>) -> Result<Self, BtfError> {
        let (first_id, first_string) = match &base {
            Some(base) => (
                base.next_id(),
                base.first_string.saturating_add(base.file.strings_len()),
            ),
            None => (1, 0),
        };
        let mut btf = Self {
            file,
            starts: Vec::new(),
            names: Vec::new(),
            first_id,
            first_string,
            base,
        };
        let Range { start: mut at, end } = btf.file.types();
        while at < end {
            let found = btf.file.type_at(at, btf.next_id())?;
            let (id, next) = (found.id, found.end);
            if matches!(found.kind, STRUCT | UNION | ENUM | ENUM64 | TYPEDEF | FUNC | VAR) {
                let name = btf
                    .string(found.name)
                    .ok_or(BtfError::Name { id, offset: found.name })?;
                if !name.is_empty() {
                    let entry = (hash(name), id);
                    btf.names.push(entry);
                }
            }
            btf.starts.push(at);
            at = next;
        }
        btf.names.sort_unstable();
        Ok(btf)
    }
}

fn hash(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}
