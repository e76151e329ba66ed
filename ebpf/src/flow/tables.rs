//! What is known of sockets where the kernel does not let their storage be walked: entries of tables, by the cookies of the sockets.
//! [`common::map::table`] says when an entry may be removed.
#![expect(unsafe_code, reason = "reaches values of maps through raw pointers")]

use crate::{
    atomic,
    flow::held::Storage,
    kernel::Sock,
    maps::{REMOVING, WALK},
};
use aya_ebpf::bindings::BPF_NOEXIST;
use common::map::table::Kept;

/// The entry of a socket; made now if there is none and `makes` says so.
#[inline(always)]
pub(crate) fn get<S: Storage>(sock: Sock, makes: bool) -> Option<*mut Kept<S>> {
    // A socket that nobody has asked for its cookie yet is in no table.
    if let Some(entry) = S::TABLE.get_ptr_mut(sock.cookie_field()) {
        // SAFETY: a member of a map value. One that has gone during a walk comes back after it.
        return unsafe { ((*entry).is_gone.get() == 0).then_some(entry) };
    }
    if !makes {
        return None;
    }
    let cookie = sock.cookie();
    let nothing = S::NOTHING.get(0)?;
    S::TABLE.insert(cookie, nothing, BPF_NOEXIST as u64).ok()?;
    let entry = S::TABLE.get_ptr_mut(cookie)?;
    // SAFETY: a member of a map value.
    unsafe { (*entry).sock.set(sock.as_ptr() as u64) };
    Some(entry)
}

/// Removes the entry of a socket, or says that it has gone.
#[inline(always)]
pub(crate) fn delete<S: Storage>(sock: Sock) {
    let cookie = sock.cookie_field();
    let Some(entry) = S::TABLE.get_ptr_mut(cookie) else {
        return;
    };
    let Some(removing) = REMOVING.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a word of a map value. Nothing is read before the addition, and it is taken back after all that was done.
    unsafe { atomic::fetch_add(removing, 1) };
    if is_walked() {
        // SAFETY: a member of a map value.
        unsafe { (*entry).is_gone.set(1) };
    } else {
        let _gone = S::TABLE.remove(cookie);
    }
    // SAFETY: as above.
    unsafe { atomic::fetch_add(removing, u64::MAX) };
}

#[inline(always)]
fn is_walked() -> bool {
    // SAFETY: a word of a map value, which user space writes.
    WALK.get_ptr(0)
        .is_none_or(|walk| unsafe { (&raw const (*walk).is_under_way).read_volatile() } != 0)
}
