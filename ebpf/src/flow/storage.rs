//! Socket storage: what programs keep in a socket until it goes.
#![expect(
    unsafe_code,
    reason = "calls the helpers that aya-ebpf offers for socket-address programs only"
)]

use crate::{
    flow::{held::Storage, tables},
    kernel::{Sock, offsets::KEEPS_TABLES},
};
use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
};
use core::{
    ffi::c_void,
    ops::Deref,
    ptr::{NonNull, from_ref, null_mut},
};

/// What a socket holds, for as long as the program runs: storage that is deleted meanwhile is freed after the run. The memory of an entry
/// that is removed from a table meanwhile may be another entry's by then, of the same table.
#[derive(Debug)]
pub(crate) struct Stored<T>(NonNull<T>);

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Stored<T> {}

impl<T: Storage> Deref for Stored<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by the contract of `from_pointer` the memory outlives the run as that of a `T`, and is only ever reached by shared
        // references.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Storage> Stored<T> {
    /// What is stored at a pointer; `None` when it is NULL.
    ///
    /// # Safety
    /// The kernel has given the pointer to this run of the program, as a value of `T::MAP` or as one within a value of `T::TABLE`.
    #[inline(always)]
    pub(crate) unsafe fn from_pointer(pointer: *mut T) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }

    /// What a socket holds, if it holds any.
    #[inline(always)]
    pub(crate) fn find(sock: Sock) -> Option<Self> {
        Self::get(sock, 0)
    }

    /// What a socket holds, created with everything zero if it holds none; `None` when the kernel gives no storage.
    #[inline(always)]
    pub(crate) fn find_or_create(sock: Sock) -> Option<Self> {
        Self::get(sock, BPF_SK_STORAGE_GET_F_CREATE)
    }

    /// Deletes what a socket holds, if it holds any.
    #[inline(always)]
    pub(crate) fn delete(sock: Sock) {
        if KEEPS_TABLES.is_set() {
            tables::delete::<T>(sock);
            return;
        }
        // SAFETY: the helper checks the socket, the verifier its type.
        unsafe { bpf_sk_storage_delete(Self::map(), sock.as_ptr().cast_mut().cast()) };
    }

    #[inline(always)]
    fn get(sock: Sock, flags: u32) -> Option<Self> {
        if KEEPS_TABLES.is_set() {
            let entry = tables::get::<T>(sock, flags != 0)?;
            // SAFETY: a member of a value of the table, whose memory stays the table's until the run is over.
            return unsafe { Self::from_pointer(&raw mut (*entry).state) };
        }
        // SAFETY: the helper checks the socket, the verifier its type; what it returns is a value of this map.
        unsafe {
            let value = bpf_sk_storage_get(Self::map(), sock.as_ptr().cast_mut().cast(), null_mut(), flags as u64);
            Self::from_pointer(value.cast())
        }
    }

    #[inline(always)]
    fn map() -> *mut c_void {
        from_ref(T::MAP).cast_mut().cast()
    }
}
