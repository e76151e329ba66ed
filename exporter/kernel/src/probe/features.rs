//! What the running kernel has: fields, hooks, helpers, drop reasons. Read from its BTF, never told by its version.
//!
//! The result is a value, so that the plan made from it can be tested without a kernel.

use super::{
    btf::{Btf, BtfError},
    btf_file::{BTF_DIRECTORY, BtfFile},
    casts::Casts,
    lockdown,
    reasons::Reasons,
};
use crate::sys::{capabilities, syscall::loads_iterator};
use common::kernel::fields::{CAST_TYPES, FIELDS, Field, FieldOffset};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Modules whose BTF names drop reasons of their own.
const REASON_MODULES: [&str; 2] = ["mac80211", "openvswitch"];

/// Structures that a module brings where it is no part of the kernel itself.
const OF_MODULES: [(&str, &str); 1] = [("nf_conn", "nf_conntrack")];

/// Why a kernel cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FeaturesError {
    /// There is no BTF.
    #[error(
        "{path}: cannot read the kernel's type information (BTF): {source}; use a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y, or name a file that has its BTF with --btf"
    )]
    NoBtf {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The BTF is damaged or of another kind.
    #[error("{path}: not the type information (BTF) of a kernel: {source}")]
    BadBtf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BtfError,
    },
    /// No program may read the kernel's memory.
    #[error("{}", lockdown::SENTENCE)]
    LockedDown,
}

/// What a kernel has.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// Global of a field in the object -> its offset, or why there is none.
    pub fields: BTreeMap<&'static str, Result<FieldOffset, String>>,
    /// Raw tracepoint -> number of its arguments. Those without an entry do not exist.
    pub tracepoints: BTreeMap<String, usize>,
    /// Iterator targets that exist.
    pub iterators: Vec<String>,
    /// Enumerators of `enum skb_drop_reason`.
    pub drop_reasons: BTreeMap<String, u32>,
    /// Tracing programs may use socket storage (`bpf_sk_storage_get`, Linux 5.11).
    pub socket_storage: bool,
    /// With what programs give types to addresses (Linux 6.2).
    pub casts: Option<Casts>,
    /// A run of a program on a raw tracepoint that begins within another run of it, on the same CPU, is skipped and counted.
    pub one_run_per_cpu: bool,
    /// The number of the per-CPU variable `__preempt_count`, which x86 has; not looked for where tracepoints cannot be preempted.
    pub preempt_count: Option<u32>,
    /// The storage of a socket that goes is cleared under an iterator that stands on it, since Linux 7.0.
    pub frees_storage_under_iterators: bool,
    /// The kernel does not let programs walk the storage of sockets, though it has an iterator for that: some forbid iterators over maps.
    pub hides_storage: bool,
    /// A task can lose its CPU within a tracepoint, since Linux 7.0. Nothing in a kernel's types tells of it, so it is taken to be so
    /// where [`Self::frees_storage_under_iterators`] is.
    pub preemptible_tracepoints: bool,
}

/// Reads what the kernel has, and the names of its drop reasons. `hooks` and `iterators` are those of the plan.
///
/// # Errors
/// [`FeaturesError`] when the BTF cannot be read or understood.
pub fn read(file: &BtfFile, hooks: &[&str], iterators: &[&str]) -> Result<(Features, Reasons), FeaturesError> {
    let path = file.path().to_owned();
    let bytes = file.read().map_err(|source| FeaturesError::NoBtf {
        path: path.clone(),
        source,
    })?;
    let btf = Btf::parse(bytes).map_err(|source| FeaturesError::BadBtf { path, source })?;
    if lockdown::forbids_reading() {
        return Err(FeaturesError::LockedDown);
    }
    let btf = Arc::new(btf);
    let mut features = of_btf(&btf, hooks, iterators);
    for (structure, module) in OF_MODULES {
        let own = types_of_module(file, module, &btf);
        add_fields(&mut features, structure, module, own.as_ref());
    }
    if file.is_given() {
        // The numbers of another file need not be those of the kernel.
        features.casts = None;
        features.preempt_count = None;
        // Without types for addresses nothing could be read there.
        if let Some(own) = file.own().and_then(|bytes| Btf::parse(bytes).ok())
            && hides_storage(&own)
        {
            features.hides_storage = true;
            features.casts = casts(&own);
        }
    } else {
        features.hides_storage = hides_storage(&btf);
    }
    let mut reasons = Reasons::default();
    reasons.add(&btf);
    read_modules(file, &btf, &mut reasons);
    Ok((features, reasons))
}

