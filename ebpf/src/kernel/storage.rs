//! `struct bpf_local_storage_elem`: the lists that iterators over storage walk.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::{
    memory::{cast::cast, load, load_pointer, words_at},
    offsets::*,
    tcp_sock::TcpSock,
};
use common::tcp::flow::FlowState;
use core::ptr::from_ref;

/// `struct bpf_local_storage_elem`: what holds the state of a flow, in a list of all.
#[derive(Clone, Copy)]
pub(crate) struct StorageElement(pub(super) *const u8);

impl StorageElement {
    /// The element around a value that an iterator was given; `None` where addresses cannot be given types.
    #[inline(always)]
    pub(crate) fn of_value(value: &FlowState) -> Option<Self> {
        Self::at(from_ref(value) as u64 - Self::value_offset()?)
    }

    /// At an address that the iterator's list gave. If none is there, loads give zero, and nothing comes of them.
    #[inline(always)]
    fn at(address: u64) -> Option<Self> {
        cast(address, &TYPE_STORAGE_ELEMENT).map(Self)
    }

    /// The value lies behind the pointer to its map.
    #[inline(always)]
    fn value_offset() -> Option<u64> {
        Some((STORAGE_ELEMENT_MAP.offset()? + size_of::<u64>()) as u64)
    }

    /// The element that an iterator comes to next; `None` at the end of a list.
    #[inline(always)]
    pub(crate) fn next(self) -> Option<Self> {
        // SAFETY: a member of `struct bpf_local_storage_elem`.
        let node = unsafe { load(self.0, &STORAGE_ELEMENT_NEXT) }?;
        if node == 0 {
            return None;
        }
        Self::at(node - STORAGE_ELEMENT_NEXT.offset()? as u64)
    }

    /// The socket that it belongs to.
    #[inline(always)]
    pub(crate) fn owner(self) -> Option<TcpSock> {
        // SAFETY: a typed pointer from `struct bpf_local_storage_elem` to `struct bpf_local_storage`.
        let owner = unsafe { load(load_pointer(self.0, &STORAGE_ELEMENT_STORAGE)?, &STORAGE_OWNER) }?;
        cast(owner, &TYPE_TCP_SOCK).map(TcpSock)
    }

    /// Asks for the cache lines of its value.
    #[inline(always)]
    pub(crate) fn fetch_value(self) {
        const LINE: u64 = 64;
        if let Some(offset) = Self::value_offset() {
            let value = self.0 as u64 + offset;
            let mut line = 0;
            while line < size_of::<FlowState>() as u64 {
                let _fetched = words_at::<1>(value + line);
                line += LINE;
            }
        }
    }
}
