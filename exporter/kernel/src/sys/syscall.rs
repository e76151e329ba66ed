//! Calls that no library offers: of bpf(2) batch look-ups, an iterator over one map and the misses of a program; and of the
//! allocator to give memory back.
#![expect(unsafe_code, reason = "bpf(2) takes untyped memory")]

use aya_obj::generated::{
    bpf_attach_type::BPF_TRACE_ITER,
    bpf_attr,
    bpf_cmd::{
        self, BPF_ITER_CREATE, BPF_LINK_CREATE, BPF_MAP_DELETE_ELEM, BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH,
        BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_LOAD,
    },
    bpf_insn, bpf_prog_info,
    bpf_prog_type::BPF_PROG_TYPE_TRACING,
};
use std::{
    fs::File,
    io::{self, Read},
    mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Calls bpf(2).
///
/// # Safety
/// `attributes` are those of `command`; pointers in them are to memory that lives until the call is over, as large as the kernel
/// takes it to be, and not reached otherwise meanwhile.
unsafe fn bpf(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: by the contract of this function.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<bpf_attr>(),
        )
    };
    i32::try_from(result)
        .ok()
        .filter(|result| *result >= 0)
        .ok_or_else(io::Error::last_os_error)
}

fn attributes() -> bpf_attr {
    // SAFETY: all zero is what bpf(2) asks for in unused members.
    unsafe { mem::zeroed() }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

#[expect(clippy::cast_possible_truncation, reason = "sizes of small structures")]
const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// Calls bpf(2) for a new descriptor.
///
/// # Safety
/// As for [`bpf`]; the command is one that makes a descriptor.
unsafe fn open(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: by the contract of this function; the kernel made the descriptor for this call, so nobody else owns it.
    unsafe { bpf(command, attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// One call's worth of a map.
#[derive(Debug)]
pub(crate) struct Batch<K, V> {
    /// Keys.
    pub(crate) keys: Vec<K>,
    /// Values, `per_key` of them for each key.
    pub(crate) values: Vec<V>,
    /// Where to go on; `None` at the end of the map.
    pub(crate) next: Option<u64>,
}

/// Looks up at most `count` entries of an array or hash, from the beginning or where an earlier call ended. `per_key` is the
/// number of values per key: that of the possible CPUs for a per-CPU map, whose values are a multiple of 8 bytes long; else 1.
///
/// A hash may ask for more room with `ENOSPC`: a bucket is given whole or not at all.
///
/// # Safety
/// The map's keys are as large as `K`. Its values, for each key, are as large as `per_key` of `V`.
pub(crate) unsafe fn lookup_batch<K: FromBytes + Copy, V: FromBytes + Copy>(
    map: BorrowedFd<'_>,
    from: Option<u64>,
    count: u32,
    per_key: usize,
) -> io::Result<Batch<K, V>> {
    let room = count as usize;
    let (mut keys, mut values) = (vec![K::new_zeroed(); room], vec![V::new_zeroed(); room * per_key]);
    let mut position = from.unwrap_or(0);
    let mut next = 0u64;
    let mut attributes = attributes();
    attributes.batch.in_batch = from.map_or(0, |_| std::ptr::from_mut(&mut position) as u64);
    attributes.batch.out_batch = std::ptr::from_mut(&mut next) as u64;
    attributes.batch.keys = keys.as_mut_ptr() as u64;
    attributes.batch.values = values.as_mut_ptr() as u64;
    attributes.batch.count = count;
    attributes.batch.map_fd = number(map);
    // SAFETY: the buffers live on and have room for `count` entries by the contract of this function; every entry is bytes that are
    // valid. A position is a word at most.
    let at_end = match unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) } {
        Ok(_) => false,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
        Err(error) => return Err(error),
    };
    // SAFETY: `batch` is the member that was filled in above.
    let found = unsafe { attributes.batch.count } as usize;
    keys.truncate(found);
    values.truncate(found * per_key);
    Ok(Batch {
        keys,
        values,
        next: (!at_end).then_some(next),
    })
}

/// Sets the first values of an array.
///
/// # Safety
/// The map is an array of values as large as `V`, and has as many at least.
pub(crate) unsafe fn set_first<V: IntoBytes + Immutable>(map: BorrowedFd<'_>, values: &[V]) -> io::Result<()> {
    let count = u32::try_from(values.len()).map_err(io::Error::other)?;
    let keys: Vec<u32> = (0..count).collect();
    let mut attributes = attributes();
    attributes.batch.keys = keys.as_ptr() as u64;
    attributes.batch.values = values.as_ptr() as u64;
    attributes.batch.count = count;
    attributes.batch.map_fd = number(map);
    // SAFETY: the kernel reads `count` keys and values, which live on.
    unsafe { bpf(BPF_MAP_UPDATE_BATCH, &mut attributes) }.map(drop)
}

/// Removes an entry; none is no error.
///
/// # Safety
/// The map's keys are as large as `K`.
pub(crate) unsafe fn remove<K: IntoBytes + Immutable>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
    let mut attributes = attributes();
    attributes.__bindgen_anon_2.map_fd = number(map);
    attributes.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    // SAFETY: the kernel reads a key, which lives on.
    match unsafe { bpf(BPF_MAP_DELETE_ELEM, &mut attributes) } {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the kernel loads an iterator program that does nothing, by the number of its target's function in the kernel's types.
pub(crate) fn loads_iterator(function: u32) -> io::Result<()> {
    /// `r0 = 0; exit`
    const NOTHING: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    const _: () = assert!(size_of::<[u8; 8]>() == size_of::<bpf_insn>());
    let mut attributes = attributes();
    // SAFETY: members of the part of the union for this command.
    let program = unsafe { &mut attributes.__bindgen_anon_3 };
    program.prog_type = BPF_PROG_TYPE_TRACING as u32;
    program.insns = NOTHING.as_ptr() as u64;
    program.insn_cnt = 2;
    program.license = c"GPL".as_ptr() as u64;
    program.expected_attach_type = BPF_TRACE_ITER as u32;
    program.attach_btf_id = function;
    // SAFETY: the kernel reads instructions and a text, which live on; the descriptor is closed at once.
    unsafe { open(BPF_PROG_LOAD, &mut attributes) }.map(drop)
}

/// An iterator program that can be run again and again.
#[derive(Debug)]
pub(crate) struct MapIterator(OwnedFd);

impl MapIterator {
    /// Attaches a loaded iterator program that walks over more than one map.
    pub(crate) fn unbound(program: BorrowedFd<'_>) -> io::Result<Self> {
        let mut attributes = attributes();
        attributes.link_create.__bindgen_anon_1.prog_fd = number(program);
        attributes.link_create.attach_type = BPF_TRACE_ITER as u32;
        // SAFETY: nothing but numbers.
        unsafe { open(BPF_LINK_CREATE, &mut attributes) }.map(Self)
    }

    /// Binds a loaded iterator program to a map.
    pub(crate) fn new(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<Self> {
        /// `union bpf_iter_link_info`, of which only the map is used.
        #[repr(C)]
        struct LinkInfo {
            map: u32,
            unused: [u32; 3],
        }
        let mut info = LinkInfo {
            map: number(map),
            unused: [0; 3],
        };
        let mut attributes = attributes();
        attributes.link_create.__bindgen_anon_1.prog_fd = number(program);
        attributes.link_create.attach_type = BPF_TRACE_ITER as u32;
        attributes.link_create.__bindgen_anon_3.__bindgen_anon_1.iter_info = std::ptr::from_mut(&mut info) as u64;
        attributes.link_create.__bindgen_anon_3.__bindgen_anon_1.iter_info_len = size::<LinkInfo>();
        // SAFETY: `info` lives on, and is as long as is said.
        unsafe { open(BPF_LINK_CREATE, &mut attributes) }.map(Self)
    }

    /// Runs the program once for every element.
    pub(crate) fn run(&self) -> io::Result<()> {
        read_to_end(self.open()?)
    }

    /// The same, and gives the records that the program writes.
    pub(crate) fn read<R: FromBytes>(&self) -> io::Result<Vec<R>> {
        let mut bytes = Vec::new();
        read_all(self.open()?, |more| bytes.extend_from_slice(more))?;
        let records = bytes.chunks_exact(size_of::<R>());
        Ok(records.filter_map(|bytes| R::read_from_bytes(bytes).ok()).collect())
    }

    fn open(&self) -> io::Result<File> {
        let mut attributes = attributes();
        attributes.iter_create.link_fd = self.0.as_raw_fd().unsigned_abs();
        // SAFETY: nothing but numbers.
        Ok(unsafe { open(BPF_ITER_CREATE, &mut attributes) }?.into())
    }
}

/// Reads an iterator that writes nothing to its end.
pub(crate) fn read_to_end(iterator: File) -> io::Result<()> {
    read_all(iterator, |_| {})
}

/// Reads an iterator to its end. One read visits at most a million elements; the kernel then asks to be read again.
fn read_all(mut iterator: File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    /// As much as the kernel gives at once: `PAGE_SIZE << 3` where pages are small.
    const BUFFER: usize = 32 << 10;
    let mut buffer = vec![0; BUFFER];
    loop {
        match iterator.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes the number of one descriptor stand for what another is of, and closes what it was of.
pub(super) fn replace(descriptor: BorrowedFd<'_>, by: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open, as they are borrowed, and the number stays open; whoever owns it closes it as before.
    let result = unsafe { libc::dup3(by.as_raw_fd(), descriptor.as_raw_fd(), libc::O_CLOEXEC) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// How often the kernel skipped a program because it was already running on that CPU (`recursion_misses`).
pub(crate) fn misses(program: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: a structure of numbers, for the kernel to fill in.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    let mut attributes = attributes();
    attributes.info.bpf_fd = number(program);
    attributes.info.info = std::ptr::from_mut(&mut info) as u64;
    attributes.info.info_len = size::<bpf_prog_info>();
    // SAFETY: `info` lives on, and is as long as is said.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info.recursion_misses)
}

/// Gives the memory back that loading took: parsed type information, three times as large as everything that follows. From
/// now on the allocator gives back what a collection took as well; left to itself it would take the size of the first bodies as
/// a reason to keep as much.
pub(crate) fn return_memory() {
    /// glibc's own, but fixed.
    #[cfg(target_env = "gnu")]
    const TRIM_THRESHOLD: libc::c_int = 128 * 1024;
    #[cfg(target_env = "gnu")]
    // SAFETY: calls without pointers; the allocator locks itself.
    unsafe {
        // It refuses unknown parameters only.
        let _known = libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
        libc::malloc_trim(0);
    }
}