/// The types of a module, if it is loaded and shows them. They are those of the running kernel, so a given file knows none.
fn types_of_module(file: &BtfFile, module: &str, kernel: &Arc<Btf>) -> Option<Btf> {
    if file.is_given() {
        return None;
    }
    let bytes = file.read_module(&module_path(module)).ok()?;
    Btf::parse_split(bytes, kernel).ok()
}

/// Finds the fields of a structure that the kernel itself does not have in the types of a module.
fn add_fields(features: &mut Features, structure: &str, module: &str, types: Option<&Btf>) {
    for field in FIELDS.iter().filter(|field| field.structure == structure) {
        let place = features.fields.get_mut(field.global);
        if let Some(place) = place.filter(|place| place.is_err()) {
            *place = match types {
                Some(types) => place_of(types, field),
                None => Err(format!(
                    "neither the kernel nor {BTF_DIRECTORY}/{module} has struct {structure}; if {module} is loaded later, start again"
                )),
            };
        }
    }
}

/// Adds the names of modules that were loaded later. Reads the kernel's BTF once more only when there is such a module.
pub fn read_new_modules(file: &BtfFile, reasons: &mut Reasons) {
    if REASON_MODULES
        .iter()
        .any(|module| !reasons.have(module) && module_path(module).exists())
        && let Ok(bytes) = file.read()
        && let Ok(btf) = Btf::parse(bytes)
    {
        read_modules(file, &Arc::new(btf), reasons);
        tracing::debug!("read the drop reasons of a module that was loaded later");
    }
}

/// A module that is not there, or whose BTF cannot be read, names no reasons; its numbers stay numbers.
fn read_modules(file: &BtfFile, kernel: &Arc<Btf>, reasons: &mut Reasons) {
    for module in REASON_MODULES {
        if !reasons.have(module)
            && let Ok(bytes) = file.read_module(&module_path(module))
        {
            let btf = Btf::parse_split(bytes, kernel).ok();
            reasons.add_module(module, btf.as_ref());
        }
    }
}

fn module_path(module: &str) -> PathBuf {
    Path::new(BTF_DIRECTORY).join(module)
}

/// Where a field lies, or why it does not.
fn place_of(btf: &Btf, field: &Field) -> Result<FieldOffset, String> {
    let Field {
        structure,
        member: path,
        size,
        ..
    } = *field;
    let member = btf.member(structure, path).map_err(|absent| absent.to_string())?;
    let place = offset_of(member.bit_offset, member.bit_size, member.bit_field, size);
    place.ok_or_else(|| {
        let (bits, wanted) = (member.bit_size, 8 * size);
        format!("{structure}.{path} has {bits} bits instead of {wanted}")
    })
}

fn of_btf(btf: &Btf, hooks: &[&str], iterators: &[&str]) -> Features {
    let fields = FIELDS
        .iter()
        .map(|field| (field.global, place_of(btf, field)))
        .collect();
    let tracepoints = hooks
        .iter()
        .filter_map(|hook| Some((String::from(*hook), btf.tracepoint(hook)?.len())))
        .collect();
    let iterators = iterators
        .iter()
        .filter(|target| btf.function(&format!("bpf_iter_{target}")))
        .map(|target| String::from(*target))
        .collect();
    let drop_reasons = btf.enumerators("skb_drop_reason").unwrap_or_default();
    let frees_storage_under_iterators = btf.function("bpf_selem_unlink_nofail");
    let preemptible_tracepoints = frees_storage_under_iterators;
    Features {
        fields,
        tracepoints,
        iterators,
        drop_reasons: drop_reasons
            .into_iter()
            .filter_map(|(name, number)| Some((name, u32::try_from(number).ok()?)))
            .collect(),
        socket_storage: btf.function("bpf_sk_storage_get_tracing"),
        casts: casts(btf),
        // Its name is since Linux 6.1 that of a function which all kinds of tracing programs call for such a run; until then it
        // was `inc_misses_counter`, for trampolines alone.
        one_run_per_cpu: btf.function("bpf_prog_inc_misses_counter"),
        preempt_count: preemptible_tracepoints
            .then(|| btf.variable_number("__preempt_count"))
            .flatten(),
        frees_storage_under_iterators,
        hides_storage: false,
        preemptible_tracepoints,
    }
}

