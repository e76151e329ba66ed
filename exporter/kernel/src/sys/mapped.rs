//! Memory of a map, mapped to be read: without a call and without a copy for each value.
#![expect(unsafe_code, reason = "memory that the kernel writes meanwhile is mapped and read")]

use nix::unistd::{SysconfVar, sysconf};
use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering, fence},
};
use zerocopy::{FromBytes, IntoBytes as _};

/// A part of the memory of a map. Dropping it ends the mapping.
#[derive(Debug)]
pub(crate) struct Mapped {
    start: NonNull<AtomicU64>,
    /// Bytes, whole pages.
    length: usize,
    /// Where in it begins what was asked for, in words.
    first: usize,
    /// How many words that is.
    words: usize,
}

const WORD: usize = size_of::<u64>();

impl Mapped {
    /// Maps `words` words of a map that was made to be mapped, behind the first `from`.
    ///
    /// # Errors
    /// What the kernel says: the map is no such map, or ends before.
    pub(crate) fn new(map: BorrowedFd<'_>, from: usize, words: usize) -> io::Result<Self> {
        let page = page_size()?;
        let before = from * WORD % page;
        let offset = from * WORD - before;
        let length = (before + words * WORD).next_multiple_of(page);
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?,
            length,
            first: before / WORD,
            words,
        })
    }

    /// The words.
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: within the mapping, which begins at a page; the kernel maps all of it at once and refuses what lies beyond the map.
        // Programs write these words while they are read, each as a whole.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(self.first), self.words) }
    }

    /// Calls `each` with the values, one after another. What is read afterwards, in whatever way, is not older.
    pub(crate) fn each_value<V: FromBytes>(&self, mut each: impl FnMut(V)) {
        const { assert!(size_of::<V>().is_multiple_of(WORD)) };
        let mut value = vec![0u64; size_of::<V>() / WORD];
        for words in self.words().chunks_exact(value.len()) {
            for (to, from) in value.iter_mut().zip(words) {
                *to = from.load(Ordering::Relaxed);
            }
            // As many bytes as a value has.
            if let Ok(value) = V::read_from_bytes(value.as_bytes()) {
                each(value);
            }
        }
        fence(Ordering::Acquire);
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own, and no reference into it is left.
        if unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) } != 0 {
            tracing::debug!(error = %io::Error::last_os_error(), "a mapping stays");
        }
    }
}

pub(super) fn page_size() -> io::Result<usize> {
    let size = sysconf(SysconfVar::PAGE_SIZE)?.ok_or(io::ErrorKind::Unsupported)?;
    usize::try_from(size).map_err(io::Error::other)
}