/// Whether the kernel refuses an iterator over a map, and nothing but that. Whoever may not load programs at all learns it later.
fn hides_storage(btf: &Btf) -> bool {
    capabilities::raise();
    let loads = |target: &str| {
        let function = btf.function_number(&format!("bpf_iter_{target}"));
        function.map(|number| loads_iterator(number).map_err(|error| error.raw_os_error()))
    };
    loads("bpf_sk_storage_map") == Some(Err(Some(libc::EPERM))) && loads("bpf_map") == Some(Ok(()))
}

fn casts(btf: &Btf) -> Option<Casts> {
    let types = CAST_TYPES.iter();
    Some(Casts {
        function: btf.function_number("bpf_rdonly_cast")?,
        types: types
            .map(|(fact, structure)| Some((*fact, btf.structure_number(structure)?)))
            .collect::<Option<_>>()?,
    })
}

/// The place of a member that is read with `size` bytes; a bit-field must lie within one byte.
fn offset_of(bit_offset: u32, bit_size: u32, bit_field: bool, size: u32) -> Option<FieldOffset> {
    let offset = bit_offset / 8;
    let shift = u8::try_from(bit_offset % 8).ok()?;
    if bit_field {
        let width = u8::try_from(bit_size)
            .ok()
            .filter(|width| u32::from(shift) + u32::from(*width) <= 8)?;
        return (size == 1).then_some(FieldOffset { offset, shift, width });
    }
    (bit_size == 8 * size && shift == 0).then_some(FieldOffset {
        offset,
        shift,
        width: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::kernel::fields::global;

    #[test]
    fn a_bit_field_must_lie_within_one_byte() {
        let place = |offset, shift, width| Some(FieldOffset { offset, shift, width });
        assert_eq!(offset_of(1248 * 8, 5, true, 1), place(1248, 0, 5));
        assert_eq!(offset_of(128 * 8 + 5, 2, true, 1), place(128, 5, 2));
        assert_eq!(offset_of(5, 4, true, 1), None);
        assert_eq!(offset_of(64, 31, true, 4), None);
    }

    #[test]
    fn a_member_of_another_size_is_refused() {
        assert_eq!(
            offset_of(64, 32, false, 4),
            Some(FieldOffset {
                offset: 8,
                shift: 0,
                width: 0
            })
        );
        assert_eq!(offset_of(64, 16, false, 4), None);
    }

    #[test]
    fn a_structure_of_a_module_is_only_missing_where_the_kernel_has_none() {
        let place = |offset| FieldOffset {
            offset,
            shift: 0,
            width: 0,
        };
        let mut features = Features::default();
        features.fields.insert(global::NF_CONN_ORIGINAL, Ok(place(8)));
        features
            .fields
            .insert(global::NF_CONN_REPLY, Err("no struct nf_conn".to_owned()));
        add_fields(&mut features, "nf_conn", "nf_conntrack", None);
        assert_eq!(features.fields[global::NF_CONN_ORIGINAL], Ok(place(8)));
        let reason = features.fields[global::NF_CONN_REPLY].clone().unwrap_err();
        assert!(reason.contains("/sys/kernel/btf/nf_conntrack"), "{reason}");
    }

    #[test]
    fn a_missing_file_is_told_with_its_remedy() {
        let nowhere = BtfFile::new(Some(Path::new("/nowhere")), |path| std::fs::read(path));
        let error = read(&nowhere, &[], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("/nowhere: cannot read the kernel's type information (BTF)"),
            "{error}"
        );
        assert!(error.contains("--btf"), "{error}");
    }
}
